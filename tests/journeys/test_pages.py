"""Every page of every role, narrow and wide, in both languages: whole, translated, and usable without eyes or mouse."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from playwright.async_api import Browser, Page

from tests.journeys.conftest import ROOT, Hub, signed_in

WIDTHS_PX = (1440, 360)
LOCALES = ("en", "zh-CN")  # as the demo's accounts have it again at the end
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
KINDS = ("ecg-12-lead", "holter", "imaging")
UNDER_WAY = ("requested", "recording")
GRAVE = ("serious", "critical")
KEY = re.compile(r"\b(?:core|signin|desk|live|reading|admin|viewer|tools)\.[a-z][\w.-]+")

# Text nodes that people see; what is set in monospace is a machine's own word (a topic, an action, an id).
WORDS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const words = [];
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest('.mono, script, style')) words.push(walker.currentNode.data);
  }
  return words.join('\\n');
}"""
OVERFLOW_PX = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
VIOLATIONS = """() => axe.run(document, {resultTypes: ['violations']}).then(({violations}) =>
  violations.map(({id, impact, nodes}) => [impact, id, nodes[0].target.join(' ')]))"""
SETTLED = "() => document.querySelector('main h1') && !document.querySelector('.skeleton')"

Study = Mapping[str, Any]


def desk(study: Study) -> Sequence[str]:
    patient, request, recording = study["patient"]["id"], study["request_id"], study["recording_id"]
    return (
        "/desk", "/desk?residents=1", "/desk?register=1", f"/desk?patient={patient}", f"/desk?patient={patient}&new=1",
        *(f"/desk?patient={patient}&new=1&kind={kind}" for kind in KINDS),
        "/desk?images=1", f"/desk?request={request}", f"/desk?pair={request}", "/live", f"/live?recording={recording}",
    )  # fmt: skip


def admin(*sections: str) -> Callable[[Study], Sequence[str]]:
    return lambda _: [f"/admin?section={section}" for section in sections]


PAGES: Mapping[str, Callable[[Study], Sequence[str]]] = {
    "doctor": desk,
    "senior": lambda _: ("/reading",),
    "devices": admin("devices", "devices&device=holter-01", "set-aside", "incidents", "health"),
    "admin": admin("nodes", "forwards", "people", "agreements", "routing", "retention"),
    "auditor": admin("audit"),
}


async def test_every_page_is_whole_translated_and_accessible(browser: Browser, hub: Hub) -> None:
    """All roles at once, as in a district's morning."""
    found = await asyncio.gather(*(faults_of_role(browser, hub, login) for login in PAGES))
    assert [fault for faults in found for fault in faults] == []


async def faults_of_role(browser: Browser, hub: Hub, login: str) -> list[str]:
    faults: list[str] = []
    async with signed_in(browser, hub, login) as page:
        study = await recorded_now(page, hub) if PAGES[login] is desk else {}
        for path in PAGES[login](study):
            await page.goto(hub.base + path)
            faults += [f"{login} {path} {fault}" for fault in await faults_of(page)]
        if login == "senior":
            faults += await faults_of_case(page)
    return faults


async def recorded_now(page: Page, hub: Hub) -> Study:
    """A study whose device is paired, of whoever is signed in; its first samples may be on their way."""
    studies = (await (await page.request.get(f"{hub.base}/api/studies")).json())["studies"]
    return next(study for study in studies if study["state"]["word"] in UNDER_WAY)


async def faults_of_case(page: Page) -> list[str]:
    """An open case, given back as it was."""
    await page.locator(".task:not([disabled])").first.click()
    await page.get_by_test_id("completeness").wait_for()
    faults = [f"senior case {fault}" for fault in await faults_of(page)]
    await page.get_by_role("button", name=re.compile("放回队列|Give back")).click()
    await page.get_by_test_id("completeness").wait_for(state="detached")
    return faults


async def faults_of(page: Page) -> list[str]:
    """What is wrong with the page shown, in each language at each width."""
    await page.evaluate(AXE.read_text())  # not as a script tag: the hub allows none but its own
    faults: list[str] = []
    for locale in LOCALES:
        await speak(page, locale)
        faults += [f"{locale}: {key} is not translated" for key in KEY.findall(await page.evaluate(WORDS))]
        for width_px in WIDTHS_PX:
            await page.set_viewport_size({"width": width_px, "height": 900})
            over_px = await page.evaluate(OVERFLOW_PX)
            grave = [
                (rule, where) for impact, rule, where in await page.evaluate(VIOLATIONS) if impact in GRAVE
            ]
            faults += [f"{locale} {width_px} px: {over_px} px too wide"] * (over_px > 0)
            faults += [f"{locale} {width_px} px: {rule} at {where}" for rule, where in grave]
    return faults


async def speak(page: Page, locale: str) -> None:
    """Have the page, and its person's account, in a language."""
    await page.wait_for_function(SETTLED)
    other = page.locator(f"button[lang={locale}]")
    if await other.count() == 0:
        return
    async with page.expect_response(lambda answer: answer.request.method == "PUT"):
        await other.click()
    await other.wait_for(state="detached")
    await page.wait_for_function(SETTLED)
