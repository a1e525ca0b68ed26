"""The documents for OpenSLO are as its specification (v1) says: the parts of it that are written here, and no others.

OpenSLO has withdrawn its own JSON schema; this one is written after the text of the specification.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
DOCUMENTS: list[Json] = list(yaml.safe_load_all((ROOT / "deploy/slo/openslo.yaml").read_text()))


def only(required: Json, **optional: Json) -> Json:
    """An object with these names and no others."""
    names = {**required, **optional}
    return {"type": "object", "required": list(required), "additionalProperties": False, "properties": names}


TEXT: Final[Json] = {"type": "string", "maxLength": 1050}
SOME: Final[Json] = {"type": "string", "minLength": 1}
NAME: Final[Json] = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
METADATA: Final = only({"name": NAME}, displayName=SOME)
DURATION: Final[Json] = {"type": "string", "pattern": "^[1-9][0-9]*[mhdwMQY]$"}
SOURCE: Final = only({"spec": {"type": "object", "minProperties": 1}}, metricSourceRef=NAME, type=SOME)
COUNTED: Final = only({"metricSource": SOURCE})
RATIO: Final = {
    **only({"counter": {"type": "boolean"}, "total": COUNTED}, good=COUNTED, bad=COUNTED),
    "oneOf": [{"required": ["good"]}, {"required": ["bad"]}],
}
OBJECTIVE: Final = {
    **only(
        {},
        displayName=SOME,
        target={"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        targetPercent={"type": "number", "minimum": 0, "exclusiveMaximum": 100},
    ),
    "oneOf": [{"required": ["target"]}, {"required": ["targetPercent"]}],
}
SLO: Final = only(
    {
        "service": NAME,
        "indicator": only({"metadata": METADATA, "spec": only({"ratioMetric": RATIO})}),
        "budgetingMethod": {"enum": ["Occurrences"]},  # the others need slices of time
        "objectives": {"type": "array", "minItems": 1, "items": OBJECTIVE},
    },
    description=TEXT,
    timeWindow={
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": only({"duration": DURATION, "isRolling": {"const": True}}),
    },
)
SPECS: Final = {
    "DataSource": only({"type": SOME, "connectionDetails": {}}, description=TEXT),
    "Service": only({}, description=TEXT),
    "SLO": SLO,
}


def check(document: Json) -> None:
    """Raise jsonschema.ValidationError where it is not as specified."""
    kind = {"enum": list(SPECS)}
    head = only({"apiVersion": {"const": "openslo/v1"}, "kind": kind, "metadata": METADATA, "spec": {"type": "object"}})
    jsonschema.validate(document, head)
    jsonschema.validate(document["spec"], SPECS[document["kind"]])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_a_document_is_as_specified(document: Json) -> None:
    check(document)


def objective(slo: Json) -> Json:
    found: Json = slo["spec"]["objectives"][0]
    return found


def ratio(slo: Json) -> Json:
    found: Json = slo["spec"]["indicator"]["spec"]["ratioMetric"]
    return found


BROKEN: dict[str, Callable[[Json], object]] = {
    "of another version": lambda slo: slo.update(apiVersion="openslo/v2"),
    "a name in capitals": lambda slo: slo["metadata"].update(name="Code_Racer"),
    "no service": lambda slo: slo["spec"].pop("service"),
    "a misspelt indicator": lambda slo: slo["spec"].update(indicators=slo["spec"].pop("indicator")),
    "a misspelt ratio": lambda slo: slo["spec"]["indicator"].update(spec={"rationMetric": ratio(slo)}),
    "good and bad": lambda slo: ratio(slo).update(bad=ratio(slo)["good"]),
    "no total": lambda slo: ratio(slo).pop("total"),
    "a query without its spec": lambda slo: ratio(slo)["good"]["metricSource"].pop("spec"),
    "two windows": lambda slo: slo["spec"].update(timeWindow=2 * slo["spec"]["timeWindow"]),
    "days that Prometheus knows and OpenSLO does not": lambda slo: slo["spec"]["timeWindow"][0].update(
        duration="1d12h"
    ),
    "a method that there is not": lambda slo: slo["spec"].update(budgetingMethod="Minutes"),
    "all of it": lambda slo: objective(slo).update(target=1.0),
    "in percent": lambda slo: objective(slo).update(target=99.9),
    "in both": lambda slo: objective(slo).update(targetPercent=99.9),
    "no objective": lambda slo: slo["spec"].update(objectives=[]),
    "a description that is a book": lambda slo: slo["spec"].update(description="x" * 1051),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_one_is_refused(how: str) -> None:
    slo = copy.deepcopy(next(one for one in DOCUMENTS if one["kind"] == "SLO"))
    BROKEN[how](slo)
    with pytest.raises(jsonschema.ValidationError):
        check(slo)
