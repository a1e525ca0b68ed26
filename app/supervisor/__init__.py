"""The supervisor: keeps the workers of one port running, and says how they are.

`policy` decides when one that died is started again, `worker` is one process and what is read from it, `slot` keeps
one running, `supervisor` all of them; `ops` answers probes and scrapes; `descriptors` opens what workers inherit.
"""

from app.supervisor.supervisor import supervise

__all__ = ["supervise"]
