"""Drills: for every alert a real fault against a real server, seen by a real Prometheus and a real Alertmanager."""
