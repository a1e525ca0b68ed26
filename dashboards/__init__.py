"""The Grafana dashboards, built from code and committed as JSON."""
