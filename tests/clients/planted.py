"""Old faults of both clients, planted one by one into a copy: a row of the table sees each.

``python -m tests.clients.planted [LANGUAGE]...`` plants them all.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients.stage import CLIENTS, SETTINGS, Stage, wrong
from tests.clients.table import TABLE
from tests.clients.table.row import JAVASCRIPT, PYTHON, Row
from tools.harness.server import ServerProcess

PATIENCE_S: Final = 5.0
"""What a client with a fault does not come to in this time counts as not coming: without the fault it takes some ms."""


CONTROL: Final = Row("a race is joined", "connect, open, disconnect, closed")
"""Each client with a fault joins: one that cannot even be loaded would be seen by any row."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: where `old` stands once in a file there is `new`; the row that sees it, by a part of its name."""

    language: str
    name: str
    row: str
    old: str
    new: str
    module: str = "client.js"

    @property
    def path(self) -> str:
        """The file, in the folder of the clients."""
        return f"{'javascript' if self.language == JAVASCRIPT else 'python/code_racer_client'}/{self.module}"


JAVASCRIPT_FAULTS: Final = tuple(
    Fault(JAVASCRIPT, *fault)
    for fault in (
        (
            "what a handler throws goes on into the client",
            "a handler that throws at waiting stops nothing",
            "    } catch (error) {\n      this.#fault(about, error);",
            "    } catch (error) {\n      throw error;",
        ),
        (
            "handlers are called before all is settled",
            "who disconnects when told that the connection is lost stays away",
            "#tell(call) { queueMicrotask(call); }",
            "#tell(call) { call(); }",
        ),
        (
            "an attempt that is stale goes on: two sockets",
            "what is begun and ended in one turn makes no socket of its own",
            "connect() makes one socket\n    if (attempt !== this.#attempt) return;",
            "",
        ),
        (
            "to connect while connecting begins anew",
            "to connect twice is to connect once",
            "    if (!/idle|closed/.test(this.state)) return;\n",
            "",
        ),
        (
            "what a proxy answers is final",
            "404 Not Found default backend",
            "else if (FINAL_REASONS.includes(reason) && !waitMs) this.#end(",
            "else if (status >= 400 && status < 500) this.#end(",
        ),
        (
            "it gives up after five attempts",
            "it goes on trying",
            "  maxReconnectAttempts: null,",
            "  maxReconnectAttempts: 5,",
        ),
        (
            "a time that cannot be read is waited for",
            'draining", "retry_after_ms": "soon"',
            "isNumber(ms, 1, MAX_ADVICE_MS) ? ms : null",
            "ms ?? null",
        ),
        (
            "after an end about the token the old one is sent again",
            "after an end about the token the next begins with a fresh one",
            "if (refreshToken) this.#tokenEnd = why;",
            "if (refreshToken && !this.#freshTokenRefused) this.#tokenEnd = why;",
        ),
        (
            "a renewal that fails is the end",
            "a network that is away while the token is renewed comes back",
            "if (error?.final) {",
            "if (error) {",
        ),
        (
            "the end does not tell those who wait for an answer",
            "the end of the connection is the end of its requests",
            "    for (const one of this.#asked.values()) one.reject(",
            "    for (const one of []) one.reject(",
        ),
        (
            "a refused upgrade is noticed when its time is over",
            "an upgrade whose refusal no close follows is told all the same",
            "ws.onerror = mine(() => { if (!this.#opened) this.#lost(); });",
            "",
        ),
        (
            "a token is sent whatever is in it",
            "a token that ends in '=' is refused here",
            "if (!TOKEN.test(this.#token ?? '')) {",
            "if (this.#token === null) {",
        ),
        (
            "what has come and nobody has seen counts as seen",
            "who disconnects between two events of one turn is handed on no more, and asks for it again",
            "    this.#seq = this.#handedSeq;\n",
            "",
        ),
        (
            "whoever closes with a code of the wire protocol's ends it",
            "a close with 1002 that says nothing of ours is a lost connection",
            "(code >= GAP && FINAL_CLOSE_CODES.includes(code))",
            "FINAL_CLOSE_CODES.includes(code)",
        ),
        (
            "metrics that throw end it",
            "metrics that throw stop nothing",
            "    this.#count('recordError');\n    if (!this.#opened)",
            "    this.metrics.recordError();\n    if (!this.#opened)",
        ),
        (
            "what is told by hand to have come is lost",
            "what is told by hand to have come outlives a disconnect",
            "    this.#seq = this.#handedSeq = seq;",
            "    this.#seq = seq;",
        ),
        (
            "gaps are asked about at once again and again",
            "nor is one that comes again and again after the next event",
            "now < this.#gapsUntil ? this.#gaps + 1 : 0",
            "0",
        ),
        (
            "a game's id may lead to another path",
            "a game's id is one part of the path",
            "encodeURIComponent(this.gameId)",
            "this.gameId",
        ),
        (
            "answers that point elsewhere are followed",
            "is not followed, asked by ticket",
            "redirect: 'manual', signal, method",
            "signal, method",
        ),
        (
            "another token goes to a connection it was not asked for",
            "another token that comes when the connection is another",
            "    if (attempt !== this.#attempt) return;\n    this.#renewing = null;\n",
            "",
        ),
        (
            "a connection that leads nowhere is kept",
            "a connection over which no welcome comes is given up",
            "    this.#timers.open = setTimeout(() => this.#lost(), this.#options.openTimeoutMs);\n",
            "",
        ),
        (
            "an attempt that is stale goes on after its ticket",
            "nor while a ticket is fetched",
            "      if (attempt !== this.#attempt) return;\n      if (!answer.body?.ticket)",
            "      if (!answer.body?.ticket)",
        ),
    )
)

STANDING_STILL: Final = """\
    async def _take(self, frame: str | bytes) -> None:
        while len(self._dispatcher._waiting) > 999:
            await asyncio.sleep(0)
"""
PYTHON_FAULTS: Final = tuple(
    Fault(PYTHON, *fault)
    for fault in (
        (
            "what a handler raises goes on into the client",
            "a handler that throws at waiting stops nothing",
            "# the application may raise anything\n        raise CallFailed(error) from error",
            "\n        raise",
            "calling_out.py",
        ),
        (
            "who is no longer wanted goes on",
            "who is asked for a token may find that nobody wants to connect any more",
            "        if asyncio.current_task() is not self._task:\n            raise asyncio.CancelledError",
            "        return",
            "keeper.py",
        ),
        (
            "handlers hold up what is read",
            "a handler that asks about a message gets its answer",
            "            self._dispatcher.add(message, before)\n",
            "            await self._dispatcher._hand_on(message)\n",
            "keeper.py",
        ),
        (
            "where enough waits for handlers no more is read",
            "a handler that thinks while more comes than waits for it, and then asks, gets its answer",
            "    async def _take(self, frame: str | bytes) -> None:\n",
            STANDING_STILL,
            "keeper.py",
        ),
        (
            "where enough waits for handlers events are lost",
            "meanwhile whoever else asks gets an answer, the end is told, and no event is lost",
            "            self._passed_over = (last_seq,)\n",
            "            pass\n",
            "dispatcher.py",
        ),
        (
            "to connect while connecting begins anew",
            "to connect twice is to connect once",
            "begun = None if self.is_alive else self._keeper.begin()",
            "begun = self._keeper.begin()",
            "websocket.py",
        ),
        (
            "HTML of a proxy is final",
            "502 Bad Gateway",
            "        return Refused(status, response.reason_phrase, final=False)",
            "        return Refused(status, response.reason_phrase)",
            "connection.py",
        ),
        (
            "another gateway's problem document is final",
            '"reason": "waf"',
            "problem.reason in FINAL_REASONS and not asked",
            "not asked",
            "connection.py",
        ),
        (
            "it gives up after five attempts",
            "it goes on trying",
            "        max_reconnect_attempts: int | None = None,",
            "        max_reconnect_attempts: int | None = 5,",
            "websocket.py",
        ),
        (
            "a time that nobody of ours asks for is waited for",
            'draining", "retry_after_ms": 1e300',
            "not 0 < wait_ms <= MAX_ADVICE_MS",
            "wait_ms < 0",
            "message.py",
        ),
        (
            "a connect that is cancelled leaves its task",
            "a connect that is cancelled leaves nothing",
            "                await self._end(politely=False)",
            "                pass",
            "websocket.py",
        ),
        (
            "the end does not tell those who wait for an answer",
            "the end of the connection is the end of its requests",
            '        self.requests.fail(error or ClientError("disconnected"))\n',
            "",
            "keeper.py",
        ),
        (
            "a renewal that fails is raised as it is",
            "a network that is away while the token is renewed comes back",
            "            raise NotRenewed(failed.error) from None",
            "            raise failed.error from None",
            "token.py",
        ),
        (
            "a refused token is sent again and again",
            "after an end about the token the next begins with a fresh one",
            "        if self._is_stale:\n",
            "        if self._is_stale and self._refresh is None:\n",
            "token.py",
        ),
        (
            "what has come and nobody has seen counts as seen",
            "what waits behind a handler that never returns is asked for again another time",
            "            (self.last_seq,) = rewound\n",
            "            pass\n",
            "keeper.py",
        ),
        (
            "metrics that raise end it",
            "metrics that throw stop nothing",
            '            self._fault(failed.error, "metrics")',
            "            raise failed.error from None",
            "metrics.py",
        ),
        (
            "gaps are asked about at once again and again",
            "nor is one that comes again and again after the next event",
            "self._gaps + 1 if now < self._gaps_until else 0",
            "0",
            "reconnection.py",
        ),
        (
            "a welcome without data is none",
            "a welcome that says nothing is a welcome",
            "        data = said if isinstance(said, dict) else {}",
            "        if not isinstance(said, dict):\n            return\n        data = said",
            "keeper.py",
        ),
        (
            "what is sent while what has waited is sent overtakes it",
            "what waits is sent ahead of what a handler of the open connection sends",
            "            async with self._sending:\n",
            "            if texts:\n",
            "connection.py",
        ),
        (
            "the machine's sleep is not noticed",
            "jump ends the wait",
            "        if at - before > _MOST * WATCH_S:",
            "        if False:",
            "sleep.py",
        ),
    )
)
FAULTS: Final = (*JAVASCRIPT_FAULTS, *PYTHON_FAULTS)


def seen(fault: Fault, server: ServerProcess, folder: Path) -> list[str]:
    """By what the fault is seen: how the row goes, played by a copy of the client that has it."""
    clients = folder / "clients"
    shutil.copytree(CLIENTS, clients, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    path = clients / fault.path
    path.write_text(path.read_text("utf-8").replace(fault.old, fault.new), "utf-8")
    (row,) = (row for row in TABLE if fault.row in row.name and row.is_for(fault.language))
    with Stage(fault.language, server, client=clients) as stage:
        ((_, told),) = stage.play([CONTROL])
        assert told is not None, fault.name
        assert "open" in told.get("heard", ()), f"{fault.name}: {told}"
        ((_, told),) = stage.play([row], PATIENCE_S)
        return wrong(row, told)


def main(languages: Sequence[str]) -> int:
    """Plant all of these languages, or of both; print what is seen, and return how many were not."""
    unseen = 0
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder, "server"), **SETTINGS) as server:
        for number, fault in enumerate(FAULTS):
            if languages and fault.language not in languages:
                continue
            signs = seen(fault, server, Path(folder, str(number)))
            unseen += not signs
            sys.stdout.write(f"{'seen' if signs else 'NOT SEEN':8}  {fault.language:10}  {fault.name}: {signs[:1]}\n")
    return unseen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
