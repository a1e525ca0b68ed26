"""The settings of a service as its operators see them: secrets by their fingerprints alone."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from app.settings import SECRETS, Settings, describe


class SettingRow(Struct, frozen=True):
    """One setting; the value of a secret is its fingerprint, `none` where it is not set."""

    name: str
    value: str
    is_default: bool
    description: str


class SettingsView:
    """Shows the settings; `fingerprints` tells the secrets in use apart."""

    def __init__(self, settings: Settings, fingerprints: Callable[[], Mapping[str, str]]) -> None:
        self._settings = settings
        self._fingerprints = fingerprints

    def show(self) -> list[SettingRow]:
        """Show all of them, in the order of the reference."""
        fingerprints = self._fingerprints()
        rows = []
        for name, value in describe(self._settings):
            field = Settings.model_fields[name.lower()]
            shown = fingerprints[name] if name in SECRETS else value
            is_default = getattr(self._settings, name.lower()) == field.get_default(call_default_factory=True)
            rows.append(SettingRow(name, shown, is_default, field.description or ""))
        return rows
