"""The checker: reads what the log holds and what every bot saw, and says what is wrong.

``python -m tests.cluster.checker FOLDER`` reads ``log.jsonl`` (a game a line) and ``bots.jsonl`` (a bot a line) and
exits with 1 where it finds a violation. It knows nothing of how the service works, only what it promises.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]
LOG, BOTS = "log.jsonl", "bots.jsonl"


def violations(games: Iterable[dict[str, Any]], bots: Iterable[dict[str, Any]]) -> list[str]:
    """What is wrong, a line each; nothing where every promise was kept."""
    logs = {game["game"]: game["events"] for game in games}
    found = [line for game, events in logs.items() for line in _wrong_in_log(game, events)]
    for bot in bots:
        found += _wrong_in_bot(bot, logs.get(bot["game"], []))
    return found


def _wrong_in_log(game: str, events: list[Event]) -> Iterator[str]:
    """Numbered without a gap, ended once and last, one winner, everything judged once, no message applied twice."""
    seqs = [event["seq"] for event in events]
    if seqs != list(range(1, len(events) + 1)):
        yield f"{game}: the log is not 1..N: {_first_break(seqs)}"
    ends = [event for event in events if event["type"] == "game_finished"]
    if len(ends) != 1 or events[-1] is not ends[0]:
        yield f"{game}: ended {len(ends)} times"
    elif not ends[0].get("winner"):
        yield f"{game}: nobody won"
    handed_in = Counter((event["player_id"], event["attempt"]) for event in events if event["type"] == "code_submitted")
    judged = Counter((event["player_id"], event["attempt"]) for event in events if event["type"] == "submission_judged")
    for key in handed_in | judged:
        if not handed_in[key] == judged[key] == 1:
            yield f"{game}: {key} handed in {handed_in[key]} times, judged {judged[key]} times"
    causes = Counter((event.get("player_id"), event["cause"]) for event in events if event.get("cause"))
    for (player, cause), count in causes.items():
        if count > 1:
            yield f"{game}: message {cause} of {player} was applied {count} times"
    left = Counter(event["player_id"] for event in events if event["type"] == "player_left")
    joined = Counter(event["player_id"] for event in events if event["type"] == "player_joined")
    for player, count in left.items():
        if count > joined[player]:
            yield f"{game}: {player} joined {joined[player]} times and left {count} times"


def _wrong_in_bot(bot: dict[str, Any], log: list[Event]) -> Iterator[str]:
    """It saw every event of its game, once and in order; what was acknowledged is in the log."""
    name, seen = bot["bot"], bot["events"]
    seqs = [seq for seq, _ in seen]
    if seqs != list(range(1, len(seen) + 1)):
        yield f"{name}: did not see 1..N: {_first_break(seqs)}"
    if [tuple(one) for one in seen] != [(event["seq"], event["type"]) for event in log]:
        yield f"{name}: saw {len(seen)} events, the log of {bot['game']} holds {len(log)}, or others"
    own = [event for event in log if event.get("player_id") == bot["player"]]
    by_cause = {event["cause"]: event for event in own if event.get("cause")}
    for id, seq in bot["acks"]:
        if seq is not None and (id not in by_cause or by_cause[id]["seq"] != seq):
            yield f"{name}: message {id} was acknowledged as {seq} and is not there"


def _first_break(seqs: list[int]) -> str:
    for place, seq in enumerate(seqs, 1):
        if seq != place:
            return f"{seq} in place of {place}"
    return "more or fewer"


def read(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The histories of a folder."""
    games, bots = ([json.loads(line) for line in (folder / name).read_text().splitlines()] for name in (LOG, BOTS))
    return games, bots


def main(arguments: list[str]) -> int:
    """Check a folder; the exit code."""
    games, bots = read(Path(arguments[0]))
    found = violations(games, bots)
    events = sum(len(game["events"]) for game in games)
    lines = found or [f"{len(games)} games, {len(bots)} bots, {events} events: every promise was kept"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
