"""What workers inherit, opened once: whoever dies, the port and what was sent to a worker stay."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from app.listeners import CannotListenError, bound
from app.settings import ServerSettings
from app.supervisor.folder import SharedFolder
from app.workers import Inherited, Share

_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Sockets of all workers: the game's are everybody's, of the others the one at a worker's number is its own."""

    game: list[socket.socket]
    own_ops: list[socket.socket]
    """The supervisor's own."""
    ops: list[list[socket.socket]]
    mail: list[socket.socket]
    mails: list[socket.socket]
    news: list[socket.socket]
    all_news: list[socket.socket]

    def of_worker(self, share: Share, control: socket.socket, folder: SharedFolder) -> Inherited:
        """List what the worker with this share inherits."""
        return Inherited(
            share,
            _numbers(self.game),
            _numbers(self.ops[share.number]) if self.ops else (),
            self.mail[share.number].fileno(),
            _numbers(self.mails),
            self.news[share.number].fileno(),
            _numbers(self.all_news),
            control.fileno(),
            folder.path,
            (folder.held,),
        )


def open_descriptors(settings: ServerSettings, unsent_bytes: int, workers: int, stack: ExitStack) -> Descriptors:
    """Bind the ports and make the mail boxes; `stack` closes all of them. Raises CannotListenError."""
    game = _kept(stack, bound("PORT", settings.host, settings.port, unsent_bytes))
    own_ops, ops = _ops(settings, workers, stack)
    return Descriptors(game, own_ops, ops, *_boxes(workers, stack), *_boxes(workers, stack))


def _boxes(workers: int, stack: ExitStack) -> tuple[list[socket.socket], list[socket.socket]]:
    """Make for each worker where it receives datagrams, and where it is sent them."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(workers)]
    return _kept(stack, [one for one, _ in pairs]), _kept(stack, [other for _, other in pairs])


def _ops(
    settings: ServerSettings, workers: int, stack: ExitStack
) -> tuple[list[socket.socket], list[list[socket.socket]]]:
    """Open OPS_PORT for the supervisor and those that follow for the workers; 0: any that is free."""
    first = settings.ops_port
    if first is None:
        return [], []
    if first and first + workers > _HIGHEST_PORT:
        raise CannotListenError(
            f"OPS_PORT: the {workers} ports behind it are the workers', and {first} leaves too few; set a lower one"
        )
    ports = [first and first + number for number in range(workers + 1)]
    own, *theirs = (_kept(stack, bound("OPS_PORT", settings.host, port)) for port in ports)
    return own, theirs


def _kept(stack: ExitStack, sockets: list[socket.socket]) -> list[socket.socket]:
    return [stack.enter_context(one) for one in sockets]


def _numbers(sockets: list[socket.socket]) -> tuple[int, ...]:
    return tuple(one.fileno() for one in sockets)
