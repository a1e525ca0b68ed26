"""What the service tells of itself.

`observer` is all the service knows; `catalogue` declares every signal; `metrics` stores them as plain
integers and folds them at scrape; `recorder` and `logs` stand at the edge and know the vendors.
"""
