"""What a sender is told of its instance: the status of C-STORE (PS3.4 B.2.3), and the same as STOW-RS's failure reason.

None of these is a reason to send the same again: the bytes are kept aside, and sending them once more changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from dicom import commands
from hub.imaging.index.instances import Outcome

Words = Mapping[str, str]  # by language

_STATUS_OF: Final[Mapping[str, int]] = {
    "other-content": commands.DUPLICATE_SOP_INSTANCE,
    "class-differs": commands.DATA_SET_DOES_NOT_MATCH,
}

# What nodes answer to a C-STORE (PS3.4 table B.2-1, PS3.7 annex C), by the first and last status of a range.
_WORDS: Final[Sequence[tuple[int, int, Words]]] = (
    (0x0110, 0x0110, {"zh-CN": "处理失败", "en": "Processing failure"}),
    (0x0111, 0x0111, {"zh-CN": "该影像已存在", "en": "The node has this instance already"}),
    (0x0117, 0x0117, {"zh-CN": "对象实例无效", "en": "Invalid object instance"}),
    (0x0122, 0x0122, {"zh-CN": "不支持此类影像", "en": "SOP class not supported"}),
    (0x0124, 0x0124, {"zh-CN": "未获授权", "en": "Not authorised"}),
    (0x0211, 0x0211, {"zh-CN": "不认识该操作", "en": "Unrecognised operation"}),
    (0xA700, 0xA7FF, {"zh-CN": "资源不足（例如磁盘已满）", "en": "Out of resources, such as a full disk"}),
    (0xA900, 0xA9FF, {"zh-CN": "数据与所声明的类别不符", "en": "The data set does not match its SOP class"}),
    (0xB000, 0xB000, {"zh-CN": "已接收，但强制转换了部分元素", "en": "Stored, with elements coerced"}),
    (0xB006, 0xB006, {"zh-CN": "已接收，但丢弃了部分元素", "en": "Stored, with elements discarded"}),
    (0xB007, 0xB007, {"zh-CN": "已接收，但数据与类别不符", "en": "Stored, but not as its SOP class asks"}),
    (0xC000, 0xCFFF, {"zh-CN": "节点无法理解该影像", "en": "The node can't understand the instance"}),
)  # fmt: skip
_OTHER_STATUS: Final[Words] = {"zh-CN": "节点自定义的状态", "en": "A status of the node's own"}


def status_words(status: int | None) -> Words | None:
    """A node's status for people; None for none."""
    if status is None:
        return None
    return next((words for first, last, words in _WORDS if first <= status <= last), _OTHER_STATUS)


def status_of(outcome: Outcome) -> int:
    """Success, or why not."""
    if outcome.reason is None:
        return commands.SUCCESS
    return _STATUS_OF.get(outcome.reason, commands.CANNOT_UNDERSTAND)


def comment_of(outcome: Outcome) -> str:
    """For the error comment of a response; nothing of a patient."""
    return "" if outcome.reason is None else f"kept aside: {outcome.detail}"
