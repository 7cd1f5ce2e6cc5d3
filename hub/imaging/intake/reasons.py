"""Why a file can't be used, in words for the person who sent it: what to do next."""

from collections.abc import Mapping
from typing import Final

Words = Mapping[str, str]

REASONS: Final[Mapping[str, Words]] = {
    "unknown": {
        "zh-CN": "无法识别的文件格式。请在设备上导出为 SCP-ECG、HL7 aECG、EDF、ISHNE、MUSE XML、CSV 或 DICOM 后重发。",
        "en": "No known format. Export it as SCP-ECG, HL7 aECG, EDF, ISHNE, MUSE XML, CSV or DICOM and send that.",
    },
    "damaged": {
        "zh-CN": "文件不完整或已损坏。请在设备上重新导出后重发。",
        "en": "The file is cut or damaged. Export it from the device again and send that.",
    },
    "rate": {
        "zh-CN": "采样率无法使用（需为 50 至 2000 Hz 的整数）。请用其他采样率导出。",
        "en": "The sampling rate can't be used (whole numbers from 50 to 2000 Hz). Export with another rate.",
    },
    "scale": {
        "zh-CN": "文件未给出可用的幅度标定，无法换算为毫伏。请用设备的其他导出格式。",
        "en": "The file gives no usable scale in millivolts. Use another export format of the device.",
    },
    "no-samples": {
        "zh-CN": "文件中没有心电数据。请确认导出的是完成的记录。",
        "en": "The file holds no ECG. Check that a finished recording was exported.",
    },
    "too-much": {
        "zh-CN": "压缩包过大或文件过多（最多 2 万个文件、4 GB）。请分几次发送。",
        "en": "The archive is too large or holds too many files (20,000 files, 4 GB at most). Send it in parts.",
    },
    "too-hard": {
        "zh-CN": "文件处理超出时间或内存限制，已保留原文件。请联系管理员。",
        "en": "Reading the file took too much time or memory; the file is kept. Ask the administrator.",
    },
    "nested": {
        "zh-CN": "压缩包内还有压缩包。请解压后发送。",
        "en": "An archive inside an archive. Unpack it and send the files.",
    },
    "empty": {
        "zh-CN": "压缩包中没有文件。",
        "en": "The archive holds no file.",
    },
}  # fmt: skip


def reason(key: str, detail: str = "") -> Words:
    """The words of a key, with what a technician wants to know behind them."""
    words = REASONS.get(key, REASONS["damaged"])
    return {locale: f"{text} [{detail}]" if detail else text for locale, text in words.items()}
