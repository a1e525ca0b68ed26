"""The judge: runs submitted code against a problem's tests, in a sandbox.

`port` is what the service asks of a judge; `monty` stands behind it. `problems` are data files.
"""

from app.judge.monty import MontyJudge
from app.judge.port import Judge, JudgeUnavailable, Report
from app.judge.problems import JudgeProblem, Test, load_problems

__all__ = ["Judge", "JudgeProblem", "JudgeUnavailable", "MontyJudge", "Report", "Test", "load_problems"]
