"""The operators' console over HTTP, below /ops/."""
