"""The rotation of secrets: their files are read again, and what verifies and signs uses them from then on."""

from app.eventlog import EventLog
from app.settings import Settings, SettingsError, has_secret_files, reread_secrets, secret_fingerprints
from app.telemetry.recorder import Recorder
from app.web.auth.issuer import TokenIssuer
from app.web.auth.jwks import JwksKeys
from app.web.auth.keys import SharedSecrets
from app.web.auth.select import replace_secrets
from app.web.auth.tickets import TicketIssuer


class Rotation:
    """The secrets in use, and those who use them; `fingerprints` tells the secrets apart without telling them."""

    def __init__(
        self,
        settings: Settings,
        event_log: EventLog,
        keys: SharedSecrets | JwksKeys,
        tickets: TicketIssuer,
        issuer: TokenIssuer,
        recorder: Recorder,
    ) -> None:
        self.fingerprints = secret_fingerprints(settings)
        self._settings = settings
        self._event_log = event_log
        self._keys = keys
        self._tickets = tickets
        self._issuer = issuer
        self._recorder = recorder

    def reread(self) -> None:
        """Read the files of secrets again: all are used as they are now, or none where one is of no use."""
        if not has_secret_files(self._settings):
            return
        try:
            settings = reread_secrets(self._settings)
            self._event_log.reread_user()
            replace_secrets(settings, settings.environment, self._keys, self._tickets, self._issuer)
        except SettingsError as error:
            self._recorder.secrets((), str(error))
            return
        before, self.fingerprints = self.fingerprints, secret_fingerprints(settings)
        self._recorder.secrets([name for name, now in self.fingerprints.items() if now != before[name]], None)
