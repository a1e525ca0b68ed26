"""The web: handshake, HTTP API, operations endpoints, the race page."""
