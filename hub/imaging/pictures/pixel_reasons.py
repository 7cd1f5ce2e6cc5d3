"""Why an image can't be shown, in words for the doctor who wanted to see it; keys as in `dicom.pixels.faults`."""

from collections.abc import Mapping
from typing import Final

Words = Mapping[str, str]

REASONS: Final[Mapping[str, Words]] = {
    "description": {
        "zh-CN": "影像的尺寸或位数缺失或矛盾，无法显示。原文件已保留，请在设备上重新发送。",
        "en": "The image's size or depth is missing or contradictory. The file is kept; send it from the device again.",
    },
    "size": {
        "zh-CN": "文件中没有可显示的像素。",
        "en": "The file holds no pixels to show.",
    },
    "too-large": {
        "zh-CN": "影像过大，浏览器中无法显示。请在工作站上查看原文件。",
        "en": "The image is too large to be shown here. Open the original file on a workstation.",
    },
    "cut": {
        "zh-CN": "影像数据不完整（传输或存储时被截断）。请在设备上重新发送。",
        "en": "The image data are incomplete (cut while sent or stored). Send it from the device again.",
    },
    "damaged": {
        "zh-CN": "影像数据已损坏，无法解码。请在设备上重新发送。",
        "en": "The image data are damaged and can't be decoded. Send it from the device again.",
    },
    "differs": {
        "zh-CN": "压缩数据与影像描述不一致，为避免误读不予显示。请联系设备厂商。",
        "en": "The compressed data contradict the image's description, so it is not shown. Ask the device's maker.",
    },
    "syntax": {
        "zh-CN": "不支持的压缩格式。请让设备以未压缩或 JPEG 2000 格式发送。",
        "en": "The compression is not supported. Have the device send it uncompressed or as JPEG 2000.",
    },
    "video": {
        "zh-CN": "视频（MPEG、HEVC）暂不能在此播放。请在工作站上查看原文件。",
        "en": "A film (MPEG, HEVC) can't be played here. Open the original file on a workstation.",
    },
    "kind": {
        "zh-CN": "不支持的颜色类型，无法正确显示。请在工作站上查看原文件。",
        "en": "This kind of colour can't be shown faithfully. Open the original file on a workstation.",
    },
    "too-hard": {
        "zh-CN": "影像处理超出时间或内存限制，已保留原文件。请联系管理员。",
        "en": "Preparing the image took too much time or memory; the file is kept. Ask the administrator.",
    },
}  # fmt: skip


def words(code: str | None) -> Words | None:
    """The words of a code; None of none."""
    return None if code is None else REASONS.get(code, REASONS["damaged"])
