"""The rules of docs/clients.md, row by row: one table, which the clients of both languages play."""

from tests.clients.table.calls import CALLS, HANDLERS, REQUESTS
from tests.clients.table.ends import ANSWERS, CLOSES, OUTAGES, STRANGE, TOKENS
from tests.clients.table.row import LANGUAGES, Row
from tests.clients.table.signs import SIGNS

TABLE = (*CALLS, *HANDLERS, *REQUESTS, *TOKENS, *ANSWERS, *STRANGE, *CLOSES, *OUTAGES, *SIGNS)

__all__ = ["LANGUAGES", "TABLE", "Row"]
