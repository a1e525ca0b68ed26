"""When a worker that died is started again: pure."""

from app.settings import WorkerSettings


class RestartPolicy:
    """Counts the deaths of one worker in succession: each doubles the pause, too many are the end."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.deaths = 0
        self._settings = settings

    def pause_s(self, lived_s: float) -> float | None:
        """Count a death after so long a life; return how long to wait for the next start, None: no more."""
        settings = self._settings
        self.deaths = 1 if lived_s >= settings.worker_steady_s else self.deaths + 1
        if self.deaths >= settings.worker_max_deaths:
            return None
        doubled_s = settings.worker_restart_delay_s * 2.0 ** (self.deaths - 1)
        return min(doubled_s, settings.worker_restart_max_delay_s)
