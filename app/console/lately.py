"""What the recorder keeps for the console, as it is told of it anyway: nothing of it is paid with a message."""

from app.console.acts import Acts
from app.console.ends import Ends
from app.console.slowest import Slowest


class Lately:
    """What was lately: how connections ended, which messages were slow, what operators did."""

    __slots__ = ("acts", "ends", "slowest")

    def __init__(self) -> None:
        self.acts = Acts()
        self.ends = Ends()
        self.slowest = Slowest()

    def belongs_to(self, replica: str) -> None:
        """Say from now on with each end and each slow message whose it was, as a list may be of several replicas."""
        self.ends.replica = self.slowest.replica = replica
