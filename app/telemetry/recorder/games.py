"""The recorder of games, and of the judge."""

from app.game import (
    CountdownCancelled,
    CountdownStarted,
    GameCreated,
    GameEvent,
    GameFinished,
    GameStarted,
    Phase,
    PlayerJoined,
    PlayerReady,
    SubmissionJudged,
)
from app.telemetry.catalogue import Events, Metrics
from app.telemetry.observer import GamesObserver, Judged
from app.telemetry.recorder.recording import Recording
from app.vocabulary import FunnelStep, Stop


class GamesRecorder(Recording, GamesObserver):
    """Records games, and what the judge does."""

    def event(self, game_id: str, event: GameEvent) -> None:
        if isinstance(event, GameCreated):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.WAITING,))
            self.log(Events.GAME_CREATED, game_id=game_id, player_id=event.host_id, problem=event.problem.id)
        elif isinstance(event, CountdownStarted):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.COUNTDOWN,))
        elif isinstance(event, CountdownCancelled):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.WAITING,))
        elif isinstance(event, PlayerJoined):
            self.store.counter(Metrics.FUNNEL).inc((FunnelStep.JOINED,), int(event.first))
        elif isinstance(event, PlayerReady):
            self.store.counter(Metrics.FUNNEL).inc((FunnelStep.READY,), int(event.first))
        elif isinstance(event, GameStarted):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.RUNNING,))
            self.store.counter(Metrics.FUNNEL).inc((FunnelStep.STARTED,), len(event.players))
            self.log(Events.GAME_STARTED, game_id=game_id, players=len(event.players), problem=event.problem.id)
        elif isinstance(event, SubmissionJudged):
            self._judged_event(game_id, event)
        elif isinstance(event, GameFinished):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.FINISHED,))
            self.store.counter(Metrics.FUNNEL).inc((FunnelStep.FINISHED,), event.stayed)
            self.log(
                Events.GAME_FINISHED,
                game_id=game_id,
                reason=event.reason,
                winner=event.winner,
                players=len(event.ranking),
            )

    def game_lasted(self, duration_s: float) -> None:
        self.store.histogram(Metrics.GAME_DURATION).observe(duration_s)

    def judged(self, problem: str, judged: Judged, trace_id: str | None = None) -> None:
        verdict = (judged.verdict,)
        self.store.histogram(Metrics.JUDGE_WAIT).observe(judged.waited_s, (), trace_id)
        self.store.histogram(Metrics.JUDGE_DURATION).observe(judged.ran_s, verdict, trace_id)
        self.store.histogram(Metrics.VERDICT_DURATION).observe(judged.took_s, verdict, trace_id)
        self.store.counter(Metrics.PROBLEM_SUBMISSIONS).inc((problem, judged.verdict))

    def judge_queue_full(self) -> None:
        self.store.counter(Metrics.JUDGE_QUEUE_FULL).inc()
        self.log(Events.JUDGE_QUEUE_FULL)

    def judge_stopped(self, cause: Stop, *, worker_ended: bool) -> None:
        self.store.counter(Metrics.JUDGE_STOPS).inc((cause,))
        if worker_ended:
            self.log(Events.JUDGE_WORKER_ENDED, cause=cause)

    def _judged_event(self, game_id: str, event: SubmissionJudged) -> None:
        self.store.counter(Metrics.SUBMISSIONS).inc((event.verdict,))
        self.log(
            Events.SUBMISSION_JUDGED,
            game_id=game_id,
            player_id=event.player_id,
            attempt=event.attempt,
            verdict=event.verdict,
            tests_passed=event.tests_passed,
            tests_total=event.tests_total,
            duration_s=event.duration_ms / 1000,
        )
