"""A certificate authority of a testbed's own, and the certificates of its endpoints.

The key is made when it is first needed and goes with the testbed: what trusts the authority
trusts this testbed, and no other.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA, CA_KEY = "ca.pem", "ca.key"
SINCE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)  # virtual time may begin early
UNTIL = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)


class Authority:
    """The certificate authority of the testbed whose runtime directory this is."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self.file = directory / CA
        if not (self.file.exists() and (directory / CA_KEY).exists()):
            self._make(name)
        self._certificate = x509.load_pem_x509_certificate(self.file.read_bytes())
        key = serialization.load_pem_private_key((directory / CA_KEY).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key

    def _make(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(f"Testbed {name}")
        certificate = (
            _builder(subject, subject, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(self._directory / CA_KEY, _private(key))
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, names: Sequence[str]) -> tuple[bytes, bytes]:
        """Return a certificate for DNS names and addresses, and its key, both in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(_name(names[0]), self._certificate.subject, key)
            .add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), _private(key)

    def issue_files(self, names: Sequence[str], stem: str) -> tuple[Path, Path]:
        """Issue a certificate into the testbed's directory; the files of it and of its key."""
        certificate, key = self.issue(names)
        paths = self._directory / f"{stem}.pem", self._directory / f"{stem}.key"
        paths[0].write_bytes(certificate)
        _write(paths[1], key)
        return paths


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(SINCE)
        .not_valid_after(UNTIL)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, secret: bytes) -> None:
    """Write a file that only its owner may read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
