"""Foreign XML as a small tree: no entities, bounded depth and number of elements, each with its offset.

defusedxml refuses entity declarations and external references; a DOCTYPE without them is let through, since makers
write one. Nothing outside the bytes is ever opened.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from ecg.formats.invalid import COPY_AGAIN, InvalidRecord

MAX_BYTES = 1 << 25  # 12 leads of 500 Hz for 15 min as decimal digits
MAX_TAG_BYTES = 1 << 16  # a tag is held as a whole before anything can be counted
MAX_ELEMENTS = 100_000  # an aECG of 10 s with all annotations has 5,000
MAX_DEPTH = 100
# Encodings of several bytes that the parser does not know.
_CHINESE = re.compile(rb"<\?xml[^>]{0,100}?encoding=[\"'](gb2312|gbk|gb18030|big5)[\"']", re.IGNORECASE)


@dataclass
class Element:
    """Name without namespace, attributes without namespaces, own text, children, offset of the start tag."""

    name: str
    attributes: dict[str, str]
    offset: int
    children: list["Element"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()

    def all(self, *path: str) -> Iterator["Element"]:
        """Descendants by the names of the path."""
        if not path:
            yield self
            return
        for child in self.children:
            if child.name == path[0]:
                yield from child.all(*path[1:])

    def first(self, *path: str) -> "Element | None":
        return next(self.all(*path), None)

    def text_of(self, *path: str) -> str:
        """Text of the first such descendant; empty where there is none."""
        found = self.first(*path)
        return found.text if found else ""


def _bare(name: str) -> str:
    return name.rpartition("}")[2]


class _Builder:
    """Target of the parser: its methods' names are the parser's."""

    def __init__(self) -> None:
        self.open = [Element("", {}, 0)]
        self.count = 0
        self.expat: Any = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        at = self.expat.CurrentByteIndex
        if self.count > MAX_ELEMENTS or len(self.open) > MAX_DEPTH:
            raise InvalidRecord("more or deeper elements than an ECG has", at)
        element = Element(_bare(name), {_bare(k): v for k, v in attributes.items()}, at)
        self.open[-1].children.append(element)
        self.open.append(element)

    def end(self, _name: str) -> None:
        self.open.pop()

    def data(self, text: str) -> None:
        self.open[-1].pieces.append(text)

    def close(self) -> Element:
        return self.open[0]


def _check_tags(data: bytes) -> None:
    """No start tag is too long, nor are there too many."""
    end = 0
    for _ in range(4 * MAX_ELEMENTS):
        if (begin := data.find(b"<", end)) < 0 or (end := data.find(b">", begin)) < 0:
            return
        if end - begin > MAX_TAG_BYTES and data[begin + 1 : begin + 2] not in (b"!", b"?"):
            break
    raise InvalidRecord("more or longer tags than an ECG has", begin)


def parse(data: bytes) -> Element:
    """The root element; anything else than one bounded document raises InvalidRecord."""
    if len(data) > MAX_BYTES:
        raise InvalidRecord(f"{len(data)} bytes of XML", MAX_BYTES, "export a shorter recording")
    _check_tags(data)
    if chinese := _CHINESE.match(data):
        text = data[chinese.end() :].decode("gb18030" if chinese[1][:1] in b"gG" else "big5", "replace")
        data = b'<?xml version="1.0" encoding="utf-8"?>' + text.partition("?>")[2].encode()
    builder = _Builder()
    parser = XMLParser(target=builder, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    builder.expat = parser.parser
    try:
        parser.feed(data)
        root: Element = parser.close()
    except InvalidRecord:
        raise
    except DefusedXmlException as error:
        cause = f"the XML declares what it may not ({type(error).__name__})"
        raise InvalidRecord(cause, parser.parser.CurrentByteIndex, "export it without entities") from error
    except (ParseError, ValueError, LookupError) as error:
        cause = f"no well-formed XML ({error})"
        raise InvalidRecord(cause, max(0, parser.parser.ErrorByteIndex), COPY_AGAIN) from error
    return root.children[0]
