"""Who operates the service, and what the operators' console asks others for."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from app.settings.section import Listed, Secret, Section, http_url


def _claim(value: str) -> str:
    name, equals, wanted = value.partition("=")
    if value and not (name and equals and wanted):
        raise ValueError("write it like role=operator")
    if name == "name":
        raise ValueError("is what players call themselves; take another claim")
    return value


def _address(value: str) -> str:
    if value:
        parts = urlsplit(f"//{value}")
        if not parts.hostname or not parts.port or value != parts.netloc or parts.username is not None:
            raise ValueError("is no address; write it like 10.0.0.7:9090")
    return value


class OperatorSettings(Section):
    """The rights of operators, and the console's own addresses."""

    operators: Listed = Field(
        (),
        description="player ids (sub) of operators: they remove players from any game, and act in the console (/ops/);"
        " comma-separated",
    )
    operators_claim: Annotated[str, AfterValidator(_claim)] = Field(
        "",
        description="whose token has this claim is an operator too: its name, an equals sign, and what it is, or what a"
        " list is to hold",
    )
    ops_token: Secret = Field(
        SecretStr(""),
        description="bearer token of operators, and of replicas that ask each other for them; empty: there is none",
    )
    ops_read_token: Secret = Field(
        SecretStr(""), description="bearer token of whoever may look in the console and not act; empty: there is none"
    )
    ops_address: Annotated[str, AfterValidator(_address)] = Field(
        "",
        description="host:port by which the other replicas reach OPS_PORT of this one; empty: HOST, or where that is"
        " all, the address from which this machine reaches others",
    )
    ops_timeout_s: float = Field(
        2.0, gt=0, le=30, description="the console waits so long for another replica, and for alerts"
    )
    ops_long_timeout_s: float = Field(
        65.0,
        ge=65,
        le=3_600,
        description="the same for what takes longer: a profile, an erasure, a hot list over some seconds; `code-racer"
        " erase` waits five seconds more",
    )
    ops_requests_per_second: float = Field(
        50.0,
        ge=0,
        le=10_000,
        description="requests a second to the console's API of one operator at one address, and ten times as many at"
        " once; 0: no limit; health and metrics are not counted",
    )
    ops_max_watchers: int = Field(
        20, ge=1, le=1_000, description="who may have the console's live stream at a time; more are refused"
    )
    prometheus_url: Annotated[str, AfterValidator(http_url("http://prometheus:9090"))] = Field(
        "", description="Prometheus, for the alerts that fire, like http://prometheus:9090"
    )
    alertmanager_url: Annotated[str, AfterValidator(http_url("http://alertmanager:9093"))] = Field(
        "", description="Alertmanager, for the same, like http://alertmanager:9093; asked before PROMETHEUS_URL"
    )

    @model_validator(mode="after")
    def _reading_is_no_acting(self) -> Self:
        token = self.ops_read_token.get_secret_value()
        if token and token == self.ops_token.get_secret_value():
            raise ValueError("OPS_READ_TOKEN: must not be OPS_TOKEN, or whoever is to look could act")
        return self
