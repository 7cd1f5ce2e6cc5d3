"""The one error of this package: a payload from a device cannot be read.

A payload that cannot be read is set aside with its `reason`, never dropped and never retried for ever, so
the reasons are a closed list which operators can count by.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Reason = Literal[
    "truncated",  # ends before the value it announces
    "oversize",  # longer than the limit, or would unpack to more than the limit
    "not-cbor",  # no well-formed CBOR map
    "not-json",  # no well-formed JSON text
    "not-senml",  # well-formed, but no SenML pack
    "wrong-version",  # a format version this hub does not speak
    "missing-field",  # a field that this kind of message needs is absent
    "bad-field",  # a field of the wrong type or out of its range
    "unknown-kind",  # an event or command kind that is not in the table
    "foreign-format",  # a driver was given something its device does not send
]

REASONS: Final[tuple[str, ...]] = get_args(Reason)


class DecodeError(ValueError):
    """`reason` is stable and countable; the text is for people and holds no measured value."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason: Reason = reason
        self.text = text
