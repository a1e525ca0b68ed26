"""What the settings choose: where the keys of tokens come from, and what tickets are signed with."""

from app.settings import AuthSettings, signing_secret
from app.telemetry.observer import Observer
from app.vocabulary import Environment
from app.web.auth.issuer import TokenIssuer
from app.web.auth.jwks import JwksKeys
from app.web.auth.keys import SharedSecrets
from app.web.auth.tickets import Claim, TicketIssuer, derived_key


def select_keys(settings: AuthSettings, environment: Environment, observer: Observer) -> SharedSecrets | JwksKeys:
    """Make the source of the keys. Raises SettingsError where there is none."""
    if settings.jwt_jwks_url:
        return JwksKeys(settings, observer)
    return SharedSecrets(signing_secret(settings, environment), settings.jwt_previous_secret.get_secret_value())


def select_tickets(settings: AuthSettings, keys: SharedSecrets | JwksKeys, claim: Claim) -> TicketIssuer:
    """Make what issues tickets: with the key of their own, or with those derived from the shared secrets."""
    return TicketIssuer(_ticket_keys(settings, keys), settings.ticket_ttl_s, claim)


def _ticket_keys(settings: AuthSettings, keys: SharedSecrets | JwksKeys) -> tuple[str, ...]:
    own = settings.ticket_secret.get_secret_value()
    if own:
        return (own,)
    if isinstance(keys, SharedSecrets):
        return tuple(derived_key(secret) for secret in (keys.current, keys.previous) if secret)
    return ()


def select_issuer(settings: AuthSettings, keys: SharedSecrets | JwksKeys) -> TokenIssuer:
    """Make what issues tokens of guests; only a service with a shared secret is asked to."""
    secret = keys.current if isinstance(keys, SharedSecrets) else ""
    return TokenIssuer(secret, settings.jwt_issuer, settings.jwt_audience)


def replace_secrets(
    settings: AuthSettings,
    environment: Environment,
    keys: SharedSecrets | JwksKeys,
    tickets: TicketIssuer,
    issuer: TokenIssuer,
) -> None:
    """Have tokens and tickets made and verified with the secrets of `settings` from now on."""
    if isinstance(keys, SharedSecrets):
        keys.current, keys.previous = (
            signing_secret(settings, environment),
            settings.jwt_previous_secret.get_secret_value(),
        )
        issuer.secret = keys.current
    tickets.keys = _ticket_keys(settings, keys)
