"""How the commits of a finished game are stored together: in a sixth of the bytes, each as it was.

Packed commits begin with the number of their format; what it means never changes, the common text included.
"""

import zlib
from collections.abc import Sequence
from typing import Final

FORMAT: Final = b"\x01"
_BETWEEN: Final = b"\0"
"""No JSON has one."""
_LEVEL: Final = 9
_COMMON: Final = (
    b'"reason":"expired"abandoned"all_done"ended"time_limit"removed"grace_expired"left"'
    b'"language":"javascript"verdict":"judge_error"runtime_error"time_limit"wrong_answer"finish":"all_done"'
    b'[{"type":"countdown_cancelled","seq":1,"at":179'
    b'[{"type":"player_left","seq":1,"at":179,"cause":"","player_id":"guest-","reason":"left"}]\0'
    b'[{"type":"player_disconnected","seq":1,"at":179,"player_id":"guest-","connection_id":"","grace_until":179'
    b'[{"type":"player_reconnected","seq":1,"at":179,"player_id":"guest-","connection_id":"'
    b'[{"type":"game_created","seq":1,"at":179,"game_id":"","host_id":"guest-",'
    b'"problem":{"id":"","title":"","difficulty":"easy"medium"hard","statement":"'
    b'","starter":"def solve(numbers):\\n    return 0\\n","tests":[{"args":[[1,2,3],5],"expected":3},{"args":[['
    b']}]},"rules":{"min_players":2,"max_players":8,"time_limit_ms":900000,"finish":"first_accepted",'
    b'"countdown_ms":3000,"grace_ms":30000,"waiting_ttl_ms":3600000,"judge_grace_ms":30000,"max_attempts":100,'
    b'"free_verdicts":5,"max_events":50000,"max_code_bytes":1048576,"max_comers":500}}]\0'
    b'[{"type":"player_joined","seq":2,"at":179,"player_id":"guest-","name":"","connection_id":"","first":true}]\0'
    b'[{"type":"player_ready","seq":3,"at":179,"cause":"","player_id":"guest-","ready":true,"first":false}'
    b',{"type":"countdown_started","seq":4,"at":179,"starts_at":179}]\0'
    b'[{"type":"game_started","seq":5,"at":179,"starts_at":179,"ends_at":179,"problem":{'
    b'"players":[{"player_id":"guest-","name":""},{"player_id":"guest-","name":""}]}]\0'
    b'[{"type":"code_submitted","seq":6,"at":179,"cause":"","player_id":"guest-","attempt":1,"language":"python",'
    b'"code":"def solve(\\n    for  in :\\n        if \\n            return \\n    return '
    b'"}]\0[{"type":"submission_judged","seq":7,"at":179,"player_id":"guest-","attempt":1,"verdict":"accepted",'
    b'"tests_passed":8,"tests_total":8,"duration_ms":9,"attempts":1,"detail":"","tests":['
    b'{"input":"[1, 2, 3], 5","expected":"3","got":"3","passed":true},{"input":"[","passed":false}]}'
    b',{"type":"game_finished","seq":8,"at":179,"reason":"first_accepted","winner":"guest-","ranking":['
    b'{"rank":1,"player_id":"guest-","name":"","accepted":true,"tests_passed":8,"attempts":1,"solved_ms":30},'
    b'{"rank":2,"player_id":"guest-","name":"","accepted":false,"tests_passed":8,"attempts":1,"solved_ms":null}'
    b'],"stayed":8}]\0'
)
"""What the commits of all games have in common, the commonest last."""


def pack(commits: Sequence[bytes]) -> bytes:
    """Pack encoded commits."""
    squeezer = zlib.compressobj(_LEVEL, zdict=_COMMON)
    return FORMAT + squeezer.compress(_BETWEEN.join(commits)) + squeezer.flush()


def unpack(packed: bytes) -> list[bytes]:
    """Unpack encoded commits.

    Raises:
        ValueError: they are of a format that this release does not know, or damaged.
    """
    if not packed.startswith(FORMAT):
        raise ValueError(f"packed in format {packed[:1].hex()}, this release knows {FORMAT.hex()}")
    opener = zlib.decompressobj(zdict=_COMMON)
    try:
        commits = opener.decompress(packed[len(FORMAT) :]) + opener.flush()
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from None
    if not opener.eof:
        raise ValueError("damaged: cut off")
    return commits.split(_BETWEEN)
