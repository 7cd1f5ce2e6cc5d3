"""Passwords: what is accepted, and argon2id (RFC 9106) in a thread, so that no page waits for a sign-in."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.core import errors

MIN_CHARS = 10
MAX_CHARS = 200
# 19 MiB, two passes, one lane: the memory of many sign-ins at once stays bounded on a small server.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Verified for an unknown login, so that it takes as long as a known one.
_NOBODY = _HASHER.hash("nobody has this password")


def require_strong(password: str, login: str) -> None:
    """At least ten characters, two kinds of them, and not the login in disguise."""
    kinds = sum(any(test(c) for c in password) for test in (str.isdigit, str.isalpha, _is_other))
    if not MIN_CHARS <= len(password) <= MAX_CHARS or kinds < 2 or login in password.lower():
        raise errors.error("weak_password", min_chars=MIN_CHARS)


async def hashed(password: str) -> str:
    return await asyncio.to_thread(_HASHER.hash, password)


async def matches(password_hash: str | None, password: str) -> bool:
    """Whether it is the password; for nobody's hash it takes as long and is False."""
    right = await asyncio.to_thread(_verify, password_hash or _NOBODY, password)
    return right and password_hash is not None


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _is_other(character: str) -> bool:
    return not character.isalnum()
