"""The recorder of the process."""

import traceback
from collections.abc import Sequence
from dataclasses import asdict

from app.telemetry.catalogue import Events, Metrics
from app.telemetry.observer import Operated, RuntimeObserver
from app.telemetry.recorder.recording import Recording
from app.vocabulary import DrainPhase, OverloadCause


class RuntimeRecorder(Recording, RuntimeObserver):
    """Records how the process does."""

    _overload_causes: frozenset[OverloadCause] = frozenset()

    def load(self, lag_s: float, causes: frozenset[OverloadCause], shed: int | None) -> None:
        self.store.histogram(Metrics.LOOP_LAG).observe(lag_s)
        if causes != self._overload_causes:
            self._overload_causes = causes
            if causes:
                self.log(Events.APP_OVERLOADED, causes=sorted(causes))
            else:
                self.log(Events.APP_RELIEVED)
        if shed is not None:
            self.store.counter(Metrics.SHED).inc(by=shed)
            self.log(Events.WS_SHED, connections=shed)

    def gc_pause(self, pause_s: float) -> None:
        self.store.histogram(Metrics.GC_PAUSE).observe(pause_s)

    def draining(self, phase: DrainPhase, connections: int, **details: float) -> None:
        self.log(Events.APP_DRAIN_PROGRESSED, phase=phase, connections=connections, **details)

    def certificate(self, ends: str | None, error: str | None) -> None:
        self.store.counter(Metrics.CERTIFICATE_LOADS).inc(("loaded" if error is None else "refused",))
        if error is None:
            self.log(Events.CERTIFICATE_LOADED, ends=ends)
        else:
            self.log(Events.CERTIFICATE_REFUSED, error=error)

    def secrets(self, changed: Sequence[str], error: str | None) -> None:
        self.store.counter(Metrics.SECRET_LOADS).inc(("loaded" if error is None else "refused",))
        if error is None:
            self.log(Events.SECRETS_LOADED, changed=list(changed))
        else:
            self.log(Events.SECRETS_REFUSED, error=error)

    def operated(self, operated: Operated) -> None:
        self.lately.acts.add(operated)
        self.store.counter(Metrics.OPERATOR_ACTIONS).inc((operated.action, operated.outcome))
        self.log(Events.OPERATOR_ACTED, **asdict(operated))

    def fault(self, where: str, error: BaseException, game_id: str | None = None) -> None:
        self.store.counter(Metrics.FAULTS).inc()
        self.log_repeated(
            Events.APP_FAULT,
            where,
            where=where,
            error=f"{type(error).__name__}: {error}",
            exception="".join(traceback.format_exception(error)),
            game_id=game_id,
        )
