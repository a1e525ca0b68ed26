"""The games: how far players come, what is judged, what does not move on."""

from typing import Final

from alerts.config import CONFIG
from app.vocabulary import FunnelStep
from dashboards.model import Board, Kind, Panel, Query, RowKind, buckets, quantile, rate, row, selected

_NO_VERDICT: Final = rate("code_racer_submissions_total", matchers='verdict="judge_error"')


def _step(step: FunnelStep) -> Query:
    counted = selected("code_racer_player_steps_total", f'step="{step}"')
    return Query(f"sum(increase({counted}[$__range]))", str(step))


GAMES: Final = Board(
    "code-racer-games",
    "Games",
    (
        row(
            RowKind.SYMPTOM,
            Panel(
                "Games by state",
                "On these replicas. Many waiting and none running: players do not find each other.",
                "none",
                (Query(f"sum by (state) ({selected('code_racer_games')})", "{{state}}"),),
                warn=20_000,
                range=(0, 100),
            ),
            Panel(
                "Players by what they do",
                "lost: disconnected, in their grace time. Many of them: see Connections.",
                "none",
                (Query(f"sum by (state) ({selected('code_racer_players')})", "{{state}}"),),
                warn=100_000,
                range=(0, 100),
            ),
            Panel(
                "Funnel",
                "Players in the time shown: joined a game, got ready, were there at the start and in the final"
                " ranking.",
                "none",
                tuple(map(_step, FunnelStep)),
                warn=1e9,
                range=(0, 1000),
                kind=Kind.BARS,
            ),
        ),
        row(
            RowKind.SYMPTOM,
            Panel(
                "Games that move on",
                "Games a second that entered a state. No more running or finished while games wait: nothing starts.",
                "ops",
                (Query(rate("code_racer_game_transitions_total", "to"), "{{to}}"),),
                warn=1_000,
                range=(0, 100),
                width=6,
            ),
            Panel(
                "Most overdue game",
                "How long a game is past its deadline (start, end, a player's grace) and has not moved on.",
                "s",
                (Query(f"max by (instance) ({selected('code_racer_game_overdue_seconds')})", "{{instance}}"),),
                warn=CONFIG.number("CodeRacerGamesStuck", "overdue_s"),
                range=(0, 5),
                width=6,
                alerts=("CodeRacerGamesStuck",),
            ),
            Panel(
                "How long races take",
                "From the start to the end.",
                "s",
                buckets("code_racer_game_duration_seconds"),
                warn=1e6,
                range=(0, 1000),
                width=6,
                kind=Kind.HEATMAP,
            ),
            Panel(
                "Verdicts, from the submission on",
                "Waiting and running together; the objective is 5 s. Much waiting and little running: too few workers.",
                "s",
                (
                    Query(quantile(0.99, "code_racer_verdict_seconds", matchers='outcome!="time_limit"'), "p99"),
                    Query(quantile(0.99, "code_racer_judge_wait_seconds"), "p99 of waiting"),
                ),
                warn=5,
                range=(0, 10),
                width=6,
                alerts=("CodeRacerVerdictBudgetBurn",),
            ),
        ),
        row(
            RowKind.OUTLIERS,
            Panel(
                "Submissions by verdict",
                "A second. judge_error is ours, the others are the players'.",
                "ops",
                (Query(rate("code_racer_submissions_total", "verdict"), "{{verdict}}"),),
                warn=100,
                range=(0, 50),
            ),
            Panel(
                "Submissions without a verdict",
                "The part of all submissions that ended as judge_error.",
                "percentunit",
                (
                    Query(
                        f"({_NO_VERDICT} / ({rate('code_racer_submissions_total')} > 0)) or vector(0)",
                        "judge_error",
                    ),
                ),
                warn=0.1,
                range=(0, 0),
                alerts=("CodeRacerJudgeFailing",),
            ),
            Panel(
                "Runs by problem",
                "Runs of the judge a second. One problem alone with time_limit: its tests.",
                "ops",
                (Query(rate("code_racer_problem_submissions_total", "problem"), "{{problem}}"),),
                warn=100,
                range=(0, 50),
            ),
        ),
        row(
            RowKind.SATURATION,
            Panel(
                "Waiting for the judge",
                "Submissions in the queue of a replica. It grows: the judge is too slow, or stands still.",
                "none",
                (Query(f"sum by (instance) ({selected('code_racer_judge_queue_depth')})", "{{instance}}"),),
                warn=CONFIG.number("CodeRacerJudgeBacklogged", "waiting"),
                range=(0, 10),
                width=6,
                alerts=("CodeRacerJudgeBacklogged",),
            ),
            Panel(
                "Judging",
                "What the judge takes for a submission, waiting excluded; its limit is JUDGE_TIME_LIMIT_S.",
                "s",
                (
                    Query(quantile(0.5, "code_racer_judge_duration_seconds"), "p50"),
                    Query(quantile(0.95, "code_racer_judge_duration_seconds"), "p95"),
                ),
                warn=2,
                range=(0, 10),
                width=6,
            ),
            Panel(
                "Put off, cut short",
                "A second: put off by a full queue until the next sweep; cut short, by what. died and garbled are"
                " ours.",
                "ops",
                (
                    Query(rate("code_racer_judge_queue_full_total"), "put off"),
                    Query(rate("code_racer_judge_stops_total", "cause"), "{{cause}}"),
                ),
                warn=10,
                range=(0, 5),
                width=6,
            ),
            Panel(
                "Largest game",
                "Its events as a part of MAX_EVENTS_PER_GAME; from a half on its players can do little more.",
                "percentunit",
                (
                    Query(
                        f"max by (instance) ({selected('code_racer_game_events_largest')}"
                        f" / {selected('code_racer_game_events_limit')})",
                        "{{instance}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerGameTooLarge", "share"),
                range=(0, 0.1),
                width=6,
                alerts=("CodeRacerGameTooLarge",),
            ),
        ),
    ),
)
