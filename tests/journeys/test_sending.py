"""A 12-lead ECG from a phone at 1 Mbit/s, the line cut and the page closed on the way, into the specialist's queue."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, CDPSession, FilePayload, Page, Request, expect

from ecg import formats
from tests.ecg import twelve_leads as twelve
from tests.journeys.conftest import PATIENCE_MS, Hub, signed_in
from tests.journeys.test_pages import faults_of

PHONE_PX = 360
LINE = {"latency": 60, "downloadThroughput": 125_000, "uploadThroughput": 125_000}  # 1 Mbit/s
QUESTION = "胸闷两小时，有无心肌缺血？"
FILE = "导出.csv"
# JavaScript: all rows of the queue's stores.
STORED = """
  const database = await new Promise((done) => {
    const open = indexedDB.open('telehub-sending');
    open.onsuccess = () => done(open.result);
  });
  const [keys, items, blocks] = await Promise.all(['keys', 'items', 'blocks'].map((name) => new Promise((done) => {
    const all = database.transaction(name).objectStore(name).getAll();
    all.onsuccess = () => done(all.result);
  })));
  database.close();
"""
SLOW = {"latency": 60, "downloadThroughput": 125_000, "uploadThroughput": 6_000}
BLOCK_BYTES = 1 << 20
VERIFIED = "已收到并核对无误"
KIND = "ecg-12-lead"


@dataclass
class Pieces:
    """Bytes of each piece that went to the hub's uploads, those that were answered and those that were cut off."""

    answered: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("requestfinished", lambda request: self._note(request, self.answered))
        context.on("requestfailed", lambda request: self._note(request, self.cut))

    def _note(self, request: Request, pieces: list[int]) -> None:
        if request.method == "PATCH" and "/api/uploads/" in request.url:
            pieces.append(len(request.post_data_buffer or b""))


async def test_a_cut_and_a_closed_page_lose_nothing(browser: Browser, hub: Hub, tmp_path: Path) -> None:
    await agree(browser, hub)
    file, pieces = slow_heart(tmp_path), Pieces()
    size = file.stat().st_size
    async with signed_in(browser, hub, "doctor", width=PHONE_PX) as page:
        pieces.watch(page.context)
        where = await ask_for_ecg(page)
        await cut_in_the_middle(page, hub, file)
        page = await page.context.new_page()
        await found_on_the_desk(page, hub)
        await page.goto(where)
        await received(page)
        # No byte that was answered for went twice; the cut and the opening of the page broke off a piece each.
        assert len(pieces.answered) > 1 and sum(pieces.answered) <= size
        assert 1 <= len(pieces.cut) <= 2 and size <= sum(pieces.answered) + sum(pieces.cut)
        await expect(page.get_by_text("等待阅片").first).to_be_visible(timeout=PATIENCE_MS)
        assert await faults_of(page) == []
        assert await kept_in_browser(page) == (0, 0)
        await page.get_by_role("button", name="退出").click()
        await page.get_by_label("账号").wait_for()
    async with signed_in(browser, hub, "reader") as page:
        await in_the_queue(page)


async def test_what_is_not_sent_waits_encrypted_for_its_own_account(browser: Browser, hub: Hub) -> None:
    """Signing out asks; the next person on the browser sees nothing of it; its own goes on."""
    marker = b"what a patient's file says " * 40_000
    async with signed_in(browser, hub, "doctor", width=PHONE_PX) as page:
        where = await ask_for_ecg(page)
        async with line(page) as session:
            await session.send("Network.emulateNetworkConditions", {"offline": True, **LINE})
            named: FilePayload = {"name": FILE, "mimeType": "text/csv", "buffer": marker}
            await page.locator("input[data-test=files]").set_input_files(named)
            await expect(page.locator(".file")).to_contain_text("网络不通")
            await session.send("Network.emulateNetworkConditions", {"offline": False, **SLOW})
            await expect(page.locator(".file")).to_contain_text("正在发送")
            await page.get_by_role("button", name="退出").click()
            dialog = page.get_by_role("dialog", name="还有 1 个文件没有发完")
            await dialog.get_by_role("button", name="退出，下次登录接着发送").click()
        await sign_in(page, hub, "technician")
        assert await kept_in_browser(page) == (1, -(-len(marker) // BLOCK_BYTES))
        assert await readable_in_browser(page, [FILE, marker[:27].decode()]) == []
        await page.goto(f"{hub.base}/desk")
        await page.get_by_role("link", name="查找居民并申请检查").wait_for()
        await expect(page.locator(".sending-line")).to_have_count(0)
        await page.get_by_role("button", name="退出").click()  # asks nothing: it has nothing to lose
        await sign_in(page, hub, "doctor")
        await page.goto(where)
        await expect(page.locator(".file")).to_contain_text(VERIFIED, timeout=PATIENCE_MS)
        await expect(page.locator(".file")).to_contain_text("不能使用", timeout=PATIENCE_MS)
        assert await kept_in_browser(page) == (0, 0)


async def sign_in(page: Page, hub: Hub, login: str) -> None:
    await page.get_by_label("账号").fill(login)
    await page.get_by_label("密码").fill(hub.password)
    await page.get_by_role("button", name="登录").click()
    await page.get_by_role("button", name="退出").wait_for()


async def agree(browser: Browser, hub: Hub) -> None:
    """The township may send its ECGs where it sends its Holters."""
    async with signed_in(browser, hub, "admin") as page:
        listed = await (await page.request.get(f"{hub.base}/api/agreements")).json()
        sides: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for one in listed["agreements"]:
            sides[one["study_kind"]].add((one["from_organisation_id"], one["to_organisation_id"]))
        csrf = (await (await page.request.get(f"{hub.base}/api/me")).json())["csrf"]
        headers = {"X-CSRF-Token": csrf}
        stepped = await page.request.post(
            f"{hub.base}/api/me/step-up", headers=headers, data={"password": hub.password}
        )
        assert stepped.ok
        for sender, centre in sides["holter"] - sides[KIND]:
            new = {"from_organisation_id": sender, "to_organisation_id": centre, "study_kind": KIND}
            answer = await page.request.post(f"{hub.base}/api/agreements", headers=headers, data=new)
            assert answer.ok, await answer.text()


def slow_heart(folder: Path) -> Path:
    """40 beats a minute with ST of V2 to V4 raised: a record that says something, and long enough to be cut."""
    heart = twelve.heart(fs_hz=1000, length_s=20, rate_bpm=40.0)
    path = folder / FILE
    formats.write(twelve.added_after_qrs(heart, dict.fromkeys(("V2", "V3", "V4"), 400.0)), path)
    return path


async def ask_for_ecg(page: Page) -> str:
    """From the desk to the page on which its files are sent; its address."""
    await page.get_by_role("link", name="查找居民并申请检查").click()
    await page.get_by_role("link", name=re.compile("申请检查：|为 .* 申请检查")).first.click()
    await page.get_by_label("十二导联心电图").check()
    consent = page.get_by_role("button", name="记录同意：远程阅片")
    if await consent.count():
        await consent.click()
        await page.get_by_role("dialog").get_by_role("button", name="记录同意", exact=True).click()
    await page.get_by_label("要回答的问题").fill(QUESTION)
    await page.get_by_role("button", name="提交申请，去发送文件").click()
    await page.get_by_role("heading", name="检查进度").wait_for()
    return page.url


@asynccontextmanager
async def line(page: Page) -> AsyncIterator[CDPSession]:
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", {"offline": False, **LINE})
    yield session
    if not page.is_closed():
        await session.detach()


async def cut_in_the_middle(page: Page, hub: Hub, file: Path) -> None:
    """The line goes when a part is stored; the page says so, and is closed before it is back."""
    async with line(page) as session:
        await page.locator("input[data-test=files]").set_input_files(file)
        row = page.locator(f'.file[data-file="{FILE}"]')
        await page.wait_for_function(
            "() => Number(document.querySelector('.file .progress')?.ariaValueNow ?? 0) > 0"
            " && document.querySelector('.file').dataset.state === 'sending'"
        )
        await session.send("Network.emulateNetworkConditions", {"offline": True, **LINE})
        await expect(row).to_contain_text("网络不通")
        assert VERIFIED not in await row.inner_text()
        request_id = page.url.split("request=")[1]
        listed = await (await page.request.get(f"{hub.base}/api/uploads?request_id={request_id}")).json()
        [upload] = listed["uploads"]
        assert upload["state"] == "receiving" and 0 < upload["offset_bytes"] < upload["size_bytes"]
        await page.close()


async def found_on_the_desk(page: Page, hub: Hub) -> None:
    """Opened again, the page goes on by itself and shows it in the list."""
    async with line(page):
        await page.goto(f"{hub.base}/desk")
        await expect(page.locator(".sending-line")).to_contain_text("正在发送 1 个文件")


async def received(page: Page) -> None:
    async with line(page):
        row = page.locator(f'.file[data-file="{FILE}"]')
        await expect(row).to_contain_text(VERIFIED, timeout=PATIENCE_MS)
        await expect(row).to_contain_text("12 个导联", timeout=PATIENCE_MS)


async def kept_in_browser(page: Page) -> tuple[int, int]:
    """Files and blocks that wait in this browser, of whomever."""
    items, blocks = await page.evaluate(f"async () => {{ {STORED} return [items.length, blocks.length]; }}")
    return items, blocks


async def readable_in_browser(page: Page, words: Sequence[str]) -> list[str]:
    """Which of the words stand in clear in what is kept; that the keys can be read out counts as one."""
    found: list[str] = await page.evaluate(
        f"""async (words) => {{
          {STORED}
          const bytes = [...items, ...blocks].map((row) => row.sealed);
          const text = await new Blob([JSON.stringify(items), JSON.stringify(blocks), ...bytes]).text();
          const open = keys.filter(({{key}}) => key.extractable || !(key instanceof CryptoKey)).map(() => 'key');
          return [...words.filter((word) => text.includes(word)), ...open];
        }}""",
        list(words),
    )
    return found


async def in_the_queue(page: Page) -> None:
    task = page.locator(".task", has_text=QUESTION)
    await expect(task).to_contain_text("十二导联")
    await task.click()
    statements = page.get_by_test_id("statements")
    await statements.wait_for()
    assert int(await statements.get_attribute("data-count") or 0) > 0
    await page.get_by_role("button", name="放回队列").click()
