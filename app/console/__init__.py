"""The operators' console: what is seen of a running service, and done to it; the web serves it."""
