"""What comes of an operator's action, where it is not done."""

from app.vocabulary import ActionOutcome


class ActionRefused(Exception):  # noqa: N818 - an answer
    """Nothing was done: there is nothing left to act on (`gone`), or it cannot be done now; the words say which."""

    def __init__(self, outcome: ActionOutcome, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.text = text


def gone(text: str) -> ActionRefused:
    """Refuse as there is nothing left to act on."""
    return ActionRefused(ActionOutcome.GONE, text)


def refused(text: str) -> ActionRefused:
    """Refuse as it cannot be done now, or here."""
    return ActionRefused(ActionOutcome.REFUSED, text)
