"""The service, asked whether it is ready when the game's port does not listen yet; stderr has the answer."""

import asyncio
import sys
from typing import Any

from app.__main__ import main
from app.listeners import port_of
from app.server import Server
from tools.harness import fetch

_startup = Server.startup


async def _ask_early(self: Server, sockets: Any = None) -> None:
    start = self.lifespan.startup

    async def start_and_ask() -> None:
        await start()
        url = f"http://127.0.0.1:{port_of(self._listeners.ops)}/readyz"
        answer = await asyncio.to_thread(fetch.get, url, timeout=30)
        sys.stderr.write(f"asked early: {answer.status_code}\n")

    self.lifespan.startup = start_and_ask
    await _startup(self, sockets)


if __name__ == "__main__":
    Server.startup = _ask_early  # type: ignore[method-assign] # see above
    sys.exit(main())
