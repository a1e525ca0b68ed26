"""The judge: code that gives too much, takes too long, tells what it must not, or keeps others waiting."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.attack.fight import Act, Fight, Talker
from tests.attack.model import Attack

MARK: Final = "a_mark_in_submitted_code"
"""In every submission; never in a log."""
_RIGHT: Final = """
    total = 0
    for count, number in enumerate(numbers, 1):
        total += number
        if total > limit:
            return count
    return -1
"""
_PATIENCE_S: Final = 5.0
"""A verdict is waited for so long at least."""
Solution = Callable[[dict[str, Any]], str]
"""The code for a problem, whose visible tests are known."""


def _returns(lines: str) -> Solution:
    """A solution that does this."""
    code = f"def solve(numbers, limit):\n    {MARK} = 0\n" + "".join(f"    {line}\n" for line in lines.split("\n"))
    return lambda _: code


def _spy(exception: str) -> Solution:
    """Right where a test is visible; tells the arguments where it is hidden."""

    def code(problem: dict[str, Any]) -> str:
        seen = [test["args"] for test in problem["tests"]]
        return (
            f"SEEN = {seen!r}\ndef solve(numbers, limit):\n    if [numbers, limit] not in SEEN:\n"
            f"        {exception}\n{_RIGHT}"
        )

    return code


def race(fight: Fight, number: int, host: int = 0) -> tuple[Talker, dict[str, Any]] | None:
    """Player `host` and one more race in game `number`: the player, and the problem; None where that cannot be."""
    game = fight.game(number)
    first = fight.talker(game, fight.token(host))
    second = fight.talker(game, fight.token(1 + number))
    for one in (first, second):
        one.say("ready", {"status": "ready"})
    if fight.aim.is_sink:
        return first, {"tests": []}
    started = first.wait("game_started")
    if started is None or second.wait("game_started") is None:
        fight.tally.seen["no race"] += 1
        return None
    return first, started["data"]["problem"]


def _hand_in(fight: Fight, player: Talker, code: str) -> None:
    """One submission, to its verdict or until the time is over."""
    player.say("submit_code", {"code": code})
    result = player.wait("submission_result", max(_PATIENCE_S, fight.ends - time.monotonic()))
    if result is None:
        fight.tally.seen["no verdict"] += 1
        return
    fight.tally.seen[result["data"]["verdict"]] += 1
    told = json.dumps([result["data"]["detail"], result["data"]["tests"]])
    fight.tally.seen["leak"] += "LEAK" in told


def _submits(solution: Solution) -> Act:
    """One player, one game: again and again, each when the one before has its verdict."""

    def act(fight: Fight) -> Iterator[None]:
        found = race(fight, 0)
        yield
        if found is None:
            return
        player, problem = found
        for _ in fight.paced():
            _hand_in(fight, player, solution(problem))
            if player.code is not None:
                return

    return act


def _submits_in_many_games(solution: Solution) -> Act:
    """One player in all the games at once."""

    def act(fight: Fight) -> Iterator[None]:
        found = [one for number in range(fight.attack.games) if (one := race(fight, number)) is not None]
        yield
        for player, problem in found:
            player.say("submit_code", {"code": solution(problem)})
        while fight.is_on and found:
            for player, problem in found:
                result = player.wait("submission_result", 0.02)
                if result is not None:
                    fight.tally.seen[result["data"]["verdict"]] += 1
                    player.say("submit_code", {"code": solution(problem)})
            if fight.aim.is_sink:
                time.sleep(0.05)
        fight.tally.seen["done"] += 1

    return act


_LOUD: Final = ("judge.worker_ended",)
_DOUBLING: Final = "x = [1]\nfor _ in range({}):\n    x = [x, x]\nreturn x"


def _judged(id: str, what: str, lines: str | Solution, *expect: str, **more: Any) -> Attack:
    """Submissions of one player in one game; a submission is a piece, at most so many a second."""
    solution = _returns(lines) if isinstance(lines, str) else lines
    fields: dict[str, Any] = {
        "connections": 2, "per_second": 5.0, "most_bytes": 2**20, "seconds": 3.0, "is_judged": True,
        "never": ("500", "leak", "no race"), "loud": _LOUD,
    }  # fmt: skip
    return Attack(id=id, what=what, item=1, act=_submits(solution), expect=expect, **(fields | more))


_TOO_MUCH: Final = ("wrong_answer", "runtime_error", "memory_limit", "time_limit", "invalid")

ATTACKS: Final = (
    _judged(
        "judge-doubling-60",
        "a list that holds itself twice, 60 times over: 2^60 nodes when walked",
        _DOUBLING.format(60),
        *_TOO_MUCH,
        is_named=True,
    ),
    _judged("judge-doubling-22", "the same 22 times: 4 million nodes", _DOUBLING.format(22), *_TOO_MUCH, is_named=True),
    _judged(
        "judge-doubling-dict",
        "the same with dictionaries",
        _DOUBLING.format(40).replace("[x, x]", "{'a': x, 'b': x}"),
        *_TOO_MUCH,
    ),
    _judged(
        "judge-doubling-tuple", "the same with tuples", _DOUBLING.format(40).replace("[x, x]", "(x, x)"), *_TOO_MUCH
    ),
    _judged(
        "judge-huge-strings",
        "1,500 times the same string of 1 MB",
        "return ['x' * 10 ** 6] * 1500",
        *_TOO_MUCH,
        is_named=True,
    ),
    _judged("judge-huge-string", "a string of 40 MB", "return 'x' * (40 * 10 ** 6)", *_TOO_MUCH),
    _judged("judge-huge-number", "a number of 300,000 digits", "return 7 ** 350000", *_TOO_MUCH),
    _judged("judge-wide-result", "a list of two million numbers", "return [0] * 2000000", *_TOO_MUCH),
    _judged("judge-cyclic", "a list that holds itself", "x = []\nx.append(x)\nreturn x", *_TOO_MUCH),
    _judged(
        "judge-deep-result",
        "a list 50,000 levels deep",
        "x = []\nfor _ in range(50000):\n    x = [x]\nreturn x",
        *_TOO_MUCH,
    ),
    _judged(
        "judge-long-exception",
        "an exception whose text is 10 MB",
        "raise ValueError('x' * 10 ** 7)",
        *_TOO_MUCH,
    ),
    _judged(
        "judge-sleep",
        "code that sleeps for 100 s",
        "import time\ntime.sleep(100)\nreturn 1",
        "time_limit",
        "unsupported",
        "runtime_error",
        is_named=True,
        seconds=5.0,
    ),
    _judged("judge-loop", "code without an end", "while True:\n    pass", "time_limit", seconds=5.0),
    _judged(
        "judge-memory-bomb",
        "code that takes all memory there is",
        "x = []\nwhile True:\n    x.append('y' * 10 ** 6 + str(len(x)))",
        "memory_limit",
        "time_limit",
    ),
    _judged(
        "judge-recursion",
        "code that calls itself without an end",
        "def again(n):\n    return again(n + 1) + 1\nreturn again(0)",
        "runtime_error",
        "memory_limit",
    ),
    _judged(
        "judge-output",
        "code that prints without an end",
        "while True:\n    print('x' * 1000)",
        "time_limit",
        "memory_limit",
        "runtime_error",
        seconds=5.0,
    ),
    _judged(
        "judge-nested-source",
        "30,000 opening parentheses",
        lambda _: f"{MARK} = 0\nx = " + "(" * 30_000,
        "invalid",
        "unsupported",
    ),
    _judged(
        "judge-nested-lists",
        "a source of 15,000 nested lists",
        lambda _: f"{MARK} = 0\nx = " + "[" * 15_000 + "]" * 15_000,
        "invalid",
        "unsupported",
        "wrong_answer",
        "runtime_error",
    ),
    _judged(
        "judge-hidden-tests",
        "hidden tests told by an exception's text",
        _spy("raise Exception('LEAK ' + repr([numbers, limit]))"),
        "runtime_error",
        is_named=True,
    ),
    _judged(
        "judge-hidden-tests-free",
        "the same, free of charge: the text says that something is not supported",
        _spy("raise Exception('does not yet support LEAK' + repr([numbers, limit]))"),
        "runtime_error",
        is_named=True,
    ),
    _judged(
        "judge-hidden-tests-printed",
        "hidden tests printed",
        _spy("print('LEAK', numbers, limit)\n        return 0"),
        "wrong_answer",
    ),
    _judged(
        "judge-free-verdicts",
        "verdicts that cost no try, one after the other",
        _returns("import os\nreturn os.listdir('/')"),
        "unsupported",
        "runtime_error",
        per_second=40.0,
    ),
    _judged(
        "judge-syntax-errors",
        "syntax errors, one after the other",
        lambda _: f"{MARK} = = 0",
        "invalid",
        per_second=40.0,
    ),
    Attack(
        id="judge-ten-games",
        what="one player has ten games judged at once, again and again: code without an end in each",
        item=1,
        act=_submits_in_many_games(_returns("while True:\n    pass")),
        expect=("done",),
        connections=20,
        players=12,
        games=10,
        most_bytes=2**20,
        seconds=6.0,
        is_judged=True,
        loud=_LOUD,
        is_named=True,
    ),
    Attack(
        id="judge-sleepers",
        what="the same with code that sleeps",
        item=1,
        act=_submits_in_many_games(_returns("import time\ntime.sleep(100)\nreturn 1")),
        expect=("done",),
        connections=20,
        players=12,
        games=10,
        most_bytes=2**20,
        seconds=6.0,
        is_judged=True,
        loud=_LOUD,
        is_named=True,
    ),
    _judged(
        "judge-poison-pill",
        "a submission that hurts is judged again after a restart",
        _DOUBLING.format(60),
        *_TOO_MUCH,
        restarts=True,
        is_judged=False,
        is_named=True,
    ),
)
