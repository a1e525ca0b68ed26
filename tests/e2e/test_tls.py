"""TLS without a proxy: wss and https from the server itself."""

import asyncio
import datetime as dt
import ipaddress
import ssl
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect

from tests.support.server import ROOT, SECRET, ServerProcess

pytestmark = pytest.mark.anyio


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return certificate_file, key_file


async def test_a_game_over_wss(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path / "tls")
    server = ServerProcess(tmp_path / "server", tls_cert_file=certificate, tls_key_file=key)
    await asyncio.to_thread(server.start)
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        token = jwt.encode({"sub": "ann", "exp": time.time() + 600}, SECRET)
        url = f"wss://{server.host}/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"
        offer = {"subprotocols": ["code-racer.v1"], "ssl": context, "proxy": None}
        async with connect(url, **offer) as ws:  # type: ignore[arg-type] # keyword arguments of many types
            await ws.send(f'{{"type":"auth","data":{{"token":"{token}"}}}}')
            assert '"no_such_game"' in str(await ws.recv())
            await ws.wait_closed()
            assert ws.close_code == 4404
        assert server.wait_for_log("app.started")["page"].startswith("https://")
    finally:
        assert await asyncio.to_thread(server.stop) == 0


@pytest.mark.parametrize("half", ["TLS_CERT_FILE", "TLS_KEY_FILE"])
def test_half_a_pair_is_a_mistake_that_is_told(half: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "check-config"],
        cwd=tmp_path,
        env={half: "x.pem", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "TLS_CERT_FILE: needs TLS_KEY_FILE" in done.stderr
