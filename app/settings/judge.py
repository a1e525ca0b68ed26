"""What a submission may take."""

from pydantic import Field

from app.settings.section import Section


class JudgeSettings(Section):
    """The judge's workers, their queue, and the bounds of one submission."""

    judge_processes: int = Field(2, ge=1, le=64, description="sandbox worker processes")
    judge_time_limit_s: float = Field(2.0, gt=0, le=60, description="per submission, all tests together")
    judge_kill_grace_s: float = Field(
        1.0, gt=0, le=60, description="a worker that has not answered so long after JUDGE_TIME_LIMIT_S is killed"
    )
    judge_memory_bytes: int = Field(64_000_000, ge=1_000_000, description="per submission")
    judge_result_bytes: int = Field(
        65_536, ge=1_024, le=16_777_216, description="what solve returns, as JSON; more is a wrong answer"
    )
    judge_queue_size: int = Field(256, ge=1, description="submissions waiting for a worker")
    judge_max_queued_per_player: int = Field(
        8, ge=1, description="of them, of one player; more come with a later sweep"
    )
    judge_max_running_per_player: int = Field(1, ge=1, le=64, description="submissions of one player judged at once")
    judge_retries: int = Field(
        3, ge=0, le=100, description="tries again after a fault of the judge, restarts and other replicas included"
    )
    judge_retry_delay_s: float = Field(0.5, gt=0, description="pause before such a try, doubled each time")
