"""The event log on NATS JetStream."""

from app.eventlog.nats.log import NatsEventLog

__all__ = ["NatsEventLog"]
