"""When the service says that it is not well: load and readiness."""

from typing import Final

from pydantic import Field, field_validator

from app.settings.section import Listed, Section, some_of
from app.vocabulary import ReadinessCheck

READY_GATES: Final = tuple(gate.value for gate in ReadinessCheck)


class HealthSettings(Section):
    """Above which load connections are refused, and what makes /readyz fail."""

    metrics_interval_s: float = Field(
        0.1, ge=0, le=5, description="/metrics is rendered at most so often; scrapes that wait share the next rendering"
    )
    overload_lag_s: float = Field(0.5, gt=0, description="event loop lag above which new connections are refused")
    memory_limit_bytes: int = Field(
        0, ge=0, description="memory above which new connections are refused; 0: 85 % of the container's limit, if any"
    )
    memory_shed_bytes: int = Field(
        0, ge=0, description="memory above which the newest connections are ended (1013); 0: never"
    )
    overload_interval_s: float = Field(0.25, gt=0, le=10, description="how often lag and memory are looked at")
    ready_gates: Listed = Field((), description=f"states that make /readyz fail too, some of: {', '.join(READY_GATES)}")
    ready_grace_s: float = Field(
        30.0, ge=0, description="where READY_GATES names event_log, /readyz fails once it has been away for so long"
    )

    @field_validator("ready_gates")
    @classmethod
    def _gates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return some_of(value, READY_GATES)
