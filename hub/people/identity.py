"""Numbers of identity documents: the check of a Chinese resident id, and how numbers are kept.

Resident id: GB 11643-1999, 18 characters: 6 of the place, 8 of the birth date, 3 of the order (odd: male),
a check character of ISO 7064 MOD 11-2. A number is kept encrypted (AES-256-GCM, bound to its patient) and, to
be found again, as a keyed hash; both keys are in one file of the data folder, never in the database.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.types.json import Jsonb

from hub.core import db, errors, secret
from hub.core.db import Connection

ID_TYPES = ("resident-id", "passport", "other", "none")
KEY_NAME = "identity"  # in the data folder's secret/
KEY_BYTES = 32  # of each of the two keys
NONCE_BYTES = 12  # NIST SP 800-38D 8.2
FORMAT = b"\x01"
MASK_FIRST, MASK_LAST = 3, 2  # characters left readable on pages

_RESIDENT_ID = re.compile(r"[1-9]\d{16}[\dX]")
_OTHER_ID = re.compile(r"[A-Z0-9-]{4,32}")


def check_character(first_seventeen: str) -> str:
    """The check character of ISO 7064 MOD 11-2."""
    product = 0
    for digit in first_seventeen:
        product = (product + int(digit)) * 2 % 11
    return "0123456789X"[(12 - product) % 11]


def normalised(id_number: str) -> str:
    """As it is hashed: upper case without spaces."""
    return re.sub(r"\s", "", id_number).upper()


def require_valid(id_type: str, id_number: str, birth_date: date, sex: str) -> None:
    """Raise unless the (normalised) number can be one, and agrees with birth date and sex."""
    if id_type != "resident-id":
        if not _OTHER_ID.fullmatch(id_number):
            raise errors.error("bad_id_number", field="id_number", expected="4 to 32 of A-Z 0-9 -")
        return
    if not _RESIDENT_ID.fullmatch(id_number) or check_character(id_number[:17]) != id_number[17]:
        raise errors.error(
            "bad_id_number", field="id_number", expected="18 characters with a right check digit"
        )
    if id_number[6:14] != birth_date.strftime("%Y%m%d"):
        raise errors.error("id_number_disagrees", field="birth_date")
    if sex in ("male", "female") and (int(id_number[16]) % 2 == 1) != (sex == "male"):
        raise errors.error("id_number_disagrees", field="sex")


def masked(id_number: str) -> str:
    """What a page shows: enough to compare with the card in one's hand."""
    hidden = max(0, len(id_number) - MASK_FIRST - MASK_LAST)
    return id_number[:MASK_FIRST] + "*" * hidden + id_number[MASK_FIRST + hidden :]


@dataclass(frozen=True)
class Keys:
    """The two keys of an installation."""

    encryption: bytes
    search: bytes

    def hash(self, id_type: str, id_number: str) -> str:
        """To find a number again without reading any."""
        return hmac.new(self.search, f"{id_type}\0{id_number}".encode(), hashlib.sha256).hexdigest()

    def encrypt(self, patient_id: UUID, id_number: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return FORMAT + nonce + AESGCM(self.encryption).encrypt(nonce, id_number.encode(), patient_id.bytes)

    def decrypt(self, patient_id: UUID, kept: bytes) -> str:
        nonce, text = kept[1 : 1 + NONCE_BYTES], kept[1 + NONCE_BYTES :]
        return AESGCM(self.encryption).decrypt(nonce, text, patient_id.bytes).decode()


def load_keys(data_dir: Path) -> Keys:
    """The keys of the data folder; made at the first start, by whichever process comes first."""
    both = secret.load_or_create(data_dir, KEY_NAME, 2 * KEY_BYTES)
    if len(both) != 2 * KEY_BYTES:
        raise ValueError(f"secret/{KEY_NAME} in {data_dir} is damaged: restore it from your backup")
    return Keys(both[:KEY_BYTES], both[KEY_BYTES:])


async def require_own_keys(conn: Connection, keys: Keys) -> None:
    """Raise if this database was written with other keys: its numbers could be neither read nor found."""
    mark = keys.hash("installation", "")
    await db.run(
        conn,
        "INSERT INTO installation (key, value) VALUES ('identity_keys', %s) ON CONFLICT DO NOTHING",
        (Jsonb(mark),),
    )
    row = await db.one(conn, "SELECT value FROM installation WHERE key = 'identity_keys'")
    if row["value"] != mark:
        raise ValueError(f"secret/{KEY_NAME} is not the key of this database: restore the right one")
