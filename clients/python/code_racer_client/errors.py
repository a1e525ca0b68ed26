"""What can go wrong, as this client raises it."""


class ClientError(Exception):
    """Something this client cannot mend; the message never holds the token. A `final` one ends the connection."""

    final = False


class Unusable(ClientError):  # noqa: N818 - a state of what was given
    """There can be no service at the URL that the application has given."""

    final = True


class Refused(ClientError):  # noqa: N818 - the server's answer
    """The server refused the connection.

    `status`, `detail` and `reason`, a closed word, say why; `retry_after_s` when to try again if the server does.
    `refresh_token` may raise it too: it says that there will be no fresh token, and no more tries are made.
    """

    def __init__(
        self, status: int, detail: str, retry_after_s: float | None = None, *, reason: str = "", final: bool = True
    ) -> None:
        super().__init__(f"refused with {status}: {detail}")
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.reason = reason
        self.final = final


class Disconnected(ClientError):  # noqa: N818 - a state of the connection
    """The connection has ended: `code` and `reason` are the close frame's, `final` that it will not come back."""

    def __init__(self, code: int, reason: str, *, final: bool = False) -> None:
        super().__init__(f"disconnected with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason
        self.final = final


class Rejected(ClientError):  # noqa: N818 - the server's answer
    """The server answered a `request` with an ``error``: its `code`, and when to try again if that helps."""

    def __init__(self, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retry_after_s = retry_after_s
