"""Diagnostics on demand: what the process is doing, as its own parts tell, safe to ask for in production.

Names of files and functions, counts and sizes; never a value of a variable, so nothing secret is in any of it.
"""
