"""Who is who: tokens, tickets, guests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from app.settings.section import MIN_SECRET_BYTES, Listed, Secret, Section, http_url, some_of

JWKS_ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
_LIKE_JWKS_URL: Final = "https://login.example.org/.well-known/jwks.json"
KEPT_IN_FILES: Final = ("jwt_secret", "jwt_previous_secret", "ticket_secret")
"""The secrets that may be in files instead, which the settings of these names and ``_file`` are the paths of."""


def _read_secret(name: str, file: str) -> str:
    try:
        secret = Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(
            f"{name.upper()}_FILE: cannot read {file}: {why}; it has the one line that is the key"
        ) from None
    if not secret and name != "jwt_previous_secret":
        raise ValueError(f"{name.upper()}_FILE: {file} is empty; it has the one line that is the key")
    return secret


class AuthSettings(Section):
    """What tokens are verified with, and how long tokens and tickets live."""

    jwt_secret: Secret = Field(
        SecretStr(""),
        description=f"HS256 key, at least {MIN_SECRET_BYTES} bytes; made for you in development",
    )
    jwt_previous_secret: Secret = Field(
        SecretStr(""), description="the key before JWT_SECRET: still accepted, signs nothing; unset it after a rotation"
    )
    jwt_secret_file: str = Field("", description="file with JWT_SECRET, instead of it; read anew at SIGHUP")
    jwt_previous_secret_file: str = Field(
        "",
        description="file with JWT_PREVIOUS_SECRET, instead of it; read anew at SIGHUP, and empty where there is none",
    )
    jwt_jwks_url: Annotated[str, AfterValidator(http_url(_LIKE_JWKS_URL))] = Field(
        "", description="where the public keys of tokens are; instead of JWT_SECRET"
    )
    jwt_algorithms: Annotated[Listed, AfterValidator(lambda value: some_of(value, JWKS_ALGORITHMS))] = Field(
        JWKS_ALGORITHMS, description="algorithms accepted with JWT_JWKS_URL"
    )
    jwks_refresh_s: float = Field(300.0, ge=1, description="the keys are fetched again so often, in the background")
    jwks_timeout_s: float = Field(5.0, gt=0, le=60, description="a fetch of the keys fails after this")
    jwks_cooldown_s: float = Field(10.0, ge=0, description="an unknown key id asks for a fetch at most so often")
    jwks_max_age_s: float = Field(86_400, ge=1, description="keys not fetched for so long are not believed any more")
    jwks_max_bytes: int = Field(262_144, ge=1_024, le=16_777_216, description="longest answer with the keys")
    jwks_max_keys: int = Field(100, ge=1, le=1_000, description="keys in such an answer")
    jwt_issuer: str = Field("", description="required `iss` of tokens; empty: not checked")
    jwt_audience: str = Field("", description="required `aud` of tokens; empty: not checked")
    jwt_leeway_s: float = Field(5.0, ge=0, le=300, description="clock skew allowed in `exp`, `nbf` and `iat`")
    auth_timeout_s: float = Field(5.0, gt=0, description="the first message must bring the token within this")
    token_expiring_notice_s: float = Field(60.0, ge=0, description="token_expiring is sent so long before the end")
    ticket_secret: Secret = Field(
        SecretStr(""), description="key of connection tickets; derived from JWT_SECRET where empty"
    )
    ticket_secret_file: str = Field("", description="file with TICKET_SECRET, instead of it; read anew at SIGHUP")
    ticket_ttl_s: float = Field(30.0, ge=1, le=600, description="life of a connection ticket")
    guests: bool | None = Field(None, description="POST /api/guests; on in development, off in production")
    guest_token_ttl_s: int = Field(14_400, ge=60, le=604_800, description="life of a guest's token")
    guest_renewal_grace_s: int = Field(
        14_400,
        ge=0,
        le=604_800,
        description="so long after its end a guest's token still gets a fresh one; 0: not at all",
    )
    guests_per_address_per_minute: int = Field(20, ge=1, description="new guests per address")

    @model_validator(mode="before")
    @classmethod
    def _with_secrets_of_files(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        read = {}
        for name in KEPT_IN_FILES:
            if file := given.get(f"{name}_file"):
                if given.get(name):
                    raise ValueError(f"{name.upper()}_FILE: set it or {name.upper()}, not both")
                read[name] = _read_secret(name, file)
        return {**given, **read}

    @model_validator(mode="after")
    def _one_kind_of_token(self) -> Self:
        if self.jwt_jwks_url and self.jwt_secret.get_secret_value():
            raise ValueError("JWT_JWKS_URL: set it or JWT_SECRET, not both: one kind of token is accepted")
        own = self.ticket_secret.get_secret_value()
        if own and own in {self.jwt_secret.get_secret_value(), self.jwt_previous_secret.get_secret_value()}:
            raise ValueError("TICKET_SECRET: must not be JWT_SECRET, or a ticket would pass as a token")
        return self
