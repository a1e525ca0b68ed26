"""When a worker that died is started again."""

from app.settings import WorkerSettings
from app.supervisor.policy import RestartPolicy

SETTINGS = WorkerSettings(
    worker_timeout_s=30,
    worker_restart_delay_s=0.5,
    worker_restart_max_delay_s=4,
    worker_steady_s=60,
    worker_max_deaths=7,
)


def test_each_death_in_succession_doubles_the_pause_up_to_the_longest_and_too_many_are_the_end() -> None:
    policy = RestartPolicy(SETTINGS)
    assert [policy.pause_s(1) for _ in range(7)] == [0.5, 1, 2, 4, 4, 4, None]


def test_whoever_lived_steadily_begins_again() -> None:
    policy = RestartPolicy(SETTINGS)
    assert [policy.pause_s(lived_s) for lived_s in (1, 1, 60, 59)] == [0.5, 1, 0.5, 1]


def test_where_one_death_is_too_many_none_is_started_again() -> None:
    policy = RestartPolicy(SETTINGS.model_copy(update={"worker_max_deaths": 1}))
    assert policy.pause_s(1_000) is None
