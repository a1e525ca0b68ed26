"""The WebSocket handshake: who is let in, and how everybody else is told why not."""
