"""What the doctor says, for people and for programs."""

import json
from collections.abc import Sequence
from typing import Final

from app.doctor.facts import Facts, Finding

RUNBOOKS: Final = "https://github.com/code-racer/realtime/blob/main/alerts/runbooks"


def to_text(facts: Facts, findings: Sequence[Finding]) -> str:
    """Write the findings for people, most likely first."""
    parts = [f"{len(facts.replicas)} replicas", f"{len(facts.public_urls)} ways in"]
    parts += [f"{len(facts.log_servers)} servers of the event log", *(["Prometheus"] if facts.prometheus else [])]
    lines = [f"asked: {', '.join(parts)}"]
    for number, one in enumerate(findings, 1):
        lines.append(f"{number}. {one.cause.replace('_', ' ')}: {one.culprit} ({one.likelihood.name.lower()})")
        lines += [f"   - {line}" for line in one.evidence]
        lines.append(f"   {RUNBOOKS}/{one.runbook}.md")
    if not findings:
        lines.append("nothing is known to be wrong")
    lines += [f"firing: {name}, {about}" for name, about in facts.firing]
    return "\n".join(lines)


def to_json(facts: Facts, findings: Sequence[Finding]) -> str:
    """Write the same for programs."""
    return json.dumps(
        {
            "asked": {
                "replicas": [one.name for one in facts.replicas],
                "doors": [one.url for one in facts.public_urls],
                "event_log": [one.url for one in facts.log_servers],
                "prometheus": facts.prometheus and facts.prometheus.url,
            },
            "findings": [
                {
                    "cause": one.cause,
                    "likelihood": one.likelihood.name.lower(),
                    "culprit": one.culprit,
                    "evidence": one.evidence,
                    "runbook": f"{RUNBOOKS}/{one.runbook}.md",
                }
                for one in findings
            ],
            "firing": [{"alert": name, "about": about} for name, about in facts.firing],
        },
        indent=2,
    )
