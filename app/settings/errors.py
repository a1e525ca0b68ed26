"""Why a command cannot begin."""


class CannotStartError(Exception):
    """A command cannot begin here. The message says what is wrong, where, and what to do; the exit code is 2."""


class SettingsError(CannotStartError):
    """The settings are unusable; the message lists every mistake, one a line."""
