"""A node: containerd, runc, a bridge, kube-proxy and a kubelet, beside the control plane in a namespace of its own."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import yaml

from tests.proof.built import built
from tests.proof.kube.plane import STOP_TIMEOUT_S, Plane
from tests.proof.kube.programs import kubernetes
from tools.harness.server import free_port, until

NAME: Final = "node"
ADDRESS: Final = "192.168.77.1"
PODS: Final = "10.244.7.0/24"
PAUSE: Final = "localhost/pause:proof"
PLUGINS: Final = "/usr/lib/cni"
"""Of Debian's package containernetworking-plugins."""
CONTAINERD_CONFIG: Final = """
version = 2
root = "{root}"
state = "{state}"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{networks}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


class Node:
    """A node of a plane; it ends with the plane."""

    def __init__(self, plane: Plane, images: list[Path]) -> None:
        """`images`: archives, as ``podman save`` makes them."""
        self._plane = plane
        self._folder = plane.folder / "node"
        self._socket = self._folder / "containerd.sock"
        self._folder.mkdir()
        self._start_runtime()
        for image in images:
            self.ctr("images", "import", str(image))
        self._start_kubelet()
        self._start_proxy()
        until(self._is_ready, 120)

    def ctr(self, *arguments: str) -> str:
        """What containerd's own client answers."""
        command = ["ctr", "--address", str(self._socket), "--namespace", "k8s.io", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def _start_runtime(self) -> None:
        networks = self._folder / "networks"
        networks.mkdir()
        addresses = {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
        bridge = {"type": "bridge", "bridge": "pods0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
        network = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, {"type": "portmap"}]}
        (networks / "pods.conflist").write_text(json.dumps(network))
        config = self._folder / "containerd.toml"
        places = {"root": self._folder / "containerd", "state": self._folder / "state", "networks": networks}
        config.write_text(CONTAINERD_CONFIG.format(socket=self._socket, pause=PAUSE, plugins=PLUGINS, **places))
        self._plane.run("containerd", _program("containerd"), "--config", config)
        until(self._socket.exists, STOP_TIMEOUT_S)
        until(
            lambda: (
                subprocess.run(
                    ["ctr", "--address", self._socket, "version"], capture_output=True, check=False
                ).returncode
                == 0
            )
        )

    def _start_kubelet(self) -> None:
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "address": ADDRESS,
            "healthzPort": free_port(),
            "port": free_port(),
            "podLogsDir": str(self._folder / "logs"),
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "registerWithTaints": [],
            "syncFrequency": "5s",
        }
        path = self._folder / "kubelet.yaml"
        path.write_text(yaml.safe_dump(config))
        options = [
            f"--config={path}",
            f"--kubeconfig={self._plane.kubeconfig}",
            f"--root-dir={self._folder / 'kubelet'}",
        ]
        options += [
            f"--hostname-override={NAME}",
            f"--cert-dir={self._folder / 'certificates'}",
            f"--node-ip={ADDRESS}",
        ]
        self._plane.run("kubelet", built(kubernetes("kubelet")), *options)

    def _start_proxy(self) -> None:
        options = [f"--kubeconfig={self._plane.kubeconfig}", "--proxy-mode=iptables", f"--hostname-override={NAME}"]
        options += [
            f"--cluster-cidr={PODS}",
            "--healthz-bind-address=127.0.0.1:10256",
            "--metrics-bind-address=127.0.0.1:10249",
        ]
        options += ["--conntrack-max-per-core=0", "--nodeport-addresses=127.0.0.0/8"]
        self._plane.run("kube-proxy", built(kubernetes("kube-proxy")), *options)

    def _is_ready(self) -> bool:
        nodes = self._plane.get("nodes")["items"]
        conditions = [each for node in nodes for each in node["status"].get("conditions", ())]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
    assert found is not None, name
    return found
