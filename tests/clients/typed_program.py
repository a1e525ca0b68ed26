"""Type-checked, never run: what a program relies on. An error that is ignored and is none fails the check."""

from code_racer_client import Presence, TypedGameWebSocket, TypedSyncGameWebSocket
from code_racer_client.messages import Event, GameFinishedData, Verdict


def use(*_: object) -> None:
    """What is done with it."""


async def play(game: TypedGameWebSocket) -> Verdict:
    """What there is."""
    game.on("game_started", lambda message: use(message["data"]["problem"]["title"], message["seq"] + 1))
    game.on("retry", lambda event: use(event["delay_s"] * 2, event["detail"]))
    game.on("*", lambda message: use(message["type"]))
    game.once("game_finished", finished)
    game.off("game_finished", finished)
    await game.send_message("batch", [{"type": "ping", "data": {"timestamp": 1}}])
    await game.request("ready", {})
    seq = await game.request("submit_code", {"code": "print(1)", "language": "python"}, timeout_s=5)
    judged = await game.wait_for("submission_judged", since=seq, timeout_s=30)
    return judged["data"]["verdict"]


def finished(message: Event[GameFinishedData]) -> None:
    """What a handler of one type takes."""
    use(message["data"]["winner"], [entry["name"].upper() for entry in message["data"]["ranking"]])


async def misspell(game: TypedGameWebSocket) -> None:
    """What there is not."""
    game.on("game_fnished", finished)  # type: ignore[call-overload]
    game.on("pong", finished)  # type: ignore[call-overload]
    game.on("pong", lambda message: use(message["seq"]))  # type: ignore[call-overload]
    game.on("game_finished", lambda message: use(message["data"]["loser"]))  # type: ignore[call-overload]
    await game.wait_for("game_over")  # type: ignore[call-overload]
    (await game.wait_for("game_finished"))["data"]["loser"]  # type: ignore[typeddict-item]
    await game.send_message("redy", {"status": "ready"})  # type: ignore[call-overload]
    await game.send_message("ready", {"status": "steady"})  # type: ignore[call-overload]
    await game.request("submit_code", {"source": "print(1)"})  # type: ignore[call-overload]
    await game.request("batch", [])  # type: ignore[call-overload]


def play_without_asyncio(game: TypedSyncGameWebSocket) -> Verdict:
    """What there is in the other face: the same, at once."""
    presence = Presence(game, lambda players: use([one.name.upper() for one in players]))
    game.on("game_started", lambda message: use(message["data"]["problem"]["title"], message["seq"] + 1))
    game.once("game_finished", finished)
    game.off("game_finished", finished)
    game.send_message("batch", [{"type": "ping", "data": {"timestamp": 1}}])
    seq = game.request("submit_code", {"code": "print(1)", "language": "python"}, timeout_s=5)
    presence.close()
    return game.wait_for("submission_judged", since=seq, timeout_s=30)["data"]["verdict"]


def misspell_without_asyncio(game: TypedSyncGameWebSocket) -> None:
    """What there is not."""
    game.on("game_fnished", finished)  # type: ignore[call-overload]
    game.wait_for("game_over")  # type: ignore[call-overload]
    game.wait_for("game_finished")["data"]["loser"]  # type: ignore[typeddict-item]
    game.send_message("redy", {"status": "ready"})  # type: ignore[call-overload]
    game.request("ready", {"status": "steady"})  # type: ignore[call-overload]
    Presence(use)  # type: ignore[arg-type]
