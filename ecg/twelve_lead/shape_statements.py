"""Tests of the statements on axis, conduction, voltage and ischaemia: a case in, evidence or None out."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ecg.twelve_lead.case import NEIGHBOURS, Case, Evidence, Test
from ecg.twelve_lead.criteria import limit
from ecg.twelve_lead.signals import CHEST, LIMB

SLUR_SMOOTH_S, SLUR_S = (
    0.006,
    0.040,
)  # begin of QRS whose slope is compared with the steepest: a delta wave's length


def _axis(case: Case, first: float, last: float) -> Evidence | None:
    axis = case.number("axis_deg")
    if axis is None or not first <= axis <= last or case.paced():
        return None
    return Evidence({"axis_deg": axis}, ("I", "aVF"))


def _left_axis(case: Case) -> Evidence | None:
    return _axis(case, limit("left-axis", "from_deg"), limit("left-axis", "to_deg"))


def _right_axis(case: Case) -> Evidence | None:
    age = case.request.age_years
    old = age is None or age >= limit("right-axis", "age_years")
    return _axis(case, limit("right-axis", "from_deg"), 180.0) if old else None


def _extreme_axis(case: Case) -> Evidence | None:
    return _axis(case, -180.0, limit("extreme-axis", "to_deg") - 1)


def _first_degree(case: Case) -> Evidence | None:
    pr = case.number("pr_ms")
    if pr is None or pr <= limit("first-degree-av-block", "pr_ms") or case.paced():
        return None
    return Evidence({"pr_ms": pr}, case.measured.values["pr_ms"].leads)


def slur(case: Case) -> float | None:
    """Steepest slope in the first 40 ms of QRS over its steepest anywhere, all leads together."""
    d = case.measured.delineation
    if d is None:
        return None
    fs_hz, on, off = d.beat.fs_hz, round(d.common["qrs_on"]), round(d.common["qrs_off"])
    slope = gaussian_filter1d(d.beat.uv[d.measured], SLUR_SMOOTH_S * fs_hz, axis=1, order=1)
    whole = np.sqrt((slope**2).sum(axis=0))[on : off + 1]
    begin = whole[: max(1, round(SLUR_S * fs_hz))]
    return float(begin.max() / whole.max()) if len(whole) and whole.max() > 0 else None


def _pre_excitation(case: Case) -> Evidence | None:
    pr, qrs, share = case.number("pr_ms"), case.number("qrs_ms"), slur(case)
    if pr is None or qrs is None or share is None or case.paced():
        return None
    short, wide = pr < limit("pre-excitation", "pr_ms"), qrs > limit("pre-excitation", "qrs_ms")
    if not (short and wide and share < limit("pre-excitation", "slur")):
        return None
    return Evidence(
        {"pr_ms": pr, "qrs_ms": qrs, "slur": round(share, 2)}, case.measured.values["pr_ms"].leads
    )


def _right_picture(case: Case, late_r: bool) -> tuple[str, ...]:
    """The right chest leads that show R' (or a late, leading R), if I and V6 show an S; () if they do not."""
    least = limit("right-bundle-branch-block", "s_uv")
    if min(case.at_least("s_uv", "V6"), case.at_least("s_uv", "I")) < least:
        return ()
    peak_ms = limit("right-bundle-branch-block", "r_peak_ms")

    def shows(lead: str) -> bool:
        second = case.at_least("r2_uv", lead) >= limit("right-bundle-branch-block", "r2_uv")
        leading = case.at_least("r_uv", lead) > case.at_most("depth_uv", lead)
        return second or (late_r and leading and case.at_least("r_peak_ms", lead) > peak_ms)

    return tuple(lead for lead in ("V1", "V2") if shows(lead))


def _right_bundle(case: Case) -> Evidence | None:
    qrs, leads = case.number("qrs_ms"), _right_picture(case, True)
    if qrs is None or qrs < limit("right-bundle-branch-block", "qrs_ms") or "V1" not in leads or case.paced():
        return None
    return Evidence({"qrs_ms": qrs, "r2_V1_uv": case.at_least("r2_uv", "V1")}, (*leads, "I", "V6"))


def _incomplete_right_bundle(case: Case) -> Evidence | None:
    qrs, leads = case.number("qrs_ms"), _right_picture(case, False)
    low, high = (limit(f"{kind}right-bundle-branch-block", "qrs_ms") for kind in ("incomplete-", ""))
    if qrs is None or not low <= qrs < high or not leads or case.paced():
        return None
    return Evidence(
        {"qrs_ms": qrs, "r2_uv": max(case.at_least("r2_uv", lead) for lead in leads)}, (*leads, "I", "V6")
    )


def _left_bundle(case: Case) -> Evidence | None:
    qrs, name = case.number("qrs_ms"), "left-bundle-branch-block"
    if qrs is None or qrs < limit(name, "qrs_ms") or case.paced() or _right_bundle(case):
        return None
    late = [lead for lead in ("V5", "V6") if case.at_least("r_peak_ms", lead) >= limit(name, "r_peak_ms")]
    clean = [lead for lead in late if case.at_most("q_uv", lead) < limit("q-waves", "q_uv")]
    left = case.at_least("net_area_uv_ms", "I") > 0 > case.at_most("net_area_uv_ms", "V1")
    if not clean or not left:
        return None
    return Evidence({"qrs_ms": qrs, "r_peak_ms": case.at_least("r_peak_ms", clean[-1])}, ("I", "V1", *clean))


def _wide_qrs(case: Case) -> Evidence | None:
    qrs = case.number("qrs_ms")
    if qrs is None or qrs < limit("wide-qrs", "qrs_ms") or case.paced():
        return None
    explained = _right_bundle(case) or _left_bundle(case)
    return None if explained else Evidence({"qrs_ms": qrs}, case.measured.values["qrs_ms"].leads)


def _left_anterior(case: Case) -> Evidence | None:
    axis, qrs, name = case.number("axis_deg"), case.number("qrs_ms"), "left-anterior-fascicular-block"
    if axis is None or qrs is None or case.paced():
        return None
    shape = case.at_least("r_uv", "aVL") > 0 and case.at_least("s_uv", "III") > case.at_most("r_uv", "III")
    if not -90 <= axis <= limit(name, "to_deg") or qrs >= limit(name, "qrs_ms") or not shape:
        return None
    return Evidence({"axis_deg": axis, "qrs_ms": qrs}, ("I", "aVF", "aVL", "III"))


def _left_voltage(case: Case) -> Evidence | None:
    age, name = case.request.age_years, "left-ventricular-voltage"
    if case.wide() or (age is not None and age < limit(name, "age_years")):
        return None
    cornell = limit(name, "cornell_women_uv" if case.request.sex == "female" else "cornell_men_uv")
    limits = {"sokolow_lyon_uv": limit(name, "sokolow_lyon_uv"), "cornell_uv": cornell}
    over = [key for key, least in limits.items() if case.at_least(key) > least]
    if not over:
        return None
    leads = dict.fromkeys(lead for key in over for lead in case.measured.values[key].leads)
    return Evidence({key: case.at_least(key) for key in over}, tuple(leads))


def _right_voltage(case: Case) -> Evidence | None:
    r, axis, name = case.number("r_uv", "V1"), case.number("axis_deg"), "right-ventricular-voltage"
    if r is None or axis is None or case.wide():
        return None
    tall = r >= limit(name, "r_v1_uv") and r > case.at_most("depth_uv", "V1")
    return (
        Evidence({"r_V1_uv": r, "axis_deg": axis}, ("V1",))
        if tall and axis >= limit(name, "axis_deg")
        else None
    )


def _low_voltage(case: Case) -> Evidence | None:
    d = case.measured.delineation
    if d is None or case.measured.limb_note or not all(name in d.leads.names for name in (*LIMB, *CHEST)):
        return None
    on, off = round(d.common["qrs_on"]), round(d.common["qrs_off"])
    size = dict(zip(d.leads.names, np.ptp(d.beat.uv[:, on : off + 1], axis=1).tolist(), strict=True))
    if (
        case.measured.bad_leads
        or not d.measured[[d.leads.names.index(name) for name in (*LIMB, *CHEST)]].all()
    ):
        return None
    limb, chest = max(size[name] for name in LIMB), max(size[name] for name in CHEST)
    low = limb < limit("low-voltage", "limb_uv") and chest < limit("low-voltage", "chest_uv")
    return Evidence({"limb_uv": round(limb), "chest_uv": round(chest)}, (*LIMB, *CHEST)) if low else None


def st_limit_uv(case: Case, lead: str) -> float:
    """ST elevation at J that counts, by lead, sex and age; the lowest that could apply to men where untold."""
    if lead not in ("V2", "V3"):
        return limit("st-elevation", "other_uv")
    if case.request.sex == "female":
        return limit("st-elevation", "v2v3_women_uv")
    young = case.request.age_years is not None and case.request.age_years < 40
    return limit("st-elevation", "v2v3_men_below_40_uv" if young else "v2v3_men_from_40_uv")


def _pairs(holds: Callable[[str], bool]) -> tuple[str, ...]:
    """Leads that hold together with a neighbour."""
    hits = [pair for pair in NEIGHBOURS if all(holds(lead) for lead in pair)]
    return tuple(dict.fromkeys(lead for pair in hits for lead in pair))


def _raised(case: Case) -> tuple[str, ...]:
    return _pairs(lambda lead: case.at_least("st_j_uv", lead) >= st_limit_uv(case, lead))


def _explained(case: Case) -> bool:
    return case.wide() or _left_voltage(case) is not None or _pre_excitation(case) is not None


def _st_evidence(case: Case, leads: tuple[str, ...], name: str) -> Evidence | None:
    return Evidence({f"{name}_{lead}": case.at_least(name, lead) for lead in leads}, leads) if leads else None


def _st_elevation(case: Case) -> Evidence | None:
    return None if _explained(case) else _st_evidence(case, _raised(case), "st_j_uv")


def _st_elevation_explained(case: Case) -> Evidence | None:
    return _st_evidence(case, _raised(case), "st_j_uv") if _explained(case) else None


def _st_depression(case: Case) -> Evidence | None:
    least = limit("st-depression", "st_uv")

    def lowered(lead: str) -> bool:
        j, later = case.at_most("st_j_uv", lead), case.at_most("st_j80_uv", lead)
        return j <= least and later <= j

    return None if case.wide() else _st_evidence(case, _pairs(lowered), "st_j80_uv")


def _t_inversion(case: Case) -> Evidence | None:
    least = limit("t-inversion", "t_uv")

    def inverted(lead: str) -> bool:
        return case.at_most("t_uv", lead) <= least and case.at_least("r_uv", lead) > case.at_most(
            "depth_uv", lead
        )

    return None if case.wide() else _st_evidence(case, _pairs(inverted), "t_uv")


def _q_waves(case: Case) -> Evidence | None:
    def deep(lead: str) -> bool:
        long = case.at_least("q_ms", lead) >= limit("q-waves", "q_ms")
        return long and case.at_least("q_uv", lead) >= limit("q-waves", "q_uv")

    # QS in V1 alone, III alone and any Q in aVR are usual; a pair needs its neighbour.
    return None if case.wide() else _st_evidence(case, _pairs(deep), "q_uv")


TESTS: Mapping[str, Test] = {
    "left-axis": _left_axis,
    "right-axis": _right_axis,
    "extreme-axis": _extreme_axis,
    "first-degree-av-block": _first_degree,
    "pre-excitation": _pre_excitation,
    "right-bundle-branch-block": _right_bundle,
    "incomplete-right-bundle-branch-block": _incomplete_right_bundle,
    "left-bundle-branch-block": _left_bundle,
    "wide-qrs": _wide_qrs,
    "left-anterior-fascicular-block": _left_anterior,
    "left-ventricular-voltage": _left_voltage,
    "right-ventricular-voltage": _right_voltage,
    "low-voltage": _low_voltage,
    "st-elevation": _st_elevation,
    "st-elevation-explained": _st_elevation_explained,
    "st-depression": _st_depression,
    "t-inversion": _t_inversion,
    "q-waves": _q_waves,
}
