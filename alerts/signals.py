"""The ratios that can go wrong on one replica alone, and series of them for cases.

Of each ratio (a `Signal`) the bad part is recorded for each replica.
"""

from dataclasses import dataclass
from typing import Final

from alerts.config import CONFIG
from alerts.model import Case

CONFIGURED: Final = CONFIG["CodeRacerReplicaOutlier"]
"""Of all alerts on these ratios."""
SERVICE: Final = "(cluster, namespace, job)"
REPLICA: Final = "(cluster, namespace, job, instance)"
BAD: Final = "instance:code_racer_signal_bad:ratio"
"""Its part that is bad, for each replica and signal; nothing where there are too few events to tell."""


def grown(counter: str, by: str = REPLICA) -> str:
    """Write by how much a counter grew in the window, for each replica or otherwise."""
    return f"sum by {by} (increase({counter}[{CONFIGURED['window']}]))"


@dataclass(frozen=True, slots=True)
class Signal:
    """A ratio: `of` counts all there is, `good` what is well of it."""

    name: str
    of: str
    good: str

    def bad(self, by: str = REPLICA) -> str:
        """Write the bad part; nothing where there are too few events to tell."""
        return f"1 - {grown(self.good, by)} / ({grown(self.of, by)} >= {CONFIGURED['events']})"


HANDSHAKES: Final = Signal(
    "handshakes",
    # not a replica that is about to end, nor a client that went
    'code_racer_ws_handshakes_total{outcome!~"draining|abandoned"}',
    'code_racer_ws_handshakes_total{outcome="accepted"}',
)
_CLIENTS: Final = "code_racer_ws_handshake_clients_total"
CLIENTS: Final = Signal("clients", _CLIENTS, f'{_CLIENTS}{{answer="accepted"}}')
"""The same by address: somebody who tries a thousand tokens is one."""
SIGNALS: Final = (
    HANDSHAKES,
    CLIENTS,
    Signal(
        "messages",
        "code_racer_ws_message_duration_seconds_count",
        'code_racer_ws_message_duration_seconds_count{outcome="ok"}',
    ),
    Signal(
        "requests",
        'code_racer_http_requests_total{route=~"/api/.+"}',  # not what scanners ask for
        'code_racer_http_requests_total{route=~"/api/.+", status!~"4xx|5xx"}',
    ),
    Signal(
        "closes",
        "code_racer_ws_closes_total",
        # those of clients and networks, and ours that belong to the day
        'code_racer_ws_closes_total{reason=~"normal|client_going_away|client_no_code|connection_lost|other'
        '|draining|connection_age|replaced|idle|token_expired"}',
    ),
    Signal(
        "deliveries",
        'code_racer_event_delivery_seconds_count{reader="prompt"}',
        'code_racer_event_delivery_seconds_bucket{reader="prompt", le="0.25"}',
    ),
    Signal(
        "appends",
        'code_racer_event_log_append_seconds_count{outcome="accepted"}',
        'code_racer_event_log_append_seconds_bucket{outcome="accepted", le="0.1"}',
    ),
    Signal(
        "verdicts",
        # not code that runs into its own limit of time: that is its player's
        'code_racer_verdict_seconds_count{outcome!="time_limit"}',
        'code_racer_verdict_seconds_bucket{outcome!~"time_limit|judge_error", le="5.0"}',
    ),
    Signal(
        "runs",
        # a judge that gets no processor says so of good code; endless code at all replicas alike is the players' own
        'code_racer_judge_duration_seconds_count{outcome!="judge_error"}',
        'code_racer_judge_duration_seconds_count{outcome!~"judge_error|time_limit"}',
    ),
)


def handshakes(replica: str, accepted: str, refused: str, outcome: str = "unauthorized") -> dict[str, str]:
    """Make series of a replica's handshakes for a case: those accepted, and those refused with an outcome."""
    series = f'code_racer_ws_handshakes_total{{job="code-racer", instance="{replica}:8080", outcome='
    return {f'{series}"accepted"}}': accepted, f'{series}"{outcome}"}}': refused}


def on_replicas(accepted: str, refused: str, replicas: str = "bc") -> dict[str, str]:
    """Make such series that are alike on all of these replicas."""
    return {series: values for one in replicas for series, values in handshakes(one, accepted, refused).items()}


WELL: Final = on_replicas("0+60x30", "0+1x30")
QUIET: Final = Case("a quiet night", WELL | handshakes("a", "0x30", "0x5 15x25"), silent=(6, 12, 25))
