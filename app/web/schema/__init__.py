"""What the service can be asked and says, for machines: OpenAPI for HTTP, AsyncAPI for WebSockets."""
