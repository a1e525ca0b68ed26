"""What the service tells of itself.

`observer` and `tracer` are all the service knows; `catalogue` declares every signal; `metrics` stores them as plain
integers and folds them at scrape; `recorder`, `gauges`, `logs` and `tracing` stand at the edge and know the vendors.
"""
