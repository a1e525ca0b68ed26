"""The rules of docs/clients.md, row by row: one table, which the clients of both languages play."""

from tests.clients.table.calls import CALLS, HANDLERS, REQUESTS
from tests.clients.table.ends import ANSWERS, CLOSES, OUTAGES, SIGNS, STRANGE, TOKENS
from tests.clients.table.row import LANGUAGES, Row

TABLE = (*CALLS, *HANDLERS, *REQUESTS, *TOKENS, *ANSWERS, *STRANGE, *CLOSES, *OUTAGES, *SIGNS)

__all__ = ["LANGUAGES", "TABLE", "Row"]
