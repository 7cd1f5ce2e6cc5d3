"""Both languages say everything, and Chinese is Chinese (DESIGN.md section 10)."""

import json
import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
LOCALES = WEB / "src" / "locales"
FILES = sorted(path.name for path in (LOCALES / "zh-CN").glob("*.json"))
HAN = re.compile(r"[\u4e00-\u9fff]")
KEY_USED = re.compile(r"""\bt\(\s*['"]([a-z][\w.-]*)['"]""")
PARAMETER = re.compile(r"\{(\w+)")
# Values that are the same in every language: units and symbols.
WITHOUT_HAN = frozenset(json.loads((WEB / "check" / "without-han.json").read_text()))


def catalogue(language: str, file: str) -> dict[str, str]:
    messages: dict[str, str] = json.loads((LOCALES / language / file).read_text())
    return messages


def every(language: str) -> dict[str, str]:
    return {key: text for file in FILES for key, text in catalogue(language, file).items()}


@pytest.mark.parametrize("file", FILES)
def test_both_languages_have_the_same_keys(file: str) -> None:
    assert catalogue("zh-CN", file).keys() == catalogue("en", file).keys()


def test_a_key_stands_in_one_file_only() -> None:
    assert len(every("zh-CN")) == sum(len(catalogue("zh-CN", file)) for file in FILES)


def test_chinese_messages_have_han_characters() -> None:
    assert [
        key for key, text in every("zh-CN").items() if not HAN.search(text) and key not in WITHOUT_HAN
    ] == []


def test_english_messages_have_none() -> None:
    assert [key for key, text in every("en").items() if HAN.search(text)] == []


def test_both_languages_take_the_same_parameters() -> None:
    english = every("en")
    differing = [
        key
        for key, text in every("zh-CN").items()
        if set(PARAMETER.findall(text)) != set(PARAMETER.findall(english[key]))
    ]
    assert differing == []


def test_every_key_that_a_page_asks_for_exists() -> None:
    sources = [path.read_text() for path in (WEB / "src").rglob("*.ts*")]
    used = {key for source in sources for key in KEY_USED.findall(source)}
    assert len(used) > 100
    assert used - every("zh-CN").keys() == set()
