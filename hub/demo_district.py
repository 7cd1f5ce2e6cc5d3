"""The invented district of the demo as tables: organisations, people in every role, residents, devices, recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ecg.synthetic import Segment

# key: parent, level, tier, name, English name
ORGANISATIONS: Mapping[str, tuple[str | None, str, str | None, str, str]] = {
    "province": (None, "province", None, "示例省卫生健康委", "Demo Province Health Commission"),
    "province-hospital": (
        "province",
        "hospital",
        "province",
        "示例省人民医院",
        "Demo Province People's Hospital",
    ),
    "district": ("province", "district", None, "示例区卫生健康局", "Demo District Health Bureau"),
    "district-hospital": (
        "district",
        "hospital",
        "district",
        "示例区人民医院",
        "Demo District People's Hospital",
    ),
    "qingshan": ("district", "town", "township", "青山镇卫生院", "Qingshan Township Health Centre"),
    "liuhe": ("district", "town", "township", "柳河镇卫生院", "Liuhe Township Health Centre"),
    "shiqiao": ("district", "town", "township", "石桥镇卫生院", "Shiqiao Township Health Centre"),
    "qingshan-east": ("qingshan", "village", None, "青山镇东村卫生室", "Qingshan East Village Clinic"),
    "qingshan-west": ("qingshan", "village", None, "青山镇西村卫生室", "Qingshan West Village Clinic"),
    "liuhe-north": ("liuhe", "village", None, "柳河镇北湾村卫生室", "Liuhe North Village Clinic"),
    "liuhe-south": ("liuhe", "village", None, "柳河镇南湾村卫生室", "Liuhe South Village Clinic"),
    "shiqiao-upper": ("shiqiao", "village", None, "石桥镇上村卫生室", "Shiqiao Upper Village Clinic"),
    "shiqiao-lower": ("shiqiao", "village", None, "石桥镇下村卫生室", "Shiqiao Lower Village Clinic"),
}
TOWNS = ("qingshan", "liuhe", "shiqiao")

# login, name, role, organisation
PEOPLE: Sequence[tuple[str, str, str, str]] = (
    ("doctor", "周立平", "township_doctor", "qingshan"),
    ("technician", "何敏", "technician", "qingshan"),
    ("village", "罗桂芳", "village_doctor", "qingshan-east"),
    ("family-doctor", "郑海燕", "family_doctor", "qingshan"),
    ("doctor2", "吴国强", "township_doctor", "liuhe"),
    ("doctor3", "徐春梅", "township_doctor", "shiqiao"),
    ("reader", "林静", "reader", "district-hospital"),
    ("senior", "陈志远", "senior_reader", "district-hospital"),
    ("province-reader", "沈怡", "reader", "province-hospital"),
    ("devices", "马超", "device_manager", "province"),
    ("admin", "高山", "organisation_admin", "province"),
    ("auditor", "方正", "auditor", "province"),
    ("resident", "李建国", "resident", "qingshan-east"),
    ("daughter", "李晓梅", "family_member", "qingshan-east"),
)
DOCTORS = {"qingshan": "doctor", "liuhe": "doctor2", "shiqiao": "doctor3"}


@dataclass(frozen=True)
class Person:
    """A resident and why they wear a Holter; `device` records now, `heart` is what it sees."""

    name: str
    sex: str
    born: date
    town: str
    question: str
    symptoms: str
    drugs: str
    device: str | None = None
    heart: str = "sinus"
    wearable: str | None = None
    pacemaker: bool = False
    priority: str = "routine"


RESIDENTS: Sequence[Person] = (
    Person("李建国", "male", date(1949, 5, 17), "qingshan", "心悸待查，排除房颤", "阵发心悸，活动后明显", "氨氯地平",
           "holter-01", "af", "band-01"),
    Person("王秀兰", "female", date(1956, 11, 2), "qingshan", "室性早搏药物疗效评估", "偶有漏跳感", "美托洛尔",
           "holter-02", "ectopic", "band-02"),
    Person("张德福", "male", date(1944, 1, 29), "liuhe", "晕厥原因待查", "上月晕厥一次", "无",
           "holter-03", "pauses", "band-03", priority="urgent"),
    Person("欧阳慧敏", "female", date(1971, 8, 8), "liuhe", "胸闷待查", "夜间胸闷", "无",
           "holter-04", "day", "band-04"),
    Person("赵永", "male", date(1963, 3, 12), "shiqiao", "术后随访", "无明显不适", "阿司匹林", "holter-05", "noisy"),
    Person("孙桂英", "female", date(1952, 9, 24), "qingshan", "头晕待查", "起立时头晕", "厄贝沙坦"),
    Person("刘长河", "male", date(1958, 6, 30), "qingshan", "心律不齐复查", "偶有心慌", "索他洛尔"),
    Person("黄素芬", "female", date(1947, 2, 18), "liuhe", "脉搏不齐，是否房颤？", "近两日心慌", "无"),
)  # fmt: skip

TWELVE_LEAD = "af"  # the rhythm of the last resident, of whom a 12-lead ECG was sent
FREE_HOLTER = "holter-06"  # nobody wears it now: for trying the desk; it recorded the finished ones
HOLTER_TOWNS = {"holter-01": "qingshan", "holter-02": "qingshan", "holter-03": "liuhe", "holter-04": "liuhe",
                "holter-05": "shiqiao", FREE_HOLTER: "qingshan"}  # fmt: skip
WEARABLE_TOWNS = {"band-01": "qingshan", "band-02": "qingshan", "band-03": "liuhe", "band-04": "liuhe"}
ERRORS_S = {"holter-02": 41.0}  # a device whose clock is off
FLAPS_S = {"holter-04": (120.0, 15.0)}  # a device whose 4G comes and goes: mean seconds up, down


@dataclass(frozen=True)
class Finished:
    """A recording that is over when the demo begins."""

    patient: int  # of RESIDENTS
    began: timedelta  # after the demo's beginning
    seconds: int
    script: Sequence[Segment]
    diary: str
    conclusion: str | None = None  # None: it waits in the queue


FINISHED: Sequence[Finished] = (
    Finished(
        5, timedelta(minutes=20), 1200,
        (Segment("sinus", 240.0, 62.0), Segment("sinus", 12.0, 52.0, pause_s=2.7), Segment("pvc", 90.0, 70.0)),
        "起立时头晕",
        "1. 窦性心律，平均心率正常范围\n2. 多次长 RR 间期，最长约 2.7 秒\n3. 室性早搏，单发",
    ),
    Finished(
        6, timedelta(minutes=80), 1200,
        (Segment("sinus", 200.0, 74.0), Segment("af", 160.0, 98.0), Segment("pvc", 60.0, 76.0)),
        "心慌约十分钟",
    ),
)  # fmt: skip
