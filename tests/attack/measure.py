"""Runs an attack twice beside the same bystander: against a sink, then against a server of its own; and judges it.

The sink shows what the generator and the machine cost the bystander by themselves.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import httpx

from app.settings import load_settings
from tests.attack.bystander import OTHERS
from tests.attack.fight import Talker
from tests.attack.inputs.judge import MARK
from tests.attack.model import Aim, Attack, Result
from tests.attack.scene import Scene, scene
from tests.attack.stage import AttackedServer, Helper, LogOf, Watch, bystander, helper
from tools.harness.machine import Withheld, Witness
from tools.harness.player import SOLUTION
from tools.harness.server import SECRET

LEAST_BOUND_S: Final = 0.25
TIMES_THE_SINK: Final = 3.0
MOST_GROWN_BYTES: Final = 64 * 2**20
CONNECTION_BYTES: Final = 12 * 1024
"""What an open one costs at rest (docs/speed.md)."""
RACE_WITHIN_S: Final = 10.0
VERDICT_WITHIN_S: Final = 6.0
"""A bystander's right solution: the worker may have just begun with somebody's that takes its limit of 2 s and more."""
STARVED_S: Final = 60.0
"""So long is looked on how long something takes: what of it the machine withheld is taken off."""
SETTLES_S: Final = 0.3
TRIES: Final = 3
AFTER_A_RESTART_S: Final = 2.0
LINES_PER_KIND_PER_S: Final = 25
"""LOG_REPEATS_PER_S, and a little."""
USUAL: Final = frozenset(
    {
        "app.started", "app.draining", "app.drain_progressed", "app.stopped", "ws.opened", "ws.closed", "ws.refused",
        "ws.authenticated", "limit.exceeded", "message.rejected", "game.created", "game.started", "game.finished",
        "submission.judged", "http.rejected", "http.refused", "log.suppressed",
    }
)  # fmt: skip
ONE_EACH: Final = frozenset({"ws.opened", "ws.closed", "submission.judged"})
"""Lines of things whose number has a bound of its own."""
FAULTY: Final = ("Traceback (most recent call last)", '"level":"critical"', '"event":"app.fault"', '"exception":')
_ARE_DOWN: Final = (OSError, RuntimeError, AssertionError, httpx.HTTPError, ValueError, KeyError)
"""What talking to a server raises that does not answer as it should."""


@dataclass(slots=True)
class Run:
    """An attack on one transport, with the code under test, and what is found out."""

    attack: Attack
    transport: str
    code: Path
    folder: Path
    sink_port: int
    sink_p99_s: dict[str, float] = field(default_factory=dict)
    """What was measured with the sink a moment ago, on the other transport."""
    result: Result = field(init=False)

    def __post_init__(self) -> None:
        self.result = Result(id=self.attack.id, transport=self.transport, sink_p99_s=self.sink_p99_s)

    @property
    def settings(self) -> dict[str, object]:
        """Of the server, but for what stands around it."""
        return {"ws_transport": self.transport, **self.attack.settings}

    def fail(self, what: str) -> None:
        """Somebody was hurt."""
        self.result.failures.append(what[:300])


def bound_s(sink_s: float) -> float:
    """The most that the bystander's 99th percentile may be."""
    return max(LEAST_BOUND_S, TIMES_THE_SINK * sink_s)


def p99(latencies: list[float]) -> float:
    """The 99th percentile; of under a hundred the highest."""
    if len(latencies) < 100:
        return max(latencies, default=0.0)
    return quantiles(latencies, n=100)[98]


def measured(run: Run, tries: int = TRIES) -> Result:
    """`measure`; where somebody was hurt by slowness alone, again, for it may have been the machine's."""
    result = measure(run)
    for number in range(1, tries):
        if not result.is_only_slow:
            break
        result = measure(Run(run.attack, run.transport, run.code, run.folder / f"again-{number}", run.sink_port))
        result.tries = number + 1
    return result


def measure(run: Run) -> Result:
    """Both fights, and the verdict."""
    with _generator(run) as generator, scene(run.attack, run.folder, run.sink_port, run.code) as around:
        if not run.result.sink_p99_s:
            _against_sink(run, around)
        run.folder.mkdir(parents=True, exist_ok=True)
        server = AttackedServer(run.folder / "server", run.code, **run.settings, **around.settings)
        try:
            server.start()
            _against_server(run, around, server, generator)
        finally:
            if server.alive:
                server.kill()
    return run.result


# -------------------------------------------------------------------- against the sink


def _against_sink(run: Run, around: Scene) -> None:
    games = [f"00000000-0000-4000-8000-{number:012}" for number in range(max(1, run.attack.games))]
    aim = Aim(port=around.sink_port, is_sink=True, games=games, tokens=_tokens(run, around), data=around.data)
    watcher = bystander(run.sink_port, run.sink_port, games[0], around.token("bystander"))
    with contextlib.closing(watcher), _generator(run) as generator:
        _aim(generator, aim)
        seen, _ = _fight(run, generator, watcher)
    run.result.sink_p99_s = {name: p99(one["latencies"]) for name, one in seen.items()}


def _tokens(run: Run, around: Scene) -> list[str]:
    return [around.token(f"attacker-{number}") for number in range(run.attack.seats)]


def _generator(run: Run) -> contextlib.AbstractContextManager[Helper]:
    """A process that has yet to be told where; what it imports takes it a while."""
    return helper("tests.attack.generator", run.attack.id)


def _aim(generator: Helper, aim: Aim) -> None:
    generator.tell(aim.document())
    generator.told()


def _fight(
    run: Run, generator: Helper, watcher: Helper, meanwhile: Callable[[], None] | None = None
) -> tuple[Any, Any]:
    """What the bystander has seen of the attack, and what the generator has."""
    watcher.tell()
    time.sleep(SETTLES_S)
    generator.tell()
    if meanwhile is not None:
        meanwhile()
    done = generator.told(run.attack.seconds + 60)
    watcher.tell()
    return watcher.told(60), done


# -------------------------------------------------------------------- against the server


def _against_server(run: Run, around: Scene, server: AttackedServer, generator: Helper) -> None:
    log = LogOf(server)
    port = int(server.settings["PORT"])
    mine, *games = [_game(server, around, number, run.attack) for number in range(run.attack.games + 1)]
    aim = Aim(
        port=around.port(server),
        is_sink=False,
        games=games,
        tokens=_tokens(run, around),
        data={**around.data, "pid": server.pid, "folder": str(server.folder), "code": str(run.code)},
    )
    meanwhile = _submission(run, around, server) if run.attack.is_judged else None
    watcher = bystander(port, server.ops_port, mine, around.token("bystander"))
    counted = server.counted()
    with contextlib.closing(watcher):
        _aim(generator, aim)
        time.sleep(SETTLES_S)
        with Watch(server, watcher.pid) as watch:
            try:
                seen, done = _fight(run, generator, watcher, meanwhile)
            except _ARE_DOWN as error:
                run.fail(f"the attack did not come to its end: {error}")
            else:
                _note(run, seen, done, watch.withheld)
        _judge_memory(run, watch)
        try:
            _restart(run, server)
            _judge_counts(run, counted, server.counted())
            _race(server, around, "after")
        except _ARE_DOWN as error:
            run.fail(f"no race afterwards: {str(error) or type(error).__name__}")
        _end(run, server)
    _judge_log(run, around, aim, log)


def _game(server: AttackedServer, around: Scene, number: int, attack: Attack) -> str:
    """The first is the bystander's."""
    wishes = {"min_players": 2, "max_players": min(100, max(8, attack.seats)), **(attack.wishes if number else {})}
    return server.new_game(around.token(f"host-{number}"), **wishes)


def _submission(run: Run, around: Scene, server: AttackedServer) -> Callable[[], None]:
    """A race of bystanders that runs; what they do in it."""
    talkers = _racing(server, around, "judged")

    def hand_in() -> None:
        try:
            time.sleep(SETTLES_S)
            witness = Witness(server.folder)
            with witness.looking():
                began = time.monotonic()
                talkers[0].say("submit_code", {"code": SOLUTION})
                judged = talkers[0].wait("submission_judged", STARVED_S)
                run.result.verdict_s = time.monotonic() - began
            if judged is None or witness.withheld.leaves_too_long(run.result.verdict_s, VERDICT_WITHIN_S):
                run.result.slow += 1
                run.fail(f"a bystander's verdict took {run.result.verdict_s:.1f} s")
            elif judged["data"]["verdict"] != "accepted":
                run.fail(f"a bystander's right solution was judged {judged['data']['verdict']}")
        finally:
            for one in talkers:
                one.close()

    return hand_in


def _racing(server: AttackedServer, around: Scene, name: str) -> list[Talker]:
    """Two players whose race has begun."""
    game = server.new_game(around.token(f"{name}-host"), min_players=2)
    port = int(server.settings["PORT"])
    talkers = [Talker(port, game, around.token(f"{name}-{number}"), source=OTHERS) for number in range(2)]
    for one in talkers:
        one.say("ready", {"status": "ready"})
    for one in talkers:
        if one.wait("game_started", RACE_WITHIN_S) is None:
            raise RuntimeError(f"a race does not start; a player's status {one.status}, close code {one.code}")
    return talkers


def _race(server: AttackedServer, around: Scene, name: str) -> None:
    """A fresh race from end to end."""
    talkers = _racing(server, around, name)
    try:
        talkers[1].say("submit_code", {"code": SOLUTION})
        if talkers[0].wait("game_finished", RACE_WITHIN_S) is None:
            raise RuntimeError("a race does not end")
    finally:
        for one in talkers:
            one.close()


def _restart(run: Run, server: AttackedServer) -> None:
    """Killed and started again: what the attack left in the log must not hurt."""
    if not (run.attack.restarts or not server.alive):
        return
    server.kill()
    server.start()
    if run.attack.restarts:
        with Watch(server) as watch:
            time.sleep(AFTER_A_RESTART_S)
        _judge_memory(run, watch)


def _end(run: Run, server: AttackedServer) -> None:
    """SIGTERM ends it within the bound of a drain, whoever is still connected."""
    settings = {name.lower(): value for name, value in server.settings.items()}
    longest_s = load_settings(_env_file=None, **settings).drain.longest_s
    if not server.alive:
        return
    witness = Witness(server.folder)
    with witness.looking():
        began = time.monotonic()
        server.signal_term()
        run.result.drain_s = server.gone_after(longest_s + STARVED_S) and time.monotonic() - began
    if run.result.drain_s is None or witness.withheld.leaves_too_long(run.result.drain_s, longest_s):
        run.fail(f"SIGTERM did not end it within {longest_s:g} s")


# -------------------------------------------------------------------- the verdict


def _note(run: Run, seen: dict[str, Any], done: dict[str, Any], withheld: Withheld) -> None:
    result, attack = run.result, run.attack
    result.p99_s = {name: p99(one["latencies"]) for name, one in seen.items()}
    result.samples = {name: len(one["latencies"]) for name, one in seen.items()}
    result.sent_bytes, result.sent_pieces, result.opened = done["sent"], done["pieces"], done["opened"]
    result.seen = done["seen"]
    for name, took_s in result.p99_s.items():
        most_s = bound_s(result.sink_p99_s[name])
        if withheld.leaves_too_long(took_s, most_s):
            run.result.slow += 1
            run.fail(f"{name}: p99 {took_s * 1000:.0f} ms, bound {most_s * 1000:.0f} ms")
        if lost := seen[name]["lost"]:
            run.fail(f"{name}: {lost} had no answer")
    if not set(attack.expect) & set(result.seen):
        run.fail(f"none of {', '.join(attack.expect)} was observed: {result.seen}")
    for name in set(attack.never) & set(result.seen):
        run.fail(f"{name} was observed {result.seen[name]} times")


def _judge_memory(run: Run, watch: Watch) -> None:
    result = run.result
    result.grown_bytes = max(result.grown_bytes, watch.grown)
    result.workers_grown_bytes = max(result.workers_grown_bytes, watch.workers_grown)
    result.loop_cpu_s = max(result.loop_cpu_s, watch.cpu_s)
    if watch.was_ended:
        run.fail("it was ended by the guard, for the machine's sake")
    most = MOST_GROWN_BYTES + result.opened * CONNECTION_BYTES
    if watch.grown > most:
        run.fail(f"memory grew {watch.grown / 2**20:.0f} MiB, bound {most / 2**20:.0f} MiB")
    if watch.workers_grown > 2 * MOST_GROWN_BYTES:
        run.fail(f"a worker's memory grew {watch.workers_grown / 2**20:.0f} MiB")


def _judge_counts(run: Run, before: dict[str, float], after: dict[str, float]) -> None:
    """What happened has been counted, and no fault with it."""
    if run.attack.counts and not any(_grown(before, after, name) for name in run.attack.counts):
        run.fail(f"none of {', '.join(run.attack.counts)} has counted it")
    if faults := _grown(before, after, "code_racer_faults_total"):
        run.fail(f"{faults:.0f} faults")


def _grown(before: dict[str, float], after: dict[str, float], start: str) -> float:
    return sum(value - before.get(key, 0.0) for key, value in after.items() if key.startswith(start))


def _judge_log(run: Run, around: Scene, aim: Aim, log: LogOf) -> None:
    result, text = run.result, log.text + around.logs()
    (run.folder / "log.txt").write_text(text)
    result.log_events = dict(log.counted)
    result.log_lines = sum(result.log_events.values())
    for mark in FAULTY:
        if mark in text:
            run.fail(f"the log has {text.count(mark)} of {mark}")
    for secret in (SECRET, MARK, *aim.tokens):
        if secret in text:
            run.fail("a secret is in a log")
            break
    for event, number in result.log_events.items():
        if event not in USUAL and event not in run.attack.loud:
            run.fail(f"the log has {number} of {event}")
    seconds = run.attack.seconds + 5
    most = LINES_PER_KIND_PER_S * seconds
    for event, number in result.log_events.items():
        if number > most and event not in ONE_EACH:
            run.fail(f"the log has {number} lines of {event}, bound {most:.0f}")
