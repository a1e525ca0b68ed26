"""A certificate authority of the test's own, and a certificate of it for this machine."""

import contextlib
import datetime as dt
import ipaddress
import selectors
import socket
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What a key is for: an authority's signs certificates, a server's the handshake."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


# RFC 5280 (4.2.1.1 to 4.2.1.3) asks for these; Python 3.13 verifies that they are there (VERIFY_X509_STRICT).
_AUTHORITY, _SERVER = _usage(signs_certificates=True), _usage(signs_certificates=False)

_AUTHORITY_DAYS = 365


class Certificates:
    """Files (PEM) in `folder`: `ca` is trusted; `cert` and `key` are localhost's and 127.0.0.1's, for so many days."""

    def __init__(self, folder: Path, days: float = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
        self._authority = ec.generate_private_key(ec.SECP256R1())
        self._root = _signed("a test's authority", self._authority, None, self._authority, _AUTHORITY_DAYS)
        self.ca.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))
        self.renew(days)

    def renew(self, days: float) -> None:
        """Have the authority sign another certificate, for another key."""
        own = ec.generate_private_key(ec.SECP256R1())
        leaf = _signed("localhost", own, self._root, self._authority, days)
        self.cert.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    by: ec.EllipticCurvePrivateKey,
    days: float,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(_AUTHORITY if issuer is None else _SERVER, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .sign(by, hashes.SHA256())
    )


def plain(secured: ssl.SSLSocket) -> socket.socket:
    """A plain socket that leads through `secured`, for clients that read in one thread and write in another.

    One thread alone then uses the TLS connection: OpenSSL's may not be used by two at once, and Python 3.11 does not
    keep them apart (python/cpython#118138); one handshake in a hundred was never answered.
    """
    near, far = socket.socketpair()
    secured.setblocking(False)
    far.setblocking(False)
    threading.Thread(target=_pump, args=(secured, far), daemon=True).start()
    return near


def _pump(secured: ssl.SSLSocket, far: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    with secured, far, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
        selector.register(secured, selectors.EVENT_READ)
        selector.register(far, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if secured in ready and not _carry(secured, far):
                return
            if far in ready and not _carry(far, secured):
                return


def _carry(source: socket.socket, target: socket.socket) -> bool:
    """Carry what is there; False at the end."""
    while True:
        try:
            data = source.recv(65_536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        if not data:
            return False
        target.setblocking(True)
        target.sendall(data)
        target.setblocking(False)
