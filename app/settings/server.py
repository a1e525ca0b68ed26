"""Where the service runs, where it listens, and who may ask it from a browser."""

import ipaddress
from typing import Self

from pydantic import Field, field_validator, model_validator

from app.settings.section import Listed, Origin, Origins, Section
from app.vocabulary import Environment


class ServerSettings(Section):
    """The server's addresses, its certificate, and the origins of its pages."""

    environment: Environment = Field(Environment.DEVELOPMENT, description="development, production or test")
    host: str = Field(
        "127.0.0.1", description="address to listen on; 0.0.0.0 for all of IPv4, :: for all of IPv6 and IPv4"
    )
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    ops_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="port of probes, metrics and the console (/ops/); empty: they are on PORT, in production without"
        " the console; 0 picks a free one",
    )
    ops_public: bool = Field(
        False,
        description="in production without OPS_PORT: metrics and verbose probes for all, not for this machine alone",
    )
    replica: str = Field("", max_length=64, description="name of this replica; the host name by default")
    revision: str = Field(
        "",
        max_length=64,
        description="commit that this was built from, told in metrics and /version; the image sets it",
    )
    public_url: Origin = Field("", description="how clients reach the service, e.g. https://race.example.org")
    trusted_proxies: Listed = Field(
        (), description="addresses or networks whose X-Forwarded-For and -Proto are believed, comma-separated"
    )
    tls_cert_file: str = Field("", description="certificate chain (PEM), to serve https and wss without a proxy")
    tls_key_file: str = Field("", description="private key (PEM) of TLS_CERT_FILE")
    frontend_url: Origin = Field("", description="origin of the front end, e.g. https://yourdomain.com")
    cors_allowed_origins: Origins = Field((), description="further allowed origins, comma-separated")

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            ipaddress.ip_network(part)
        return value

    @model_validator(mode="after")
    def _tls_certificate_with_its_key(self) -> Self:
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise ValueError("TLS_CERT_FILE: needs TLS_KEY_FILE, and the other way round")
        return self

    @model_validator(mode="after")
    def _ports_apart(self) -> Self:
        if self.ops_port and self.ops_port == self.port:
            raise ValueError("OPS_PORT: is PORT; set another, or none to have probes and metrics on PORT")
        return self

    @property
    def is_development(self) -> bool:
        """Development conveniences apply: dev secret, localhost origins, guests, no per-address limits."""
        return self.environment is Environment.DEVELOPMENT

    @property
    def is_open(self) -> bool:
        """Whether the operators' console is there without OPS_PORT too, and for whoever comes to a local Host."""
        return self.environment is not Environment.PRODUCTION

    @property
    def guards_ops(self) -> bool:
        """Whether metrics and verbose probes are this machine's alone: they stand on the port that is everybody's."""
        return self.environment is Environment.PRODUCTION and self.ops_port is None and not self.ops_public

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Exact origins that browsers may come from."""
        return frozenset(filter(None, (self.frontend_url, *self.cors_allowed_origins)))
