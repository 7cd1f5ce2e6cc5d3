"""The error tree, by whose fault it is. Each error has a stable code and words safe to show to anybody.

HubError
├── BadInput          400  what was sent can't be used; says where and how to mend it
│   ├── TooLarge      413
│   ├── WrongMediaType 415
│   └── WrongChecksum 460  a piece of an upload came damaged: send it again
├── NotAuthenticated  401  sign in first
├── NotAllowed        403  signed in, but no right to this
├── NotFound          404  no such thing, or none that you may see
│   └── Gone          410  it was there and is no more
├── Conflict          409  the thing changed or is already so
└── Unavailable       503  our fault, try again later
    └── NoRoom        507  the disk is full

Codes and their words in both languages are the table `ERRORS`; an error is raised by its code:
`raise errors.error("task_already_claimed")`. No patient data ever goes into an error.
"""

from typing import NamedTuple


class HubError(Exception):
    """Base of everything the hub tells a caller; `status` is the HTTP status."""

    status = 500

    def __init__(self, code: str, zh: str, en: str, **detail: str | int | float | bool | None) -> None:
        super().__init__(code)
        self.code, self.zh, self.en, self.detail = code, zh, en, detail


class BadInput(HubError):
    status = 400


class TooLarge(BadInput):
    status = 413


class WrongMediaType(BadInput):
    status = 415


class WrongChecksum(BadInput):
    status = 460  # tus 1.0, extension checksum


class NotAuthenticated(HubError):
    status = 401


class NotAllowed(HubError):
    status = 403


class NotFound(HubError):
    status = 404


class NotAcceptable(HubError):
    status = 406


class Gone(NotFound):
    status = 410


class Conflict(HubError):
    status = 409


class Unavailable(HubError):
    status = 503


class NoRoom(Unavailable):
    status = 507


class _Row(NamedTuple):
    kind: type[HubError]
    zh: str
    en: str


ERRORS: dict[str, _Row] = {
    # Every domain adds its rows here; `docs/protocol/errors.md` lists them (tested).
    "bad_json": _Row(BadInput, "请求内容不是有效的 JSON。", "The request body is not valid JSON."),
    "bad_field": _Row(
        BadInput, "字段缺失或格式不对：请按提示改正。", "A field is missing or malformed: mend it as shown."
    ),
    "ecg_unreadable": _Row(
        BadInput,
        "文件无法作为心电记录读取：请按提示处理。",
        "The file can't be read as an ECG: mend it as shown.",
    ),
    "bad_media_type": _Row(WrongMediaType, "不支持的内容类型。", "This content type can't be taken."),
    "too_large": _Row(TooLarge, "内容超过允许的大小。", "The content is larger than allowed."),
    "not_signed_in": _Row(NotAuthenticated, "请先登录。", "Please sign in first."),
    "wrong_credentials": _Row(NotAuthenticated, "账号或密码不对。", "Wrong account or password."),
    "locked_out": _Row(
        NotAuthenticated,
        "多次输入错误，账号已暂时锁定，请稍后再试。",
        "Too many wrong attempts; the account is locked for a while.",
    ),
    "step_up_needed": _Row(NotAuthenticated, "请再次输入密码以签名。", "Enter your password again to sign."),
    "not_allowed": _Row(NotAllowed, "您没有此操作的权限。", "You have no right to do this."),
    "csrf": _Row(NotAllowed, "页面已过期，请刷新后重试。", "The page has expired; reload and try again."),
    "not_found": _Row(NotFound, "未找到，或您无权查看。", "Not found, or not yours to see."),
    "conflict": _Row(Conflict, "状态已变化，请刷新后再试。", "The state has changed; reload and try again."),
    "retention_too_short": _Row(
        BadInput, "保存期限不能短于法定最低期限。", "Data can't be kept for less than the law asks."
    ),
    "login_taken": _Row(Conflict, "该登录名已被使用，请换一个。", "This login is taken; choose another."),
    "weak_password": _Row(
        BadInput,
        "密码太简单：至少 10 个字符，含字母、数字、符号中的两种，且不含登录名。",
        "Password too simple: 10 characters or more, two of letters, digits, signs, without the login.",
    ),
    "bad_id_number": _Row(
        BadInput,
        "证件号码不正确，请与证件核对。",
        "The id number is not right; compare it with the document.",
    ),
    "id_number_disagrees": _Row(
        BadInput,
        "证件号码与出生日期或性别不一致，请核对。",
        "The id number does not agree with birth date or sex; compare with the document.",
    ),
    "guardian_needed": _Row(
        BadInput,
        "未满 14 周岁需填写监护人姓名和电话。",
        "Under 14 years the guardian's name and phone are needed.",
    ),
    "patient_exists": _Row(
        Conflict,
        "该证件号已登记，请打开已有档案，不要重复登记。",
        "This id number is registered already; open the existing record instead of a second one.",
    ),
    "consent_needed": _Row(
        Conflict,
        "患者尚未同意动态监测：请先在患者页登记同意书，再提交申请。",
        "The patient has not agreed to monitoring: record the consent on the patient's page first.",
    ),
    "too_many_streams": _Row(
        Conflict,
        "同时打开的实时页面过多，请关闭一些后再试。",
        "Too many live pages are open; close some and try again.",
    ),
    "internal": _Row(
        HubError,
        "系统内部错误，内容未保存；请重试，若再次出现请告知管理员。",
        "An internal error; nothing was saved. Try again, and tell the administrator if it comes back.",
    ),
    # Intake.
    "upload_offset": _Row(
        Conflict,
        "续传位置不一致，请查询后继续。",
        "The upload stands elsewhere: ask where, and go on from there.",
    ),
    "upload_damaged": _Row(
        WrongChecksum, "数据在途中受损，请重传该段。", "A piece was damaged on its way: send it again."
    ),
    "upload_not_whole": _Row(
        WrongChecksum,
        "收到的文件与原文件不一致，请从头重传。",
        "What was received is not the file that was announced: send it from the start.",
    ),
    "upload_expired": _Row(Gone, "上传已过期，请重新上传。", "The upload has expired; begin a new one."),
    "accession_unknown": _Row(
        NotFound,
        "没有此检查号的待检申请，请核对。",
        "No open request has this accession number; compare it with the request.",
    ),
    "too_many_uploads": _Row(
        Conflict, "未完成的上传过多，请等待其完成。", "Too many unfinished uploads; let them finish first."
    ),
    "no_room": _Row(
        NoRoom,
        "服务器存储空间不足，请通知管理员，稍后会自动继续。",
        "The server has no room; tell the administrator.",
    ),
    # Reading.
    "task_already_claimed": _Row(Conflict, "该任务已被他人领取。", "Somebody else has claimed this task."),
    "task_not_open": _Row(Conflict, "该任务现在不能领取。", "This task can't be claimed now."),
    "task_not_yours": _Row(
        Conflict,
        "您已不再持有此任务（租约到期或已释放）；草稿已保存。",
        "You no longer hold this task (the lease ended or it was released); the draft is kept.",
    ),
    "draft_stale": _Row(
        Conflict,
        "草稿已在别处更新，请刷新后再改。",
        "The draft was changed elsewhere; reload before you go on.",
    ),
    "analysis_stale": _Row(
        Conflict,
        "分析或编辑已更新，请重新核对后再签名。",
        "The analysis or its edits have changed; look again before you sign.",
    ),
    "not_acceptable": _Row(
        NotAcceptable, "无法以所要求的格式提供。", "It can't be given in the form that was asked for."
    ),
    "image_waiting": _Row(
        Unavailable, "影像正在准备，请稍候。", "The image is being prepared; try again in a moment."
    ),
    "no_picture": _Row(NotAcceptable, "该对象不含影像像素。", "This object holds no pixels to show."),
    "image_unreadable": _Row(
        NotAcceptable, "影像无法显示：原因见提示。", "The image can't be shown, for the reason given."
    ),
    "image_too_hard": _Row(
        Unavailable, "影像处理超时，请稍后再试。", "Making the picture took too long; try again in a moment."
    ),
    "images_stale": _Row(
        Conflict,
        "影像已更新，请重新核对后再签名。",
        "Images have come or gone since; look again before you sign.",
    ),
    "draft_empty": _Row(BadInput, "没有结论，不能签名。", "A report without a conclusion can't be signed."),
    "report_withdrawn": _Row(Conflict, "该报告已撤回。", "This report has been withdrawn."),
    "report_not_ready": _Row(
        Conflict, "报告文件正在生成，请稍候。", "The paper is being made; try again in a moment."
    ),
    "routing_fallback": _Row(
        BadInput,
        "最后一条启用的规则必须没有条件（兜底），且只能有一条。",
        "The last enabled rule, and only that one, must have no condition (the fallback).",
    ),
    # Devices and recordings.
    "device_exists": _Row(Conflict, "该设备编号已被使用。", "A device of this id exists already."),
    "device_busy": _Row(Conflict, "该设备正在为他人监测。", "The device is measuring somebody."),
    "device_retired": _Row(Conflict, "该设备已停用。", "The device has been retired."),
    "request_closed": _Row(Conflict, "该申请已完成或撤回。", "The request is completed or taken back."),
    "recording_not_running": _Row(Conflict, "该记录不在进行中。", "The recording is not running."),
    "recording_not_requested": _Row(
        Conflict,
        "该记录已开始超过 15 分钟或已在结束，不能取消；请结束记录。",
        "The recording began more than 15 minutes ago or is ending, and can't be cancelled; end it.",
    ),
    # Alarms.
    "alarm_owned": _Row(
        Conflict,
        "此报警已由他人处理；如需接手请确认。",
        "Somebody else owns this alarm; confirm to take it over.",
    ),
    "alarm_not_owner": _Row(
        Conflict, "请先接手此报警，再填写处理结果。", "Take the alarm first, then write its outcome."
    ),
    "alarm_resolved": _Row(Conflict, "此报警已处理完毕。", "This alarm has been resolved already."),
    "samples_damaged": _Row(
        Unavailable,
        "这段已存储的数据已损坏，无法读取；请告知管理员从备份恢复。",
        "This stretch of stored samples is damaged and can't be read; ask the administrator to restore it.",
    ),
    # Operation.
    "incident_owned": _Row(
        Conflict,
        "已有人在处理此事件；如需接手请确认。",
        "Somebody else owns this incident; confirm to take it over.",
    ),
    "incident_resolved": _Row(Conflict, "此事件已处理完毕。", "This incident has been resolved already."),
    "device_not_running": _Row(Conflict, "该设备没有正在进行的记录。", "No recording runs on this device."),
    "database_away": _Row(
        Unavailable,
        "数据库暂时不可用，内容尚未保存，请稍后重试。",
        "The database is away; nothing was saved, try again soon.",
    ),
}


def error(code: str, **detail: str | int | float | bool | None) -> HubError:
    """The error of a code of the table, with machine-readable detail (field names, limits; never patient data)."""
    row = ERRORS[code]
    return row.kind(code, row.zh, row.en, **detail)
