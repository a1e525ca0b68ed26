"""Where the games' events are kept."""

import re
from typing import Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from app.settings.section import Section

_NATS_URL: Final = r"(nats|tls)://[^/@\s,]+"
_EVENT_LOG_URL: Final = re.compile(rf"^(memory:|sqlite:///.+|{_NATS_URL}(,{_NATS_URL})*)$")


class EventLogSettings(Section):
    """The event log, how long a game stays in it, and when another replica is taken to be gone."""

    event_log_url: str = Field(
        "sqlite:///var/code-racer.db",
        description="memory:, sqlite:///path (relative; four slashes: absolute), or nats://host:4222,nats://host:4222",
    )
    nats_stream: str = Field("CODE_RACER", pattern="^[A-Za-z0-9_-]+$", description="the stream of the games' logs")
    nats_replicas: int = Field(1, ge=1, le=5, description="servers that hold each stream; 3 in production")
    nats_max_bytes: int = Field(0, ge=0, description="the stream of the games' logs refuses more; 0: no limit")
    nats_timeout_s: float = Field(
        8.0, gt=0, le=60, description="a message waits so long for NATS, tried again; an election takes 4 to 7"
    )
    nats_max_pending: int = Field(1_000, ge=1, description="appends under way at once; more are refused")
    nats_credentials_file: str = Field("", description="who connects: a .creds file (JWT and seed)")
    nats_nkey_seed_file: str = Field("", description="who connects: a file with the seed of an NKey")
    nats_user: str = Field("", description="who connects, with NATS_PASSWORD")
    nats_password: SecretStr = Field(SecretStr(""), description="the password of NATS_USER")
    nats_tls_ca_file: str = Field("", description="certificates (PEM) that NATS servers are checked with")
    nats_tls_cert_file: str = Field("", description="certificate chain (PEM) that is shown to NATS servers")
    nats_tls_key_file: str = Field("", description="private key (PEM) of NATS_TLS_CERT_FILE")
    replica_ttl_s: float = Field(
        10.0, ge=2, le=300, description="a replica that says nothing for so long is gone: its players get their grace"
    )
    finished_game_retention_s: float = Field(86_400, ge=1, description="a game's log is removed so long after its end")
    ready_timeout_s: float = Field(10.0, gt=0, description="start-up fails when the event log needs longer")
    sweep_interval_s: float = Field(5.0, gt=0, description="how often retention and stuck judging are looked at")

    @field_validator("event_log_url")
    @classmethod
    def _known_log(cls, value: str) -> str:
        if not _EVENT_LOG_URL.match(value):
            raise ValueError(
                "write memory:, sqlite:///path/to/file.db, or nats://host:4222,nats://host:4222 without a password"
            )
        return value

    @model_validator(mode="after")
    def _nats_certificate_with_its_key(self) -> Self:
        if self.nats_tls_cert_file and not self.nats_tls_key_file:
            raise ValueError("NATS_TLS_CERT_FILE: needs NATS_TLS_KEY_FILE")
        return self
