"""Certificates that we make are what RFC 5280 asks for: since Python 3.13 clients insist on it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.harness.server import ROOT
from tools.harness.tls import Certificates


def to_try_out(folder: Path) -> tuple[Path, Path]:
    """The authority and the certificate of `make pair` and of Compose."""
    subprocess.run([ROOT / "deploy/make-tls.sh", folder, "localhost"], check=True)
    return folder / "ca.crt", folder / "tls.crt"


def of_the_tests(folder: Path) -> tuple[Path, Path]:
    """Those of the tests themselves."""
    made = Certificates(folder)
    return made.ca, made.cert


@pytest.mark.parametrize("make", [to_try_out, of_the_tests])
def test_a_certificate_passes_the_strict_check(make: Callable[[Path], tuple[Path, Path]], tmp_path: Path) -> None:
    authority, certificate = make(tmp_path)
    command: list[str | Path] = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        authority,
        certificate,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
