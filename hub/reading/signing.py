"""The signature under a report: canonical JSON bytes and an Ed25519 key (RFC 8032) that only this hub holds.

`Signer` is the interface; a certified signer (CA, USB key) takes its place later. The local key proves
that the bytes are those this hub signed for the named account after it gave its password again. It is
**not** a qualified electronic signature, and the page and the paper say so.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.core import secret

KEY_NAME = "report-signing"  # in the data folder's secret/


class Signer(Protocol):
    """Signs bytes and knows its own key."""

    key_id: str
    statement: dict[str, str]

    def sign(self, content: bytes) -> bytes: ...

    def verify(self, content: bytes, signature: bytes) -> bool: ...


NOT_QUALIFIED = {
    "zh-CN": "本地密钥电子签名（Ed25519），不属于《电子签名法》所称可靠电子签名。",
    "en": "Signed with a local key (Ed25519); this is not a qualified electronic signature.",
}


class LocalSigner:
    """The key of this installation; its id is the start of the SHA-256 of the public key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key, self._public = key, key.public_key()
        raw = self._public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.statement = NOT_QUALIFIED
        self.key_id = "ed25519-" + hashlib.sha256(raw).hexdigest()[:16]

    def sign(self, content: bytes) -> bytes:
        return self._key.sign(content)

    def verify(self, content: bytes, signature: bytes) -> bool:
        try:
            self._public.verify(signature, content)
        except InvalidSignature:
            return False
        return True


def local_signer(data_dir: Path) -> LocalSigner:
    """The key of the data folder; the first start makes it."""
    return LocalSigner(Ed25519PrivateKey.from_private_bytes(secret.load_or_create(data_dir, KEY_NAME)))


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one byte form of a document: keys sorted, no spaces, UTF-8. NaN has no such form and is refused."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def verification_code(signed_content: bytes) -> str:
    """What is printed on paper to compare with the hub: four groups of the SHA-256 of the signed bytes."""
    digest = hashlib.sha256(signed_content).hexdigest()[:16].upper()
    return "-".join(digest[i : i + 4] for i in range(0, 16, 4))
