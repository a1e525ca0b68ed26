"""The check of shipped queries finds what does not exist."""

import pytest

from tools.queries import documents, inline_mistakes, known_series, log_mistakes, log_searches, mistakes, promql


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("code_racer_ws_conections", "there is no series"),
        ("rate(code_racer_ws_handshakes_total{result='accepted'}[5m])", "no label result"),
        ("rate(code_racer_ws_handshakes_total{outcome='ok'}[5m])", "is never 'ok'"),
        ("rate(code_racer_ws_handshakes_total{outcome=~'accepted|ok'}[5m])", "is never 'ok'"),
        ("rate(code_racer_ws_message_duration_seconds_bucket{le='0.06'}[5m])", "is never '0.06'"),
        ("rate(code_racer_ws_message_duration_seconds[5m])", "there is no series"),
        ("sum by (game) (code_racer_games)", "no series has it"),
        ("1 - sum(rate(code_racer_ws_closes_total{why='x'}[5m])) / 2", "no label why"),
        ("sum(", "does not parse"),
    ],
)
def test_a_query_that_names_what_is_not_there(expr: str, said: str) -> None:
    (mistake,) = mistakes(expr, known_series())
    assert said in mistake


@pytest.mark.parametrize(
    "expr",
    [
        'up{job="x", instance=~".*"} == 0',
        'rate(code_racer_ws_handshakes_total{outcome!~"acc.*|ok"}[$__rate_interval])',
        'sum by (le, type) (rate(code_racer_ws_message_duration_seconds_bucket{le="+Inf"}[5m]))',
        'rate(code_racer_problem_submissions_total{problem="any-of-them"}[5m])',
        'job:code_racer_ping_errors:ratio_rate30d{job="x"}',
    ],
)
def test_a_query_that_is_right(expr: str) -> None:
    assert mistakes(expr, known_series()) == []


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("""cat | jq 'select(.event == "ws.oppened")'""", "there is no log event ws.oppened"),
        ("""cat | jq 'select(.event == "ws.opened") | {nickname}'""", ""),
        ("""cat | jq 'select(.event == "ws.opened") | .nickname'""", "no log line has nickname"),
        ("""{service_name="x"} | json | event="ws.oppened\"""", "there is no log event ws.oppened"),
    ],
)
def test_a_search_of_the_log_that_names_what_is_not_there(search: str, said: str) -> None:
    found = log_mistakes(search)
    assert (said in found[0]) if said else found == ["no log line has nickname"]


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("see `code_racer_limited_total`", "there is no series code_racer_limited_total"),
        ("`code_racer_ws_closes_total{why}` tells", "has no label why"),
        ('`code_racer_ws_handshakes_total{outcome="ok"}`', "is never 'ok'"),
        ('`code_racer_ws_handshakes_total{outcome="accepted|ok"}`', "is never 'ok'"),
        ("the line `ws.oppened` says", "there is no log event or span ws.oppened"),
        ("[it](../alerts/runbooks/CodeRacerDawn.md)", "there is no alert CodeRacerDawn"),
    ],
)
def test_a_sentence_that_names_what_is_not_there(sentence: str, said: str) -> None:
    (mistake,) = inline_mistakes(sentence, known_series())
    assert said in mistake


@pytest.mark.parametrize(
    "sentence",
    [
        "`code_racer_*`, `code_racer_ws_*`, `code_racer_ws_closes_total{reason}`",
        "`code_racer_ws_closes_total{code, reason}` and `code_racer_ws_message_duration_seconds`",
        '`code_racer_trace_spans_total{outcome="exported|failed|dropped"}`, `job:code_racer_ping_errors:ratio_rate30d`',
        "`ws.opened`, `game.create`, `game.id`, `canary.yaml`, `event_log.py`, CodeRacerDown",
    ],
)
def test_a_sentence_that_is_right(sentence: str) -> None:
    assert inline_mistakes(sentence, known_series()) == []


def test_all_is_looked_at() -> None:
    places = [query.where for query in promql()]
    for part in ("alerts/rules", "alerts/runbooks", "docs/slis.md", "docs/questions.md", "code-racer-logs.json"):
        assert any(place.startswith(part) for place in places), part
    assert len(documents()) > 40
    assert sum(query.where.startswith("alerts/runbooks") for query in log_searches()) >= 34
