"""One connection: what it is sent, what it sends, how long it lives."""
