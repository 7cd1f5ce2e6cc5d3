"""The words on a report's paper, Chinese and English. `label` puts both beside each other where a form
needs it.
"""

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    "title_imaging": ("影像诊断报告", "Diagnostic imaging report"),
    "images": ("影像检查", "Images"),
    "examination": ("检查", "Examination"),
    "examined_at": ("检查日期", "Examined"),
    "modality": ("设备类型", "Modality"),
    "body_part": ("部位", "Body part"),
    "accession": ("检查号", "Accession"),
    "image_count": ("影像数", "Images"),
    "series_line": ("{modality} {description}（{count} 幅）", "{modality} {description} ({count})"),
    "series": ("序列", "Series"),
    "images_hash": (
        "本报告绑定 {count} 幅影像，SHA-256：{sha256}",
        "Binds {count} images, SHA-256: {sha256}",
    ),
    "key_images": ("关键图像", "Key images"),
    "key_image_caption": ("{number}. 序列 {series} 第 {image} 幅", "{number}. Series {series}, image {image}"),
    "key_image_frame": ("第 {frame} 帧", "frame {frame}"),
    "key_image_window": ("窗位 {center} 窗宽 {width}", "window {center} / {width}"),
    "not_drawn": ("此图不能打印：{reason}", "This image can't be printed: {reason}"),
    "more_key_images": ("另有 {count} 幅关键图像未打印", "{count} more key images are not printed"),
    "title_twelve": ("十二导联心电图报告", "12-lead ECG report"),
    "whole_strips": ("心电图", "ECG"),
    "recorded_from": ("记录开始", "Recorded from"),
    "recorded_to": ("记录结束", "Recorded to"),
    "whole_strip": ("各导联同步记录", "All leads at the same time"),
    "title": ("动态心电图报告", "Ambulatory ECG (Holter) report"),
    "patient": ("患者", "Patient"),
    "name": ("姓名", "Name"),
    "sex": ("性别", "Sex"),
    "age": ("年龄", "Age"),
    "birth_date": ("出生日期", "Born"),
    "years": ("岁", "years"),
    "male": ("男", "male"),
    "female": ("女", "female"),
    "other": ("其他", "other"),
    "unknown": ("不详", "not known"),
    "request": ("申请", "Request"),
    "clinic": ("申请单位", "Clinic"),
    "requester": ("申请医生", "Doctor"),
    "requested_at": ("申请时间", "Requested"),
    "question": ("检查目的", "Question"),
    "symptoms": ("症状", "Symptoms"),
    "drugs": ("用药", "Drugs"),
    "pacemaker": ("起搏器", "Pacemaker"),
    "yes": ("有", "yes"),
    "no": ("无", "no"),
    "not_given": ("未填", "not given"),
    "recording": ("记录", "Recording"),
    "device": ("设备", "Device"),
    "leads": ("导联", "Leads"),
    "worn_from": ("佩戴开始", "Worn from"),
    "worn_to": ("佩戴结束", "Worn to"),
    "recorded": ("记录时长", "Recorded"),
    "analysable": ("可分析", "Analysable"),
    "completeness": ("数据完整性", "Completeness"),
    "completeness_line": (
        "每导联产生 {produced} 点，已存 {stored}（{stored_percent}），"
        "声明丢失 {declared_lost}（{declared_lost_percent}）",
        "Per channel: produced {produced}, stored {stored} ({stored_percent}),"
        " declared lost {declared_lost} ({declared_lost_percent}) samples",
    ),
    "never_came": (
        "未收到 {waiting}（{waiting_percent}）",
        "never received {waiting} ({waiting_percent})",
    ),
    "end_not_known": (
        "设备未说明最后计数，可能还有未知数据",
        "The device did not tell its last count; more may exist",
    ),
    "hours": ("小时", "h"),
    "minutes": ("分", "min"),
    "conclusion": ("诊断结论", "Conclusion"),
    "findings_text": ("检查所见", "Findings"),
    "advice": ("建议", "Advice"),
    "critical": (
        "危急值：已由报告医生标记，请立即处理",
        "CRITICAL VALUE marked by the reader: act at once",
    ),
    "figures": ("心率与心律", "Rate and rhythm"),
    "beats_total": ("总心搏", "Beats"),
    "mean_rate": ("平均心率", "Mean rate"),
    "lowest_rate": ("最慢心率", "Lowest rate"),
    "highest_rate": ("最快心率", "Highest rate"),
    "longest_rr": ("最长 RR 间期", "Longest RR"),
    "ventricular": ("室性异位搏动", "Ventricular beats"),
    "supraventricular": ("室上性异位搏动", "Supraventricular beats"),
    "fusion": ("融合波", "Fusion beats"),
    "normal": ("其他（窄波）心搏", "Other (narrow) beats"),
    "unclassified": ("未分类心搏", "Unclassified beats"),
    "fibrillation": ("房颤、房扑", "AF and flutter"),
    "fibrillation_line": (
        "{count} 阵，共 {minutes} 分，最长 {longest} 分，占可分析时间 {percent}",
        "{count} episodes, {minutes} min in all, longest {longest} min, {percent} of the analysable time",
    ),
    "no_statement": (
        "未达到任何判定标准；这不表示心电图正常",
        "No criterion is met; that does not say that the ECG is normal",
    ),
    "critical_met": (
        "达到危急值清单：{row}（{pack}，已发布清单，本中心未确认）",
        "Meets a critical-value list: {row} ({pack}; a published list this centre has not confirmed)",
    ),
    "critical_told": (
        "告知：时间 ____________  被告知人 ____________________  复述 □  处理 ____________________",
        "Told at ____________  to ____________________  read back □  action ____________________",
    ),
    "twelve_lead": ("12 导联提示（待医生确认）", "12-lead statements (to be confirmed)"),
    "rate_bpm": ("心室率", "Rate"),
    "pr_ms": ("PR", "PR"),
    "qrs_ms": ("QRS", "QRS"),
    "qt_ms": ("QT", "QT"),
    "qtc_bazett_ms": ("QTc Bazett", "QTc Bazett"),
    "qtc_fridericia_ms": ("QTc Fridericia", "QTc Fridericia"),
    "axis_deg": ("QRS 电轴", "QRS axis"),
    "t_axis_deg": ("T 电轴", "T axis"),
    "sokolow_lyon_uv": ("Sokolow-Lyon", "Sokolow-Lyon"),
    "cornell_uv": ("Cornell", "Cornell"),
    "ectopy": ("早搏", "Ectopy"),
    "single": ("单发", "Single"),
    "couplets": ("成对", "Couplets"),
    "runs": ("成串", "Runs"),
    "longest_run": ("最长", "Longest"),
    "fastest_run": ("最快", "Fastest"),
    "ectopy_note": (
        "成对、成串按阵数计；成串为 3 个及以上；最长按搏数，最快为阵内平均频率（次/分）",
        "Couplets and runs (3 or more) by number; longest in beats; fastest is the mean rate inside a run, /min",
    ),
    "hrv": ("心率变异性", "Heart-rate variability"),
    "mean_nn_ms": ("平均 NN 间期", "Mean NN"),
    "sdnn_24h_ms": ("SDNN（24 h）", "SDNN, 24 h"),
    "sdann_24h_ms": ("SDANN（24 h）", "SDANN, 24 h"),
    "sdnn_5min_ms": ("SDNN（5 min）", "SDNN, 5 min"),
    "rmssd_ms": ("RMSSD", "RMSSD"),
    "pnn50_pct": ("pNN50", "pNN50"),
    "lf_ms2": ("低频 LF", "LF power"),
    "hf_ms2": ("高频 HF", "HF power"),
    "lf_hf": ("LF/HF", "LF/HF"),
    "withheld": ("不予给出：{reason}", "Withheld: {reason}"),
    "day_withheld": ("24 h 指标不予给出：{reason}", "24-h figures withheld: {reason}"),
    "hrv_note": (
        "NN 间期占已知间期的 {percent}；{stretches} 段 5 min（欧洲心脏病学会与北美起搏电生理学会 1996）",
        "NN are {percent} of the known intervals; {stretches} stretches of 5 min (Task Force of ESC and NASPE 1996)",
    ),
    "hrv_trend": ("每 5 分钟 SDNN", "SDNN of each 5 min"),
    "st": ("ST 段", "ST segment"),
    "lead": ("导联", "Lead"),
    "reference": ("基准", "Reference"),
    "st_lowest": ("最低", "Lowest"),
    "st_highest": ("最高", "Highest"),
    "episodes": ("阵数", "Episodes"),
    "lasts": ("持续", "Lasts"),
    "change": ("最大变化", "Largest change"),
    "level": ("当时水平", "Level then"),
    "st_none": (
        "未见偏离基准 0.1 mV、30 s 及以上的 ST 改变",
        "No change of 0.1 mV from the reference for 30 s or more",
    ),
    "st_more": ("另有 {count} 阵未列出", "{count} more are not listed"),
    "st_note": (
        "ST 为 J 点后 60 ms 对 QRS 前水平，按分钟中位数；基准为该导联全程中位数；体位改变亦可移动 ST；T 波未测量",
        "ST 60 ms after J over the level before QRS, medians by minutes; the reference is the lead's median over the"
        " record; posture moves ST, too; T waves are not measured",
    ),
    "templates": ("心搏模板", "Beat templates"),
    "templates_note": (
        "每组为同类、同形态心搏的中位波形，导联 {leads}；{speed} mm/s，{gain} mm/mV，仅供辨认",
        "Medians of beats of one class and shape, leads {leads}; {speed} mm/s, {gain} mm/mV, not for measuring",
    ),
    "mixed": ("形态各异", "mixed"),
    "event_rate": ("当时心率 {value}", "rate then {value}"),
    "disclosure": ("全览图 {lead}  {at} 起", "Full disclosure {lead}  from {at}"),
    "disclosure_scale": (
        "每行 1 分钟，2.8 mm/s，2.5 mm/mV，已去基线漂移；红线为室性搏动",
        "a minute a line, 2.8 mm/s, 2.5 mm/mV, wander removed; red: ventricular beats",
    ),
    "found": ("检出事件", "Episodes found"),
    "none_found": ("无", "none"),
    "times": ("{count} 次", "{count} x"),
    "not_read": ("自动分析结果，未经医生阅读或签名", "Automatic analysis; no doctor has read or signed it"),
    "from_start": ("记录未注明开始时间，时间从记录起点计", "No start time in the record; times count from sample 0"),
    "too_short": ("记录过短，不绘制趋势", "Too short for a trend"),
    "onset": ("起始", "Onset"),
    "bpm": ("次/分", "/min"),
    "times_at": ("{value}，{at}", "{value} at {at}"),
    "percent_of_beats": ("{count} 个（{percent}）", "{count} ({percent})"),
    "eight_beats": ("最快、最慢心率为 8 个 RR 间期的平均值", "Highest and lowest rates are means of 8 intervals"),
    "hourly": ("逐时统计", "By the hour"),
    "hour": ("时段", "Hour"),
    "beats": ("心搏", "Beats"),
    "mean": ("平均", "Mean"),
    "lowest": ("最慢", "Lowest"),
    "highest": ("最快", "Highest"),
    "trend": ("心率趋势（每分钟平均）", "Heart-rate trend (mean of each minute)"),
    "finding_strips": ("报告所附事件条图", "Strips of reported findings"),
    "extreme_strips": ("心率极值条图", "Strips of extreme rates"),
    "event_strips": ("按键与日记条图", "Strips of button and diary events"),
    "more_events": ("另有 {count} 个事件未附图", "{count} more events are not drawn"),
    "no_strip": ("该时刻没有存储的心电数据", "No ECG is stored for this moment"),
    "strip_from": ("自 {at}", "from {at}"),
    "button": ("按键", "Button"),
    "sos": ("求助键", "SOS"),
    "diary": ("日记", "Diary"),
    "high": ("高优先级", "high priority"),
    "medium": ("中优先级", "medium priority"),
    "low": ("低优先级", "low priority"),
    "signature": ("签名", "Signature"),
    "signed_by": ("报告医生", "Signed by"),
    "signed_at": ("签发时间", "Signed"),
    "version": ("版本", "Version"),
    "final": ("正式报告", "final"),
    "amended": ("修订报告", "amended"),
    "entered-in-error": ("已撤回", "withdrawn"),
    "verification": ("验证码", "Verification code"),
    "key": ("密钥", "Key"),
    "algorithm": ("分析算法", "Algorithm"),
    "analysis_version": (
        "第 {version} 版分析，{edits} 处人工修改",
        "analysis version {version}, {edits} edits by the reader",
    ),
    "merkle": ("数据指纹", "Data fingerprint"),
    "withdrawn_banner": ("本报告已撤回，不得使用", "THIS REPORT HAS BEEN WITHDRAWN: DO NOT USE"),
    "withdrawn_reason": ("撤回原因", "Reason"),
    "safety": (
        "辅助诊断软件，未作为医疗器械注册；所有发现须经医生确认；不是主要报警系统，不能代替拨打 120。",
        "Decision support, not cleared as a medical device; a doctor confirms every finding;"
        " not a primary alarm system; it does not replace calling 120.",
    ),
    "page": ("第 {page} 页 / 共 {pages} 页", "page {page} of {pages}"),
    "zone": ("时间均为 {zone} 时区", "All times are {zone}"),
}  # fmt: skip

# Evidence of a finding, by the key that carries its unit.
NUMBERS: Mapping[str, tuple[str, str]] = {
    "longest_rr_s": ("最长 RR {value} s", "longest RR {value} s"),
    "lowest_rate_bpm": ("最慢 {value} 次/分", "lowest {value}/min"),
    "highest_rate_bpm": ("最快 {value} 次/分", "highest {value}/min"),
    "rate_bpm": ("频率 {value} 次/分", "rate {value}/min"),
    "irregular_share": ("不齐比例 {value}", "irregular share {value}"),
    "beats": ("{value} 个心搏", "{value} beats"),
    "length_s": ("持续 {value} s", "for {value} s"),
    "leads_off": ("{value} 个导联脱落", "{value} leads off"),
}

# Values of a 12-lead ECG in the order of the paper, with their unit.
TWELVE_ROWS = (
    ("rate_bpm", "/min"), ("pr_ms", "ms"), ("qrs_ms", "ms"), ("qt_ms", "ms"), ("qtc_bazett_ms", "ms"),
    ("qtc_fridericia_ms", "ms"), ("axis_deg", "°"), ("t_axis_deg", "°"), ("sokolow_lyon_uv", "uV"),
    ("cornell_uv", "uV"),
)  # fmt: skip

# Figures of HRV in the order of the paper, with their unit.
HRV_ROWS = (
    ("mean_nn_ms", "ms"), ("sdnn_24h_ms", "ms"), ("sdann_24h_ms", "ms"), ("sdnn_5min_ms", "ms"), ("rmssd_ms", "ms"),
    ("pnn50_pct", "%"), ("lf_ms2", "ms²"), ("hf_ms2", "ms²"), ("lf_hf", ""),
)  # fmt: skip

LOCALES = ("zh-CN", "en")


def word(key: str, locale: str, **values: object) -> str:
    """One text in one language."""
    return WORDS[key][LOCALES.index(locale)].format(**values)


def label(key: str, locale: str) -> str:
    """The label of a form: Chinese paper carries the English beside it."""
    zh, en = WORDS[key]
    return f"{zh} {en}" if locale == "zh-CN" and zh != en else en


def number(key: str, value: float, locale: str) -> str:
    """One piece of evidence in words; a key not in the table shows as it is."""
    texts = NUMBERS.get(key, (key + " {value}",) * 2)
    return texts[LOCALES.index(locale)].format(value=f"{value:g}")
