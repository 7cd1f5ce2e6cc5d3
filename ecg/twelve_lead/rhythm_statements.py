"""Tests of the statements on signal, pacing, rate, rhythm and QT: a case in, evidence or None out."""

from collections.abc import Mapping

import numpy as np

from ecg.analysis import CLASSES
from ecg.twelve_lead.case import Case, Evidence, Test
from ecg.twelve_lead.criteria import limit


def _not_measurable(case: Case) -> Evidence | None:
    return None if case.measured.delineation else Evidence({"bad_leads": float(len(case.measured.bad_leads))})


def _limb_leads_contradict(case: Case) -> Evidence | None:
    return Evidence({}, ("I", "II", "III")) if "Einthoven" in case.measured.limb_note else None


def _arm_leads_reversed(case: Case) -> Evidence | None:
    area = {lead: case.number("net_area_uv_ms", lead) for lead in ("I", "aVR", "V6")}
    one, avr, six = (np.nan if v is None else v for v in area.values())
    p_uv = case.number("p_uv", "I")
    if (
        one < limit("arm-leads-reversed", "i_area_uv_ms")
        and avr > 0
        and six > 0
        and (p_uv is None or p_uv < 0)
    ):
        numbers = {f"{lead}_area_uv_ms": float(v) for lead, v in area.items() if v is not None}
        return Evidence(numbers | ({} if p_uv is None else {"p_I_uv": p_uv}), tuple(area))
    return None


def _leg_arm_leads_reversed(case: Case) -> Evidence | None:
    sizes = {lead: _size_uv(case, lead) for lead in ("I", "II", "III")}
    known = {lead: size for lead, size in sizes.items() if size is not None}
    flat = [lead for lead, size in known.items() if size < limit("leg-arm-leads-reversed", "flat_uv")]
    others = [size for lead, size in known.items() if lead not in flat]
    if len(flat) == 1 and len(others) == 2 and min(others) > limit("leg-arm-leads-reversed", "other_uv"):
        return Evidence({f"{lead}_uv": size for lead, size in known.items()}, tuple(known))
    return None


def _size_uv(case: Case, lead: str) -> float | None:
    """QRS peak to peak, of noisy leads too; None where the lead is absent or the amplitudes are not comparable."""
    d = case.measured.delineation
    if d is None or lead not in d.leads.names or case.measured.limb_note:
        return None
    on, off = round(d.common["qrs_on"]), round(d.common["qrs_off"])
    return round(float(np.ptp(d.beat.uv[d.leads.names.index(lead), on : off + 1])), 1)


def _paced(case: Case) -> Evidence | None:
    return Evidence({"spikes": float(len(case.measured.spikes))}) if case.request.paced else None


def _pacing_suspected(case: Case) -> Evidence | None:
    if case.request.paced or not case.paced():
        return None
    first, beats = int(case.measured.spikes[0]), int(case.inside().sum())
    return Evidence({"spikes": float(len(case.measured.spikes)), "beats": float(beats)}, (), (first, first))


def _rate(name: str, sign: float) -> Test:
    def test(case: Case) -> Evidence | None:
        rate = case.number("rate_bpm")
        over = rate is not None and sign * rate > sign * limit(name, "rate_bpm")
        return Evidence({"rate_bpm": rate}) if over and rate is not None else None

    return test


def _long_rr(case: Case) -> Evidence | None:
    rr_s = case.rr_s()
    if not np.isfinite(rr_s).any() or np.nanmax(rr_s) * 1000 < limit("long-rr", "rr_ms"):
        return None
    longest, ends = int(np.nanargmax(rr_s)), case.analysis.sample[case.inside()]
    end = int(ends[longest])
    begin = end - round(float(rr_s[longest]) * case.analysis.fs_hz)
    return Evidence({"rr_ms": round(float(rr_s[longest]) * 1000)}, (), (begin, end))


def _sinus_rhythm(case: Case) -> Evidence | None:
    d = case.measured.delineation
    if d is None or d.p_note or d.atrial is None or case.paced():
        return None
    down = [v for lead in ("II", "aVF") if (v := case.number("p_uv", lead)) is not None]
    avr = case.number("p_uv", "aVR")
    if not down or max(down) <= 0 or (avr is not None and avr > 0):
        return None
    return Evidence({"p_share": round(d.atrial.share, 2), "p_down_uv": max(down)}, d.used("p_on"))


def _atrial_fibrillation(case: Case) -> Evidence | None:
    d, name = case.measured.delineation, "atrial-fibrillation"
    if d is None or d.atrial is None or not d.p_note or case.paced():
        return None
    change, many = case.change()
    if many < limit(name, "intervals") or change < limit(name, "change"):
        return None
    return Evidence({"rr_change": round(change, 3), "p_likeness": round(d.atrial.likeness, 2)})


def _ventricular_ectopy(case: Case) -> Evidence | None:
    samples = case.ventricular()
    if not len(samples) or case.paced():
        return None
    return Evidence({"beats": float(len(samples))}, (), (int(samples[0]), int(samples[0])))


def _premature_beats(case: Case) -> Evidence | None:
    if case.measured.delineation is None or _atrial_fibrillation(case) is not None:
        return None
    rr_s, kind = case.rr_s(), case.analysis.kind[case.inside()]
    if not np.isfinite(rr_s).any():
        return None
    short = rr_s < limit("premature-beats", "early") * np.nanmedian(rr_s)
    supraventricular, ventricular = kind == CLASSES.index("S"), kind == CLASSES.index("V")
    early = np.flatnonzero((short | supraventricular) & ~ventricular & np.isfinite(rr_s))
    if not len(early):
        return None
    first = int(case.analysis.sample[case.inside()][early[0]])
    return Evidence(
        {"beats": float(len(early)), "rr_ms": round(float(rr_s[early].min()) * 1000)}, (), (first, first)
    )


def _av_dissociation(case: Case) -> Evidence | None:
    d = case.measured.delineation
    if d is None or d.atrial is None or "one distance" not in d.p_note or case.paced():
        return None
    rate, (change, _) = case.number("rate_bpm"), case.change()
    if rate is None or rate >= limit("av-dissociation", "rate_bpm"):
        return None
    if not change < limit("av-dissociation", "change"):
        return None
    spread_ms = d.atrial.spread * 1000 / d.beat.fs_hz
    return Evidence(
        {"rate_bpm": rate, "p_spread_ms": round(spread_ms), "p_likeness": round(d.atrial.likeness, 2)}
    )


def qtc_ms(case: Case) -> float | None:
    """Bazett from 60 to 100/min, Fridericia outside (AHA/ACCF/HRS 2009 warns of Bazett at other rates)."""
    rate = case.number("rate_bpm")
    usual = rate is not None and 60 <= rate <= 100
    return case.number("qtc_bazett_ms" if usual else "qtc_fridericia_ms")


def _long_qt(case: Case) -> Evidence | None:
    qtc, least = qtc_ms(case), limit("long-qt", "men_ms" if case.request.sex == "male" else "women_ms")
    return _qt_evidence(case, qtc) if qtc is not None and qtc >= least and not case.wide() else None


def _very_long_qt(case: Case) -> Evidence | None:
    qtc, least = qtc_ms(case), limit("very-long-qt", "wide_qtc_ms" if case.wide() else "qtc_ms")
    return _qt_evidence(case, qtc) if qtc is not None and qtc >= least else None


def _short_qt(case: Case) -> Evidence | None:
    qtc = qtc_ms(case)
    return _qt_evidence(case, qtc) if qtc is not None and qtc <= limit("short-qt", "qtc_ms") else None


def _qt_evidence(case: Case, qtc_ms: float) -> Evidence:
    known = {"qt_ms": case.number("qt_ms"), "rate_bpm": case.number("rate_bpm")}
    numbers = {name: value for name, value in known.items() if value is not None}
    return Evidence({"qtc_ms": qtc_ms} | numbers, case.measured.values["qt_ms"].leads)


TESTS: Mapping[str, Test] = {
    "not-measurable": _not_measurable,
    "limb-leads-contradict": _limb_leads_contradict,
    "arm-leads-reversed": _arm_leads_reversed,
    "leg-arm-leads-reversed": _leg_arm_leads_reversed,
    "paced": _paced,
    "pacing-suspected": _pacing_suspected,
    "bradycardia": _rate("bradycardia", -1),
    "marked-bradycardia": _rate("marked-bradycardia", -1),
    "tachycardia": _rate("tachycardia", 1),
    "marked-tachycardia": _rate("marked-tachycardia", 1),
    "long-rr": _long_rr,
    "sinus-rhythm": _sinus_rhythm,
    "atrial-fibrillation": _atrial_fibrillation,
    "ventricular-ectopy": _ventricular_ectopy,
    "premature-beats": _premature_beats,
    "av-dissociation": _av_dissociation,
    "long-qt": _long_qt,
    "very-long-qt": _very_long_qt,
    "short-qt": _short_qt,
}
