"""A machine is listed and sends; the desk says whose its images are, and takes it back; rules are changed."""

import re
from uuid import uuid4

from aiohttp import ClientSession
from playwright.async_api import Browser, Page, Route, expect

from hub.demo_district import ORGANISATIONS, RESIDENTS
from tests.imaging import senders
from tests.journeys.conftest import PATIENCE_MS, Hub, signed_in
from tests.journeys.test_pages import GRAVE, VIOLATIONS, faults_of

MACHINE = "CT 一号机"
WHO = RESIDENTS[0]  # of the township whose machine sends
PROVINCE = ORGANISATIONS["province-hospital"][3]
RULE = "CT 送省级医院"
ARCHIVE = "县级归档"
NO_IMAGE = b"a text that somebody named .dcm, " * 8


async def test_images_of_nobody_find_their_owner_and_rules_are_changed(browser: Browser, hub: Hub) -> None:
    async with signed_in(browser, hub, "admin") as admin:
        token = await list_the_machine(admin, hub)
        await send(hub, token)
        await change_the_rules(admin, hub)
        await copy_everything(admin, hub)
        async with signed_in(browser, hub, "doctor", width=360) as doctor:
            await decide_and_take_back(doctor, hub)
        await disable_the_machine(admin, hub)


async def list_the_machine(page: Page, hub: Hub) -> str:
    """Its token, shown once."""
    await page.goto(f"{hub.base}/admin?section=nodes")
    await page.get_by_role("button", name="登记节点").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("设备名称").fill(MACHINE)
    await dialog.get_by_label("机构").select_option(label="　　" + ORGANISATIONS["qingshan"][3])
    await dialog.get_by_label("AE 标题").fill("CT\\1")
    await dialog.get_by_role("button", name="登记节点").click()
    await expect(dialog.get_by_role("alert")).to_have_count(2)  # the title, and nothing it is known by
    await dialog.get_by_label("AE 标题").fill("CT1")
    await dialog.get_by_label("生成一个令牌").check()
    await dialog.get_by_role("button", name="登记节点").click()
    token = (await page.locator(".secret").inner_text()).strip()
    await page.get_by_role("button", name=re.compile("已")).click()
    await expect(page.get_by_role("row", name=re.compile(MACHINE))).to_contain_text("令牌")
    assert token not in await page.content()
    return token


async def send(hub: Hub, token: str) -> None:
    """A study with another date of birth than our resident's, one of two patients, and no image, twice."""
    wrong, two = f"2.25.{uuid4().int}", f"2.25.{uuid4().int}"
    name = f"{WHO.name[0]}^{WHO.name[1:]}"
    files = [
        senders.as_file(senders.slice_of(wrong, f"{wrong}.1", number, PatientName=name, PatientBirthDate="19490518"))
        for number in range(3)
    ]  # fmt: skip
    for number, other in enumerate(("WANG^XIULAN", "SUN^GUIYING")):
        made = senders.slice_of(two, f"{two}.1", number, PatientName=other, PatientID=f"P{number}")
        files.append(senders.as_file(made))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/dicom"}
    async with ClientSession(headers=headers) as machine:
        for file in (*files, NO_IMAGE, NO_IMAGE):
            async with machine.post(f"{hub.base}/dicom-web/studies", data=file) as answer:
                assert answer.status == (409 if file is NO_IMAGE else 200), await answer.text()


async def change_the_rules(page: Page, hub: Hub) -> None:
    """A new rule is put first by keyboard, saved, tried, refused where the hub refuses it, and taken away again."""
    await page.goto(f"{hub.base}/admin?section=routing")
    await page.get_by_role("button", name="添加规则").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("规则名称").fill(RULE)
    first, second = (dialog.get_by_role("group", name=f"条件 {number}", exact=True) for number in (1, 2))
    await first.get_by_label("值").select_option(label="影像")
    await dialog.get_by_role("button", name="添加条件").click()
    await second.get_by_label("看什么").select_option(label="年龄（岁）")
    await second.get_by_label("值").fill("151")
    await dialog.get_by_label("送往").select_option(label=PROVINCE)
    await dialog.get_by_role("button", name="确定").click()
    await expect(second.get_by_label("值")).to_be_focused()
    await expect(second.get_by_role("alert")).to_contain_text("0 到 150")
    await second.get_by_label("看什么").select_option(label="影像类型")
    await second.get_by_label("值").select_option("CT")
    await dialog.get_by_role("button", name="确定").click()
    up = page.get_by_role("button", name=re.compile(f"“{RULE}”上移"))
    await up.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".rules > li").first).to_contain_text(RULE)
    await expect(page.get_by_role("button", name=re.compile(f"“{RULE}”下移"))).to_be_focused()
    await save(page)
    await expect(page.get_by_text("有未保存的修改")).to_have_count(0)
    await page.get_by_label("检查类型").select_option("imaging")
    await page.get_by_label("影像类型").select_option("CT")
    await page.get_by_role("button", name="查看送往哪里").click()
    await expect(page.get_by_text(f"符合“{RULE}”，送往 {PROVINCE}")).to_be_visible()
    rule = page.locator(".rules > li").first
    await rule.get_by_role("button", name="停用").click()
    await page.route("**/api/routing", spoil)
    await save(page)
    await expect(rule.get_by_role("alert")).to_contain_text("值不可用")
    await page.unroute("**/api/routing")
    await rule.get_by_role("button", name="删除").click()
    await save(page)
    await expect(page.locator(".rules > li")).to_have_count(2)
    listed = (await (await page.request.get(f"{hub.base}/api/routing")).json())["rules"]
    assert [bool(each["conditions"]) for each in listed] == [True, False]


async def copy_everything(page: Page, hub: Hub) -> None:
    """A node that receives gets a forwarding rule without conditions; what is on its way has a page of its own."""
    await page.goto(f"{hub.base}/admin?section=nodes")
    await page.get_by_role("button", name="登记节点").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("设备名称").fill(ARCHIVE)
    await dialog.get_by_label("机构").select_option(label="　　" + ORGANISATIONS["qingshan"][3])
    await dialog.get_by_label("AE 标题").fill("ARCHIVE")
    await dialog.get_by_label("IP 地址").fill("127.0.0.1")
    await dialog.get_by_label("可以接收本系统转发的影像").check()
    await dialog.get_by_label("它的接收端口").fill("104")
    await dialog.get_by_role("button", name="登记节点").click()
    await dialog.wait_for(state="detached")
    await page.goto(f"{hub.base}/admin?section=routing")
    await page.get_by_role("button", name="添加转发规则").click()
    await dialog.get_by_label("规则名称").fill("全部归档")
    await dialog.get_by_role("button", name="去掉条件 1").click()
    await dialog.get_by_label("送往").select_option(label=ARCHIVE)
    await dialog.get_by_role("button", name="确定").click()
    await page.get_by_role("button", name="保存转发规则").click()
    await dialog.get_by_role("button", name="保存转发规则").click()
    await dialog.wait_for(state="detached")
    rules = page.get_by_role("region", name="转发规则")
    await expect(rules.get_by_role("listitem").first).to_contain_text(
        re.compile(f"全部归档.*{ARCHIVE}", re.DOTALL)
    )
    assert await faults_of(page) == []
    (listed,) = (await (await page.request.get(f"{hub.base}/api/forwarding")).json())["rules"]
    assert (listed["conditions"], listed["to_node_name"], listed["enabled"]) == ([], ARCHIVE, True)
    await page.goto(f"{hub.base}/admin?section=forwards")
    await expect(page.get_by_text("没有符合的记录")).to_be_visible()
    await page.get_by_label("显示").select_option(label="全部")
    assert await faults_of(page) == []


async def spoil(route: Route) -> None:
    """A page of an older release than the hub: it sends a value that the hub doesn't take."""
    sent = route.request.post_data
    await route.continue_(post_data=sent and sent.replace('"CT"', "7"))


async def save(page: Page) -> None:
    await page.get_by_role("button", name="保存规则").click()
    await page.get_by_role("dialog").get_by_role("button", name="保存规则").click()
    await page.get_by_role("dialog").wait_for(state="detached")


async def decide_and_take_back(page: Page, hub: Hub) -> None:
    """On a phone: what differs has to be looked at before it is stored."""
    await page.get_by_role("link", name="去认领").click()
    waiting = page.get_by_role("table", name="还不知道是谁的")
    rows = waiting.get_by_role("row").filter(has=page.get_by_role("link", name="认领"))
    await expect(rows.first).to_contain_text("写着不同的患者")
    await expect(rows.nth(1)).to_contain_text("3 幅")
    aside = page.get_by_role("table", name="不能使用的 DICOM 文件").get_by_role("row").nth(1)
    await expect(aside).to_contain_text(re.compile("不是 DICOM 文件.*2 次", re.DOTALL))
    await expect(aside).to_contain_text(MACHINE)
    assert await faults_of(page) == []
    await rows.first.get_by_role("link", name="认领").click()
    named = page.get_by_role("table", name="影像中写着的患者")
    await expect(named).to_contain_text("SUN GUIYING", timeout=PATIENCE_MS)  # they are indexed meanwhile
    await page.go_back()
    await rows.nth(1).get_by_role("link", name="认领").click()
    assert await faults_of(page) == []
    await page.get_by_role("button", name=f"核对并归到 {WHO.name}").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("table")).to_contain_text("出生日期 ✕不一致")
    assert [found for found in await page.evaluate(VIOLATIONS) if found[0] in GRAVE] == []
    await dialog.get_by_label("归到哪份申请").select_option("none")
    await dialog.get_by_role("button", name=f"归到 {WHO.name}").click()
    await expect(dialog.get_by_text("请先核实并勾选")).to_be_visible()
    await dialog.get_by_label("我已向操作技师核实").check()
    await dialog.get_by_role("button", name=f"归到 {WHO.name}").click()
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name=f"收回归属：{WHO.name}").click()
    await dialog.get_by_label("收回的原因").fill("不是他")
    await dialog.get_by_role("button", name="收回").click()
    await expect(rows).to_have_count(2)


async def disable_the_machine(page: Page, hub: Hub) -> None:
    await page.goto(f"{hub.base}/admin?section=nodes")
    await page.get_by_role("button", name=f"停用 {MACHINE}").click()
    await page.get_by_role("dialog").get_by_role("button", name="停用").click()
    await expect(page.get_by_role("row", name=re.compile(MACHINE))).to_contain_text("已停用")
