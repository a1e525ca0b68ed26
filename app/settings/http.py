"""What an HTTP request may be, and how often one may come."""

from pydantic import Field

from app.settings.section import Section


class HttpSettings(Section):
    """Sizes and times of requests, and the rates of the HTTP API."""

    handshake_timeout_s: float = Field(10.0, gt=0, description="a request must be whole within this")
    max_header_bytes: int = Field(32_768, ge=4_096, description="request line and headers together")
    max_headers: int = Field(128, ge=16, le=128, description="headers of a request")
    max_body_bytes: int = Field(65_536, ge=1_024, le=16_777_216, description="body of a request, decoded")
    max_chunk_overhead_bytes: int = Field(
        16_384, ge=256, description="chunk sizes, extensions and trailers of a chunked body, together"
    )
    api_requests_per_address_per_second: float = Field(
        50.0, ge=0, description="requests to the HTTP API per client address; 0: no limit; off in development"
    )
    api_request_burst_per_address: int = Field(500, ge=1, description="such requests at once")
    api_requests_per_player_per_second: float = Field(
        10.0, ge=0, description="requests to the HTTP API per player; 0: no limit"
    )
    api_request_burst_per_player: int = Field(50, ge=1, description="such requests at once")
    games_per_address_per_minute: int = Field(
        60, ge=1, description="games made from a client address, and as many at once; off in development"
    )
    http_keep_alive_s: float = Field(5.0, gt=0, description="an HTTP connection that asks nothing more ends after this")
    http_write_timeout_s: float = Field(
        30.0, gt=0, description="an answer must be taken whole within this, or the HTTP connection is cut"
    )
    max_http_connections: int = Field(
        4_096, ge=1, description="open connections that are no WebSockets (yet), on each port; more get 503"
    )
    max_http_connections_per_address: int = Field(
        200, ge=1, description="the same per client address, trusted proxies excepted; off in development"
    )

    reserved_descriptors: int = Field(
        32, ge=0, description="file descriptors that PORT leaves to the rest of the service; past them it answers 503"
    )

    @property
    def max_request_bytes(self) -> int:
        """The most that is ever read for one request."""
        return self.max_header_bytes + self.max_body_bytes + self.max_chunk_overhead_bytes
