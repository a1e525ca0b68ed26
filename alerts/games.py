"""Alerts on the games and the judge."""

from typing import Final

from alerts.config import CONFIG
from alerts.event_log import EVENT_LOG
from alerts.model import INSTANCE, KEEPS, WHERE, Alert, Case, Group, Severity, last

GAMES_STUCK: Final = Alert(
    name="CodeRacerGamesStuck",
    severity=Severity.CRITICAL,
    expr=f"{last('code_racer_game_overdue_seconds')} > {CONFIG['CodeRacerGamesStuck']['overdue_s']}",
    hold="1m",
    keeps=KEEPS,
    summary="Games do not move on: they do not start, do not end, or keep players who are gone.",
    description="A game of {{ $labels.instance }} is {{ $value | humanizeDuration }} past its deadline.",
    cases=(
        Case(
            "a game that cannot end",
            {f"code_racer_game_overdue_seconds{{{INSTANCE}}}": "0 40+60x20"},
            fires=2,
            labels=WHERE,
            description="A game of a:8080 is 1m 40s past its deadline.",
        ),
        Case(
            "late again and again, and then on",
            {f"code_racer_game_overdue_seconds{{{INSTANCE}}}": "0 40 0 40 0 40 0 40 0"},
            silent=(2, 4, 7),
        ),
    ),
)

GAME_TOO_LARGE: Final = Alert(
    name="CodeRacerGameTooLarge",
    severity=Severity.WARNING,
    expr=(
        f"{last('code_racer_game_events_largest')} / {last('code_racer_game_events_limit')}"
        f" > {CONFIG['CodeRacerGameTooLarge']['share']}"
    ),
    hold="5m",
    summary="A game has very many events: soon its players can do little more.",
    description="A game of {{ $labels.instance }} has {{ $value | humanizePercentage }} of the events it may have.",
    cases=(
        Case(
            "a client that gets ready and not, again and again",
            {
                f"code_racer_game_events_largest{{{INSTANCE}}}": "0 30000+100x20",
                f"code_racer_game_events_limit{{{INSTANCE}}}": "50000x20",
            },
            fires=6,
            labels=WHERE,
            description="A game of a:8080 has 61% of the events it may have.",
        ),
        Case(
            "a hundred players race for an evening: forty events each",
            {
                f"code_racer_game_events_largest{{{INSTANCE}}}": "0+200x20 4000x40",
                f"code_racer_game_events_limit{{{INSTANCE}}}": "50000x60",
            },
            silent=(6, 20, 50),
        ),
    ),
)

_JUDGE: Final = CONFIG["CodeRacerJudgeFailing"]


def _submissions(labels: str = "") -> str:
    return f"sum by (cluster, namespace, job) (increase(code_racer_submissions_total{labels}[{_JUDGE['window']}]))"


_UNJUDGED: Final = _submissions('{verdict="judge_error"}')
JUDGE_FAILING: Final = Alert(
    name="CodeRacerJudgeFailing",
    severity=Severity.CRITICAL,
    expr=(f"{_UNJUDGED} >= {_JUDGE['submissions']}\nand {_UNJUDGED}\n  > {_JUDGE['share']} * {_submissions()}\n"),
    hold="2m",
    keeps=KEEPS,
    summary="The judge is out of order: players get no verdict.",
    description="{{ $value | humanize }} submissions in ten minutes ended as judge_error, more than a tenth of all.",
    cases=(
        Case(
            "one in two fails",
            {
                f'code_racer_submissions_total{{{INSTANCE}, verdict="judge_error"}}': "0+5x20",
                f'code_racer_submissions_total{{{INSTANCE}, verdict="accepted"}}': "0+5x20",
            },
            fires=3,
            labels={"job": "code-racer"},
            description="15 submissions in ten minutes ended as judge_error, more than a tenth of all.",
        ),
        Case(
            "four fail every thirteen minutes: in between there were none for ten minutes",
            {
                f'code_racer_submissions_total{{{INSTANCE}, verdict="judge_error"}}': "0 4x12 8x12 12x12 16x12",
                f'code_racer_submissions_total{{{INSTANCE}, verdict="accepted"}}': "0+1x60",
            },
            silent=(2, 55),
            once=(3, 47),
        ),
        Case(
            "its series are gone for a quarter of an hour",
            {
                f'code_racer_submissions_total{{{INSTANCE}, verdict="judge_error"}}': "0+5x10 _x13 115+5x10",
                f'code_racer_submissions_total{{{INSTANCE}, verdict="accepted"}}': "0+5x10 _x13 115+5x10",
            },
            silent=(2,),
            once=(3, 32),
        ),
        Case(
            "wrong answers are the players' own",
            {
                f'code_racer_submissions_total{{{INSTANCE}, verdict="judge_error"}}': "0x30",
                f'code_racer_submissions_total{{{INSTANCE}, verdict="wrong_answer"}}': "0+50x30",
            },
            silent=(5, 25),
        ),
    ),
)

JUDGE_BACKLOGGED: Final = Alert(
    name="CodeRacerJudgeBacklogged",
    severity=Severity.WARNING,
    expr=f"{last('code_racer_judge_queue_depth')} > {CONFIG['CodeRacerJudgeBacklogged']['waiting']}",
    hold="2m",
    keeps=KEEPS,
    summary="Submissions wait long for the judge.",
    description="{{ $value }} submissions wait for the judge of {{ $labels.instance }}.",
    cases=(
        Case(
            "a queue that does not shrink",
            {f"code_racer_judge_queue_depth{{{INSTANCE}}}": "0 60x20"},
            fires=3,
            labels=WHERE,
            description="60 submissions wait for the judge of a:8080.",
        ),
        Case("the end of a race", {f"code_racer_judge_queue_depth{{{INSTANCE}}}": "0 90 0 0 90 0"}, silent=(2, 5)),
    ),
)

GAMES: Final = Group("code-racer-games", (*EVENT_LOG, GAMES_STUCK, GAME_TOO_LARGE, JUDGE_FAILING, JUDGE_BACKLOGGED))
