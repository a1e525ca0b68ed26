"""Metrics of games, of their players, and of the judge."""

from app.game import Phase, Verdict
from app.telemetry.catalogue.model import DURATION_BUCKETS, LATENCY_BUCKETS, OTHER, PREFIX, Kind, Metric, rows
from app.vocabulary import FunnelStep, PlayerStanding, Stop


class GamesMetrics:
    """Metrics of games, of their players, and of the judge."""

    GAMES = Metric(f"{PREFIX}games", Kind.GAUGE, "Games on this replica, by state.", ("state",), rows(Phase))
    GAME_OVERDUE = Metric(
        f"{PREFIX}game_overdue_seconds",
        Kind.GAUGE,
        "How long the most overdue game is past its deadline (a start, an end, a player's grace) and has not moved on.",
    )
    GAMES_TO_TAKE_UP = Metric(
        f"{PREFIX}games_to_take_up",
        Kind.GAUGE,
        "Open games found in the event log, at the start or as a replica has gone, that this replica is still to take"
        " up: whoever joins one has it at once.",
    )
    ROOMS = Metric(f"{PREFIX}rooms", Kind.GAUGE, "Games loaded and in use.")
    LARGEST_GAME = Metric(
        f"{PREFIX}game_events_largest", Kind.GAUGE, "Events of the game in memory that has the most of them."
    )
    GAME_EVENTS_LIMIT = Metric(
        f"{PREFIX}game_events_limit", Kind.GAUGE, "The most events a game may have (MAX_EVENTS_PER_GAME)."
    )
    PLAYERS = Metric(
        f"{PREFIX}players",
        Kind.GAUGE,
        "Players in the games of this replica: waiting, ready, racing, done (solved it, or the race is over), or lost"
        " (disconnected, in their grace time).",
        ("state",),
        rows(PlayerStanding),
    )
    TRANSITIONS = Metric(
        f"{PREFIX}game_transitions_total", Kind.COUNTER, "Games that entered a state.", ("to",), rows(Phase)
    )
    GAME_DURATION = Metric(
        f"{PREFIX}game_duration_seconds", Kind.HISTOGRAM, "From a race's start to its end.", buckets=DURATION_BUCKETS
    )
    FUNNEL = Metric(
        f"{PREFIX}player_steps_total",
        Kind.COUNTER,
        "How far players come, each once a game: joined it, got ready, were in at its start and still at its end.",
        ("step",),
        rows(FunnelStep),
    )
    SUBMISSIONS = Metric(
        f"{PREFIX}submissions_total",
        Kind.COUNTER,
        "Judged submissions, by verdict.",
        ("verdict",),
        rows(Verdict),
    )
    PROBLEM_SUBMISSIONS = Metric(
        f"{PREFIX}problem_submissions_total",
        Kind.COUNTER,
        "Runs of the judge, by problem and verdict; a problem that does not fit under MAX_METRIC_SERIES is other.",
        ("problem", "verdict"),
        rows((OTHER,), Verdict),
        is_open=True,
    )
    JUDGE_DURATION = Metric(
        f"{PREFIX}judge_duration_seconds",
        Kind.HISTOGRAM,
        "What the judge took for a submission, waiting excluded.",
        ("outcome",),
        rows(Verdict),
        LATENCY_BUCKETS,
        is_native=True,
    )
    JUDGE_WAIT = Metric(
        f"{PREFIX}judge_wait_seconds",
        Kind.HISTOGRAM,
        "How long submissions waited in this replica's queue until one of its workers was free.",
        buckets=LATENCY_BUCKETS,
        is_native=True,
    )
    VERDICT_DURATION = Metric(
        f"{PREFIX}verdict_seconds",
        Kind.HISTOGRAM,
        "From a submission's entry into this replica's queue to its verdict: waiting, running, trying again.",
        ("outcome",),
        rows(Verdict),
        LATENCY_BUCKETS,
        is_native=True,
    )
    JUDGE_QUEUE = Metric(f"{PREFIX}judge_queue_depth", Kind.GAUGE, "Submissions waiting for a judge's worker.")
    JUDGE_QUEUE_FULL = Metric(
        f"{PREFIX}judge_queue_full_total", Kind.COUNTER, "Submissions put off because the queue was full."
    )
    JUDGE_STOPS = Metric(
        f"{PREFIX}judge_stops_total",
        Kind.COUNTER,
        "Runs cut short, by what did it: a limit of the sandbox (time, memory, result), the worker had to be killed"
        " (wall) or fell over the code (crash), all the code's doing; it died or was garbled, which is ours.",
        ("cause",),
        rows(Stop),
    )
