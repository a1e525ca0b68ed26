"""The node's trials in namespaces of their own: ``python -m tests.proof.kube.inside FOLDER``.

Network, mounts and processes are its own: what it starts ends with it. FOLDER has the images; each line that it prints
is an answer.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.proof.kube import workload
from tests.proof.kube.node import ADDRESS, Node
from tests.proof.kube.plane import Plane
from tests.proof.kube.trials import Trials

NETWORK: Final = (
    "ip link set lo up",
    "ip link add machine0 type bridge",
    f"ip addr add {ADDRESS}/24 dev machine0",
    "ip link set machine0 up",
    "ip route add default dev machine0",
)


class Printed:
    """Answers, a line of JSON each."""

    def asked(self, question: str, answer: str, *, held: bool = True) -> None:
        """Print one of them."""
        print(json.dumps([question, answer, held]), flush=True)


def main() -> None:
    """Start the cluster, run the service on it, and ask."""
    for command in NETWORK:
        subprocess.run(command.split(), check=True)
    with Plane(nodes=True) as plane:
        Node(plane, sorted(Path(sys.argv[1]).glob("*.tar")))
        workload.run(plane)
        Trials(plane, Printed()).all()


if __name__ == "__main__":
    main()
