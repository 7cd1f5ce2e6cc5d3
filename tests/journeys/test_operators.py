"""An operator's morning: a message nobody could use is stored after the fix, and a stopped process is told at once."""

import asyncio
import contextlib
import os
import re
import signal
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from devices import event
from devices.event import Event
from hub.core import broker, clock, mqtt
from hub.core.settings import Settings
from tests.journeys.conftest import Hub, signed_in

NEW = "holter-spare"
SHARDS = 16


async def test_set_aside_mended_and_stored_and_a_stopped_process_told(browser: Browser, hub: Hub) -> None:
    async with signed_in(browser, hub, "devices") as page:
        await send_before_it_is_known(hub, await next_shard(page, hub))
        await open_what_was_set_aside(page, hub)
        await add_the_device(page, hub)
        await take_once_more(page, hub)
        await expect_every_hop_to_work(page, hub)
        await stop_ingest_and_be_told(page, hub)


def ingest_process(hub: Hub) -> tuple[int, dict[str, str]]:
    """Id and environment of the hub's ingest process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().split("\0")
            pairs = (line.partition("=") for line in (folder / "environ").read_text().split("\0"))
        except OSError:  # it has just ended, or is somebody else's
            continue
        environ = {name: value for name, _, value in pairs}
        if "ingest-1" in command and environ.get("HUB_DATA_DIR") == str(hub.data_dir):
            return int(folder.name), environ
    raise LookupError("the hub has no ingest process")


async def next_shard(page: Page, hub: Hub) -> str:
    """Which shard the next device will be given: the first without any."""
    listed = await (await page.request.get(f"{hub.base}/api/devices")).json()
    used = [device["shard"] for device in listed["devices"] if device["retired_at"] is None]
    return min((f"{number:02x}" for number in range(SHARDS)), key=used.count)


async def send_before_it_is_known(hub: Hub, shard: str) -> None:
    """As a device does that somebody switched on before adding it."""
    _, environ = ingest_process(hub)
    settings = Settings(data_dir=hub.data_dir, mqtt_port=int(environ["HUB_MQTT_PORT"]))
    session = await broker.open_session(settings, "journey")
    now_s = clock.now().timestamp()
    told = event.encode(Event("e1", "battery", now_s, now_s, battery_percent=80))
    session.publish(f"ingest/{shard}/{NEW}/event", told, qos=1)
    session.flush()
    while session.unacknowledged:
        await mqtt.wait(session, 0.5)
        session.poll()
    session.disconnect()


async def open_what_was_set_aside(page: Page, hub: Hub) -> None:
    item = page.get_by_role("row", name=NEW)
    async with page.expect_response(re.compile("/api/set-aside")):
        await page.goto(f"{hub.base}/admin?section=set-aside")
    while not await item.count():  # it is on its way through broker and ingest
        await page.get_by_role("button", name="待处理", exact=True).wait_for()
        await page.reload()
        await page.wait_for_load_state("networkidle")
    await item.get_by_role("button", name="查看内容").click()
    dialog = page.get_by_role("dialog", name="设备未登记")
    await expect(dialog).to_contain_text("battery")
    await dialog.get_by_role("button", name="关闭").click()


async def add_the_device(page: Page, hub: Hub) -> None:
    await page.get_by_role("link", name="设备", exact=True).click()
    await page.get_by_role("button", name="登记设备").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("设备编号").fill(NEW)
    await dialog.get_by_label("名称").fill("备用记录仪")
    await dialog.get_by_role("button", name="登记设备").click()
    await page.get_by_role("button", name="我已记下").click()
    await page.get_by_label("按名称或编号查找").fill(NEW)
    await expect(page.locator("tr[data-device]")).to_have_count(1)


async def take_once_more(page: Page, hub: Hub) -> None:
    await page.get_by_role("link", name="搁置的数据包").click()
    await page.get_by_role("row", name=NEW).get_by_role("button", name="查看内容").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="重新处理").click()
    await expect(dialog.get_by_test_id("replay-state")).to_contain_text("已保存", timeout=60_000)
    await dialog.get_by_role("button", name="关闭").click()
    await expect(page.get_by_role("row", name=NEW)).to_have_count(0)


async def expect_every_hop_to_work(page: Page, hub: Hub) -> None:
    await page.get_by_role("link", name="系统状态").click()
    await expect(page.get_by_test_id("chain").locator('li[data-state="broken"]')).to_have_count(0)
    text = await page.get_by_test_id("hub-ledger").inner_text()
    produced, stored, lost, waiting = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", text))
    assert produced == stored + lost + waiting > 0


async def stop_again_and_again(hub: Hub) -> None:
    """As on a machine on which ingest hangs however often it is started: one stop is over in seconds."""
    while True:
        with contextlib.suppress(LookupError, ProcessLookupError):
            os.kill(ingest_process(hub)[0], signal.SIGSTOP)
        await asyncio.sleep(0.1)


async def stop_ingest_and_be_told(page: Page, hub: Hub) -> None:
    """It falls silent, is told over every section, is started again, and stays in the list of the day."""
    stopping = asyncio.create_task(stop_again_and_again(hub))
    await page.get_by_role("alert").filter(has_text="接收进程没有应答").wait_for()
    stopping.cancel()
    await asyncio.wait({stopping})
    with contextlib.suppress(LookupError, ProcessLookupError):  # sooner than the supervisor does
        os.kill(ingest_process(hub)[0], signal.SIGKILL)
    await page.get_by_role("link", name=re.compile("系统告警")).click()
    over = page.locator(".incident-over", has_text="接收进程没有应答")
    await expect(over).to_contain_text("已自行恢复", timeout=60_000)
