"""What a caller sent (a JSON object or the query string), read field by field with limits; what goes back.

Every reader says which field is wrong and what was expected (`bad_field` with field= and expected=), so that
a page can mark the field; nothing that was not asked for is looked at.
"""

import json
import math
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from datetime import date as Date
from typing import Any, Final, TypeVar
from uuid import UUID

from hub.core import errors

T = TypeVar("T")
TEXT_MAX_CHARS = 200
ITEMS_MAX = 1000


def to_json(value: Any) -> str:
    """JSON of a handler's answer: ids and dates as text, instants in UTC with `Z`."""
    return _ENCODER.encode(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, (UUID, Date)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


_ENCODER: Final = json.JSONEncoder(default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _is_unprintable(character: str) -> bool:
    """A control character other than line break and tab, or half of a surrogate pair (no UTF-8 has one)."""
    return (character < " " and character not in "\n\t") or "\ud800" <= character <= "\udfff"


class Fields:
    """The fields of one object; `textual` ones (a query string) hold numbers and booleans as text."""

    def __init__(self, values: Mapping[str, Any], *, textual: bool = False, path: str = "") -> None:
        self.values, self._textual, self._path = values, textual, path

    def has(self, name: str) -> bool:
        """Whether the field was sent with a value; an empty text and null count as not sent."""
        return self.values.get(name) not in (None, "")

    def bad(self, name: str, expected: str) -> errors.HubError:
        """The error that says what this field should have been."""
        return errors.error("bad_field", field=self._path + name, expected=expected)

    def text(self, name: str, max_chars: int = TEXT_MAX_CHARS, required: bool = True) -> str:
        """Trimmed text, no control characters but line breaks and tabs; "" if not required and not sent."""
        value = self.values.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str):
            raise self.bad(name, f"text of at most {max_chars} characters")
        value = value.strip()
        if not value and required:
            raise self.bad(name, "text that is not empty")
        if len(value) > max_chars or any(
            (c < " " and c not in "\n\t") or "\ud800" <= c <= "\udfff" for c in value
        ):
            raise self.bad(name, f"text of at most {max_chars} characters, no control characters")
        return value

    def choice(self, name: str, options: Collection[str]) -> str:
        """One of the words of a table."""
        value = self.values.get(name)
        if not isinstance(value, str) or value not in options:
            raise self.bad(name, "one of " + ", ".join(sorted(options)))
        return value

    def uuid(self, name: str) -> UUID:
        return self._parsed(name, UUID, "an id (UUID)")

    def date(self, name: str) -> Date:
        return self._parsed(name, Date.fromisoformat, "a date YYYY-MM-DD")

    def instant(self, name: str) -> datetime:
        """An instant with its offset; without one nobody knows where it was meant, so it is refused."""
        value = self._parsed(name, datetime.fromisoformat, "an instant like 2026-01-31T08:00:00+08:00")
        if value.tzinfo is None:
            raise self.bad(name, "an instant with an offset, like 2026-01-31T08:00:00+08:00")
        return value

    def boolean(self, name: str, default: bool | None = None) -> bool:
        value = self.values.get(name)
        if self._textual and value in ("true", "false"):
            return bool(value == "true")
        if value is None and default is not None:
            return default
        if not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self.values.get(name)
        if value is None and default is not None:
            return default
        if self._textual and isinstance(value, str) and len(value) <= 20 and value.lstrip("-").isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.bad(name, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        value = self.values.get(name)
        if self._textual and isinstance(value, str):
            value = self._parsed(name, float, "a number")
        usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not usable or not low <= value <= high:  # type: ignore[operator]
            raise self.bad(name, f"a number from {low} to {high}")
        return float(value)  # type: ignore[arg-type]

    def mapping(self, name: str) -> "Fields":
        """An object inside this one."""
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise self.bad(name, "an object")
        return Fields(value, path=f"{self._path}{name}.")

    def each(self, name: str, max_items: int = ITEMS_MAX) -> list["Fields"]:
        """A list of objects."""
        value = self.values.get(name)
        if (
            not isinstance(value, list)
            or len(value) > max_items
            or not all(isinstance(v, dict) for v in value)
        ):
            raise self.bad(name, f"a list of at most {max_items} objects")
        return [Fields(v, path=f"{self._path}{name}[{i}].") for i, v in enumerate(value)]

    def texts(self, name: str, max_items: int = ITEMS_MAX, max_chars: int = TEXT_MAX_CHARS) -> list[str]:
        """A list of texts."""
        value = self.values.get(name)
        if not isinstance(value, list) or len(value) > max_items:
            raise self.bad(name, f"a list of at most {max_items} texts")
        items = Fields({str(i): v for i, v in enumerate(value)}, path=f"{self._path}{name}.")
        return [items.text(str(i), max_chars) for i in range(len(value))]

    def optional_text(self, name: str, max_chars: int = TEXT_MAX_CHARS) -> str | None:
        return self.text(name, max_chars) if self.has(name) else None

    def optional_choice(self, name: str, options: Collection[str]) -> str | None:
        return self.choice(name, options) if self.has(name) else None

    def optional_uuid(self, name: str) -> UUID | None:
        return self.uuid(name) if self.has(name) else None

    def optional_date(self, name: str) -> Date | None:
        return self.date(name) if self.has(name) else None

    def optional_instant(self, name: str) -> datetime | None:
        return self.instant(name) if self.has(name) else None

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        return self.integer(name, low, high) if self.has(name) else None

    def _parsed(self, name: str, parse: Callable[[str], T], expected: str) -> T:
        value = self.values.get(name)
        if not isinstance(value, str) or len(value) > TEXT_MAX_CHARS:
            raise self.bad(name, expected)
        try:
            return parse(value)
        except ValueError:
            raise self.bad(name, expected) from None
