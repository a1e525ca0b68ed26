"""The other replicas that share the event log, and the log's health as seen from here."""
