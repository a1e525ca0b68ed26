"""The objectives for others' tools: the documents of OpenSLO and of Sloth, from what the rules are made of."""

from typing import Final

import yaml

from alerts.model import GENERATED, RUNBOOKS, Json, Severity, to_yaml
from alerts.objectives import OBJECTIVES, PAGE, Objective

SERVICE: Final = "code-racer"
SOURCE: Final = "prometheus"
_BY: Final = "sum by (cluster, namespace, job)"


def openslo() -> str:
    """Write OpenSLO's documents (openslo/v1): the source, the service, and an SLO for each objective."""
    source = {"type": "Prometheus", "connectionDetails": {"url": "http://prometheus:9090"}}
    service = {"description": "Races in which players write code against each other."}
    documents = [
        _document("DataSource", SOURCE, source),
        _document("Service", SERVICE, service),
        *(_document("SLO", f"{SERVICE}-{one.name}", _slo(one)) for one in OBJECTIVES),
    ]
    return GENERATED + "---\n".join(yaml.safe_dump(one, sort_keys=False, width=1000) for one in documents)


def _document(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "openslo/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _slo(objective: Objective) -> Json:
    return {
        "description": objective.summary,
        "service": SERVICE,
        "indicator": {
            "metadata": {"name": f"{SERVICE}-{objective.name}-good"},
            "spec": {
                "ratioMetric": {"counter": True, "good": _counter(objective.good), "total": _counter(objective.valid)}
            },
        },
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"displayName": objective.name, "target": objective.target}],
    }


def _counter(series: str) -> Json:
    spec = {"query": f"{_BY} ({series})"}
    return {"metricSource": {"metricSourceRef": SOURCE, "spec": spec}}


def sloth() -> str:
    """Write Sloth's document (prometheus/v1): it makes rules and alerts of its own, for those who have it already."""
    slos = [_sloth(one) for one in OBJECTIVES]
    return to_yaml({"version": "prometheus/v1", "service": SERVICE, "slos": slos})


def _sloth(objective: Objective) -> Json:
    """Write an objective; Sloth's page has the usual burns and no others, so that one of ours alone is left to us."""
    page = {"labels": {"severity": str(Severity.CRITICAL)}} if objective.pages == PAGE else {"disable": True}
    good, valid = (f"{_BY} (rate({one}[{{{{.window}}}}]))" for one in (objective.good, objective.valid))
    return {
        "name": objective.name,
        "objective": round(100 * objective.target, 6),
        "description": objective.summary,
        "sli": {"events": {"error_query": f"{valid} - {good}", "total_query": valid}},
        "alerting": {
            "name": objective.alert,
            "annotations": {"summary": objective.summary, "runbook_url": f"{RUNBOOKS}/{objective.alert}.md"},
            "page_alert": page,
            "ticket_alert": {"labels": {"severity": str(Severity.WARNING)}},
        },
    }
