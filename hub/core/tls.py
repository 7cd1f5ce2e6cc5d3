"""A certificate authority of one's own, for a LAN without internet: browsers need HTTPS for cameras and the like.

`hub tls init NAME...` makes the authority once and a server certificate for the names and addresses given. Phones
and PCs trust the hub after installing `ca.crt`; its key never leaves this machine.
"""

import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_VALID = timedelta(days=3650)
SERVER_VALID = timedelta(days=397)  # browsers refuse certificates of a longer life
CLOCK_SLACK = timedelta(days=1)  # phones with a wrong clock


@dataclass(frozen=True)
class Files:
    """Where the pieces are; `certificate` and `key` are what HUB_TLS_CERT and HUB_TLS_KEY want."""

    authority: Path
    authority_key: Path
    certificate: Path
    key: Path


def files(folder: Path) -> Files:
    return Files(folder / "ca.crt", folder / "ca.key", folder / "server.crt", folder / "server.key")


def initialise(folder: Path, names: Sequence[str], at: datetime) -> Files:
    """Make the authority if there is none, and a new server certificate."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    where = files(folder)
    if not where.authority_key.exists():
        _make_authority(where, at)
    authority = x509.load_pem_x509_certificate(where.authority.read_bytes())
    authority_key = serialization.load_pem_private_key(where.authority_key.read_bytes(), None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(names[0]), authority.subject, key, at, SERVER_VALID)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    _write(where.key, _pem(key), 0o600)
    _write(where.certificate, _pem(certificate) + _pem(authority), 0o644)
    return where


def expires_at(certificate: Path) -> datetime:
    """When a certificate ends, for `hub doctor`."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def mutual(certificate: Path, key: Path, clients: Path) -> ssl.SSLContext:
    """For callers known by their certificates (BCP 195 profile, PS3.15 B.9): TLS 1.2 or newer.

    `clients` holds authorities, or the certificates of devices that signed their own.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_cert_chain(certificate, key)
    return context


def _make_authority(where: Files, at: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Telehub local authority")
    certificate = (
        _builder(name, name, key, at, AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(where.authority, _pem(certificate), 0o644)
    _write(where.authority_key, _pem(key), 0o600)


_AUTHORITY_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, at: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - CLOCK_SLACK)
        .not_valid_after(at + valid)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(value: ec.EllipticCurvePrivateKey | x509.Certificate) -> bytes:
    if isinstance(value, x509.Certificate):
        return value.public_bytes(serialization.Encoding.PEM)
    return value.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, body: bytes, mode: int) -> None:
    part = path.with_name(f".{path.name}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(body)
    part.replace(path)
