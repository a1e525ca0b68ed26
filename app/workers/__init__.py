"""The workers of one machine: processes that serve one port together, each of them its share of the games.

`share` says whose a game is, `inherited` what the supervisor gave a worker.
"""

from app.workers.inherited import Inherited
from app.workers.share import Share

__all__ = ["Inherited", "Share"]
