"""The supervisor: keeps the workers of one port running, and says how they are.

`policy` decides when one that died is started again, `worker` is one process and what is read from it, `slot` keeps
one running, `supervisor` all of them; `ops` answers probes and scrapes; `descriptors` opens what workers inherit;
`requirements` says what settings several can serve with.
"""

from app.supervisor.requirements import require_replaceable, require_supervisable
from app.supervisor.supervisor import supervise

__all__ = ["require_replaceable", "require_supervisable", "supervise"]
