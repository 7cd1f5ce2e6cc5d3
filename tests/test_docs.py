"""The documents are held against the code: what is not written down does not exist."""

import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_reference_is_what_the_tables_say() -> None:
    module = runpy.run_path(str(DOCS / "reference.py"))
    assert module["reference"]() == (DOCS / "reference.md").read_text(encoding="utf-8"), (
        "run python docs/reference.py"
    )


def test_the_ten_files_to_read_are_there() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    listed = [line.split("`")[1] for line in text.splitlines() if line[:1].isdigit() and "`" in line]
    assert len(listed) == 10
    assert [name for name in listed if not (DOCS.parent / name).is_file()] == []


def test_every_link_inside_the_documents_leads_somewhere() -> None:
    pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md")]
    links = [
        (page, link.split("#")[0])
        for page in pages
        for link in (part.split(")")[0] for part in page.read_text(encoding="utf-8").split("](")[1:])
        if not link.startswith(("http", "#"))
    ]
    assert [
        f"{page.name}: {link}" for page, link in links if link and not (page.parent / link).exists()
    ] == []
