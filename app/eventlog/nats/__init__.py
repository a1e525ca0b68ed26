"""The event log on NATS JetStream."""

from app.eventlog.nats.config import NatsConfig, tls_context
from app.eventlog.nats.log import NatsEventLog

__all__ = ["NatsConfig", "NatsEventLog", "tls_context"]
