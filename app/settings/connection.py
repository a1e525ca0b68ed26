"""How a WebSocket connection is carried: buffers, pings, its end."""

from pydantic import Field

from app.settings.section import Section
from app.vocabulary import WsTransport


class ConnectionSettings(Section):
    """The transport of WebSockets, what may wait in it, and when a connection is given up."""

    listen_backlog: int = Field(
        4_096,
        ge=1,
        description="connections that wait to be accepted; the kernel holds no more than net.core.somaxconn",
    )
    ws_transport: WsTransport = Field(
        WsTransport.LEAN, description="lean: our own; uvicorn: uvicorn's protocol on websockets, slower and larger"
    )
    ws_deflate: bool = Field(False, description="compress messages to and from clients that offer it (RFC 7692)")
    ws_deflate_min_bytes: int = Field(512, ge=0, description="payloads under this are sent as they are")
    outbox_max_bytes: int = Field(1_048_576, ge=4_096, description="unsent bytes per connection before 4430")
    socket_unsent_bytes: int = Field(
        131_072,
        ge=0,
        description="the kernel holds no more per connection, the rest waits in the outbox; 0: its own limit",
    )
    tls_unread_bytes: int = Field(
        32_768,
        ge=16_384,
        description="with TLS_CERT_FILE the kernel, and TLS after it, hold so much per connection that is not read yet",
    )
    outbox_max_age_s: float = Field(15.0, gt=0, description="a durable frame unsent for so long closes with 4430")
    ping_interval_s: float = Field(20.0, gt=0, description="protocol ping to each client")
    ping_timeout_s: float = Field(20.0, gt=0, description="an unanswered ping closes the connection after this")
    idle_timeout_s: float = Field(0.0, ge=0, description="no message for so long closes with 4408; 0: off")
    max_connection_age_s: float = Field(0.0, ge=0, description="connections are renewed after this, ± 10 %; 0: off")
    close_timeout_s: float = Field(5.0, gt=0, description="wait for the client's close frame, then cut")
