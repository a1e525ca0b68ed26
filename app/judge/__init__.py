"""The judge: has submitted code run against a problem's tests, in worker processes that nothing leaves unbounded.

`port` is what the service asks of a judge; `workers` stands behind it, `app.sandbox` is a worker. `problems` are data.
"""

from app.judge.port import Judge, JudgeUnavailable, Report
from app.judge.problems import JudgeProblem, UnusableProblem, load_problems
from app.judge.workers import SandboxJudge
from app.sandbox.jobs import Test

__all__ = [
    "Judge",
    "JudgeProblem",
    "JudgeUnavailable",
    "Report",
    "SandboxJudge",
    "Test",
    "UnusableProblem",
    "load_problems",
]
