"""The table of refusals is whole, and says the same before the upgrade as after it."""

from http import HTTPStatus

import pytest

from app.game import Rejection
from app.protocol import Close
from app.realtime.refusals import REFUSALS, REJECTIONS
from app.vocabulary import HandshakeOutcome
from app.web.error_answers import refused

NOT_OF_THE_TABLE = {
    HandshakeOutcome.ACCEPTED,
    HandshakeOutcome.ABANDONED,
    HandshakeOutcome.INTERNAL_ERROR,
    HandshakeOutcome.NO_SUCH_PATH,
}
"""No refusal; a fault; or what is answered before any handler is asked."""
FOR_NOW = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def test_every_outcome_that_is_a_refusal_has_a_row() -> None:
    assert set(REFUSALS) == set(HandshakeOutcome) - NOT_OF_THE_TABLE


def test_whatever_the_rules_reject_has_a_row() -> None:
    assert set(REJECTIONS) == set(Rejection)


@pytest.mark.parametrize("outcome", [one for one, row in REFUSALS.items() if row.close is not Close.INTERNAL], ids=str)
def test_a_client_comes_back_after_the_close_where_the_status_asks_it_to(outcome: HandshakeOutcome) -> None:
    row = REFUSALS[outcome]
    assert row.close.comes_back == (row.status in FOR_NOW) == (row.retry_after_ms() > 0)


@pytest.mark.parametrize("outcome", [HandshakeOutcome.OVERLOADED, HandshakeOutcome.UNAVAILABLE], ids=str)
def test_those_who_are_refused_for_now_are_told_many_seconds_to_come_back_in(outcome: HandshakeOutcome) -> None:
    headers = {refused(outcome, "").answer.all_headers()["retry-after"] for _ in range(1_000)}
    assert len(headers) >= 4, "whole seconds, which Retry-After has"
