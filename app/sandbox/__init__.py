"""The judge's worker: a process of its own, in which submitted code is run and what comes of it is bounded.

`messages` is what the service and a worker send each other, `runner` runs one submission, `__main__` is the process.
"""
