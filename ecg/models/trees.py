"""Ensembles of small decision trees as plain arrays: evaluated for many beats at once, or for one in plain numbers.

Both ways add the same leaves in the same order, so a beat's log odds are the same to the last bit.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
LEAVES = 8  # at most, per tree: one bit each
FOLDER = Path(__file__).parent
Node = tuple[int, float, "Node | float", "Node | float"]  # feature, threshold, left (at most), right (above)


class Trees(NamedTuple):
    """Node j of tree t sends x[feature] > threshold to the right, where only the leaves in `right` remain.

    Nodes stand before their children, left before right; unused ones at the end have threshold inf.
    feature int [tree, node], threshold float [tree, node], right uint8 [tree, node], value float [tree, leaf].
    """

    feature: NDArray[np.int64]
    threshold: Real
    right: NDArray[np.uint8]
    value: Real


class Model(NamedTuple):
    """names of the features in the order of `feature`; cuts: log odds above which a beat is V, or S."""

    names: tuple[str, ...]
    ventricular: Trees
    supraventricular: Trees
    ventricular_cut: float
    supraventricular_cut: float
    kind_weight: float  # how far log odds for V are drawn to the mean of beats of the same shape


def load(name: str) -> Model:
    """A shipped model."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        trees = [
            Trees(*(arrays[f"{what}_{part}"] for part in Trees._fields))
            for what in ("ventricular", "supraventricular")
        ]
        return Model(tuple(arrays["names"].tolist()), trees[0], trees[1], *arrays["cuts"].tolist())


def save(name: str, model: Model) -> None:
    """Write a model where `load` finds it."""
    arrays: dict[str, NDArray[np.generic]] = {
        "names": np.array(model.names),
        "cuts": np.array([model.ventricular_cut, model.supraventricular_cut, model.kind_weight]),
    }
    for what, trees in (("ventricular", model.ventricular), ("supraventricular", model.supraventricular)):
        arrays |= {f"{what}_{part}": array for part, array in trees._asdict().items()}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)  # type: ignore[arg-type]


def log_odds(trees: Trees, columns: Sequence[Real]) -> Real:
    """Sum over trees for every beat, columns [feature] of [beat]; by masks of the leaves that remain reachable.

    QuickScorer, Lucchese 2015 (doi 10.1145/2766462.2767733): the exit is the lowest leaf that remains.
    """
    total = np.zeros(len(columns[0]))
    lowest = np.array([(k & -k).bit_length() - 1 for k in range(256)])
    lowest[0] = 0
    for features, thresholds, rights, values in zip(*trees, strict=True):
        remaining = np.full(len(total), 255, np.uint8)
        for feature, threshold, right in zip(
            features.tolist(), thresholds.tolist(), rights.tolist(), strict=True
        ):
            if threshold < np.inf:
                remaining &= np.where(columns[feature] > threshold, np.uint8(right), np.uint8(255))
        total += values[lowest][remaining]
    return total


def nested(trees: Trees) -> list[Node | float]:
    """The trees as nested tuples, for `walked`."""
    out: list[Node | float] = []
    for features, thresholds, rights, values in zip(*(part.tolist() for part in trees), strict=True):
        place = 0

        def grow(leaves: int, rows: tuple[list[int], list[float], list[int], list[float]]) -> Node | float:
            nonlocal place
            if leaves & (leaves - 1) == 0:
                return rows[3][leaves.bit_length() - 1]
            own, place = place, place + 1
            after = leaves & rows[2][own]
            left = grow(leaves & ~rows[2][own], rows)
            return rows[0][own], rows[1][own], left, grow(after, rows)

        used = sum(threshold < np.inf for threshold in thresholds)
        out.append(grow((1 << (used + 1)) - 1, (features, thresholds, rights, values)))
    return out


def walked(trees: Sequence[Node | float], row: Sequence[float]) -> float:
    """Sum over trees for one beat."""
    total = 0.0
    for node in trees:
        while type(node) is tuple:
            node = node[3] if row[node[0]] > node[1] else node[2]
        total += node  # type: ignore[operator]
    return total
