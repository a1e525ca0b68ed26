"""The operators' commands, as they are typed."""

from typing import Any

import pytest

from app.operator import run
from app.operator.commands import ACTIONS, COMMANDS
from app.options import make_parser
from app.settings import Settings

WRONG = {
    "no reason": ["drain"],
    "an empty reason": ["drain", "--reason", " "],
    "a reason of two lines": ["drain", "--reason", "a\nb"],
    "a long reason": ["drain", "--reason", "x" * 201],
    "no player": ["player"],
    "no level": ["log-level", "loud", "--reason", "x"],
    "no time": ["ban", "ann", "--for", "soon", "--reason", "x"],
    "no share": ["shed", "2", "--reason", "x"],
    "no share at all": ["shed", "0", "--reason", "x"],
    "too many rows": ["connections", "--limit", "201"],
    "no rows": ["log", "--limit", "0"],
    "no event": ["game", "GAME", "--after", "-1"],
    "no order": ["connections", "--sort", "beauty"],
    "no URL": ["top", "--url", "race.example.org"],
    "no pause": ["top", "--every-s", "0"],
    "no game": ["remove", "ann", "--reason", "x"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_before_anybody_is_asked(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_args(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_every_action_wants_a_reason_and_no_token_is_taken_from_the_command_line() -> None:
    (action,) = (one for one in make_parser()._actions if one.dest == "command")
    parsers: dict[str, Any] = dict(action.choices or {})
    helped = {name: str(parsers[name].format_help()) for name in COMMANDS}
    assert {name for name, text in helped.items() if "--reason WHY" in text} == {one.name for one in ACTIONS}
    assert not any("token" in text.lower().replace("ops_token", "") for text in helped.values())


def test_a_share_is_written_in_either_way() -> None:
    parse = make_parser().parse_args
    assert parse(["shed", "20%", "--reason", "x"]).subject == parse(["shed", "0.2", "--reason", "x"]).subject == 0.2


@pytest.mark.parametrize(
    ("settings", "urls"),
    [
        ({}, ["http://127.0.0.1:8080"]),
        ({"ops_port": 9090}, ["http://127.0.0.1:9090"]),
        ({"ops_port": 9090, "host": "0.0.0.0"}, ["http://127.0.0.1:9090"]),  # noqa: S104 - it is asked
        ({"ops_port": 9090, "host": "10.0.0.7"}, ["http://10.0.0.7:9090"]),
        ({"ops_port": 9090, "host": "fd00::7"}, ["http://[fd00::7]:9090"]),
        ({"ops_port": 9090, "workers": "3"}, [f"http://127.0.0.1:{port}" for port in (9091, 9092, 9093)]),
        ({"port": 0}, []),
        ({"ops_port": 0}, []),
    ],
)
def test_without_a_url_the_service_of_the_settings_is_asked(settings: dict[str, Any], urls: list[str]) -> None:
    assert run._urls(Settings(_env_file=None, **settings)) == urls


def test_a_port_that_is_picked_at_the_start_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.operate(Settings(_env_file=None, port=0), make_parser().parse_args(["replica"])) == 2
    assert "say --url" in capsys.readouterr().err
