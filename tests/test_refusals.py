"""The table of refusals is whole, and says the same before the upgrade as after it."""

from collections import Counter
from http import HTTPStatus

import pytest

from app.protocol import Close
from app.refusals import _SEVERAL, ERROR_CODES, REFUSALS, REJECTIONS, reason_of
from app.vocabulary import HandshakeOutcome, Rejection
from app.web.error_answers import refused

NOT_OF_THE_TABLE = {
    HandshakeOutcome.ACCEPTED,
    HandshakeOutcome.ABANDONED,
}
"""No refusals."""
FOR_NOW = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def test_every_outcome_that_is_a_refusal_has_a_row() -> None:
    assert set(REFUSALS) == set(HandshakeOutcome) - NOT_OF_THE_TABLE


def test_whatever_the_rules_reject_has_a_row() -> None:
    assert set(REJECTIONS) == set(Rejection)


def test_whatever_the_rules_reject_has_an_error_that_answers_a_message() -> None:
    assert set(ERROR_CODES) == set(Rejection)


@pytest.mark.parametrize("outcome", [one for one, row in REFUSALS.items() if row.close is not Close.INTERNAL], ids=str)
def test_a_client_comes_back_after_the_close_where_the_status_asks_it_to(outcome: HandshakeOutcome) -> None:
    row = REFUSALS[outcome]
    assert row.close.comes_back == (row.status in FOR_NOW) == (row.retry_after_ms() > 0)


@pytest.mark.parametrize("outcome", [HandshakeOutcome.OVERLOADED, HandshakeOutcome.UNAVAILABLE], ids=str)
def test_those_who_are_refused_for_now_are_told_many_seconds_to_come_back_in(outcome: HandshakeOutcome) -> None:
    headers = {refused(outcome, "").answer.all_headers()["retry-after"] for _ in range(1_000)}
    assert len(headers) >= 4, "whole seconds, which Retry-After has"


def test_an_answer_without_an_outcome_has_the_reason_of_its_status() -> None:
    reasons = {status: reason_of(status) for status in (400, 401, 404, 413, 429, 500, 503, 418)}
    assert reasons == {
        400: "bad_request",
        401: "unauthorized",
        404: "not_found",
        413: "too_large",
        429: "rate_limited",
        500: "internal_error",
        503: "unavailable",
        418: "other",
    }


def test_a_status_of_several_outcomes_has_a_reason_chosen_for_it() -> None:
    rows = Counter(row.status for row in REFUSALS.values())
    several = {status for status, outcomes in rows.items() if outcomes > 1}
    assert several <= _SEVERAL.keys()
