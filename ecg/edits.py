"""What a reader sees of a recording: the analysis and what was measured, with all edits applied.

Beside the edits of single beats and findings (`ecg.analysis`) there are those of whole templates, and one that takes
another back. Edits are append-only; an undo is an edit, too. A template is named by one of its beats, so that an edit
still means the same beats after a new analysis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ecg import analysis as base
from ecg.analysis import CLASSES, MATCH_S, Analysis, Edit
from ecg.measured import Measured
from ecg.retelling import retold
from ecg.templates import group_at, of_beats

RELABEL, MERGE, UNDO = "relabel-template", "merge-templates", "undo"
OPERATIONS = (*base.OPERATIONS, RELABEL, MERGE, UNDO)
_OF_FINDINGS = frozenset({"dismiss", "insert", "note"})


@dataclass(frozen=True)
class GroupEdit(Edit):
    """relabel-template: all beats of the template of the beat at `sample` become `beat_class`.

    merge-templates: they join the template of the beat at `into`, and get its class. undo: the edit whose place in the
    list, from 1, is `sequence` counts no more.
    """

    into: int = 0
    sequence: int = 0


class Seen(NamedTuple):
    """What a reader sees; measured is None for an analysis made before it was kept."""

    analysis: Analysis
    measured: Measured | None


def to_dict(edit: Edit) -> dict[str, object]:
    """An edit as the hub stores it (JSON)."""
    if isinstance(edit, GroupEdit):
        kept = ("operation", "sample", "beat_class", "into", "sequence")
        return {name: getattr(edit, name) for name in kept}
    return base.edit_to_dict(edit)


def from_dict(row: Mapping[str, object]) -> Edit:
    """The edit that `to_dict` wrote."""
    if row["operation"] in (RELABEL, MERGE, UNDO):
        return GroupEdit(**row)  # type: ignore[arg-type]
    return base.edit_from_dict(row)


def seen(stored: Analysis, measured: Measured | None, edits: Sequence[Edit], *, retell: bool = True) -> Seen:
    """The stored analysis with the edits; those that match nothing are listed in `unmatched`, in order.

    After an edit of templates the findings that live on classes are told anew, unless `retell` is off (beats alone are
    wanted). Edits of beats and of findings do not touch each other, so the reader's findings come last.
    """
    live, unmatched = _not_undone(edits)
    a, groups, regrouped = stored, measured, False
    for place, edit in live:
        if edit.operation in _OF_FINDINGS:
            continue
        after = _on_beats(a, groups, edit)
        if after is None:
            unmatched[place] = edit
            continue
        regrouped |= edit.operation in (RELABEL, MERGE)
        a, groups = after
    if regrouped and retell and measured is not None and not measured.paced:
        a = retold(a)
    for place, edit in live:
        if edit.operation in _OF_FINDINGS:
            changed = base.OPERATIONS[edit.operation](a, edit)
            if changed is not None:
                a = changed
            elif not (regrouped and base.OPERATIONS[edit.operation](stored, edit) is not None):
                unmatched[place] = edit  # else it is gone by itself, with the classes it lived on
    listed = tuple(unmatched[place] for place in sorted(unmatched))
    return Seen(replace(a, unmatched=(*stored.unmatched, *listed)), groups)


def _not_undone(edits: Sequence[Edit]) -> tuple[list[tuple[int, Edit]], dict[int, Edit]]:
    """The edits that count, with their places from 0; and the undos that name none."""
    undone, wrong = set[int](), dict[int, Edit]()
    for place, edit in enumerate(edits):
        if isinstance(edit, GroupEdit) and edit.operation == UNDO:
            target = edit.sequence - 1
            if 0 <= target < place and edits[target].operation != UNDO and target not in undone:
                undone.add(target)
            else:
                wrong[place] = edit
    live = [(k, e) for k, e in enumerate(edits) if k not in undone and e.operation != UNDO]
    return live, wrong


def _on_beats(a: Analysis, m: Measured | None, edit: Edit) -> tuple[Analysis, Measured | None] | None:
    if isinstance(edit, GroupEdit):
        return None if m is None else _on_group(a, m, edit)
    if edit.operation not in base.OPERATIONS:
        raise ValueError(f"unknown operation {edit.operation!r}")
    after = base.OPERATIONS[edit.operation](a, edit)
    return None if after is None else (after, m)


def _on_group(a: Analysis, m: Measured, edit: GroupEdit) -> tuple[Analysis, Measured] | None:
    found, within = m.templates, MATCH_S * a.fs_hz
    group = group_at(found, found.number, edit.sample, within)
    if group is None:
        return None
    own = of_beats(found, found.number, a.sample)
    kind = a.kind.copy()
    if edit.operation == RELABEL:
        if edit.beat_class not in CLASSES:
            return None
        kind[own == group] = CLASSES.index(edit.beat_class)
        return replace(a, kind=kind), m
    into = group_at(found, found.number, edit.into, within)
    if into is None or into == group or not (own == into).any():
        return None
    kind[own == group] = np.bincount(a.kind[own == into]).argmax()
    number = found.number.copy()
    number[number == group] = into
    return replace(a, kind=kind), replace(m, templates=replace(found, number=number))
