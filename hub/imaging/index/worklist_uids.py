"""Study UIDs that our worklist gives; apart from it, so that who only compares them needs no data sets."""

from typing import Final
from uuid import UUID

_UUID_ROOT: Final = "2.25."  # PS3.5 B.2


def study_uid_of(request_id: UUID) -> str:
    """The study UID that our worklist gives: always the same for a request."""
    return f"{_UUID_ROOT}{request_id.int}"


def request_of(study_uid: str) -> UUID | None:
    """The request a study UID would be of, if our worklist gave it."""
    number = study_uid.removeprefix(_UUID_ROOT)
    if number == study_uid or not number.isdigit() or int(number) >= 1 << 128:
        return None
    return UUID(int=int(number))
