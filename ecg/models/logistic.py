"""A logistic model of several classes over one table of numbers, kept as plain text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
LIMIT = 4.0  # scaled inputs beyond it count as it: no single number decides alone
FOLDER = Path(__file__).parent


class Model(NamedTuple):
    """Inputs by name with their centre and scale, [input]; per class a constant and weights [input], and a cut."""

    names: tuple[str, ...]
    centre: Real
    scale: Real
    constant: Mapping[str, float]
    weight: Mapping[str, Real]
    cut: Mapping[str, float]  # log odds above which a beat is of the class


def load(name: str) -> Model:
    """A shipped model."""
    told = json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
    classes, table = told["classes"], told["inputs"]
    columns = np.array(list(table.values())).T
    return Model(
        tuple(table), columns[0], columns[1],
        dict(zip(classes, told["constant"], strict=True)),
        dict(zip(classes, columns[2:], strict=True)),
        dict(zip(classes, told["cut"], strict=True)),
    )  # fmt: skip


def save(name: str, model: Model) -> None:
    """Write a model where `load` finds it; five digits of every number are kept."""
    columns = np.stack([model.centre, model.scale, *model.weight.values()], axis=1)
    rows = [f'  "{key}": {json.dumps(_short(row))}' for key, row in zip(model.names, columns, strict=True)]
    head = [
        f' "{key}": {json.dumps(value)}'
        for key, value in (
            ("classes", list(model.weight)),
            ("constant", _short(list(model.constant.values()))),
            ("cut", _short(list(model.cut.values()))),
        )
    ]
    text = "{\n" + ",\n".join(head) + ',\n "inputs": {\n' + ",\n".join(rows) + "\n }\n}\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="ascii")


def _short(values: Real | list[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def scaled(column: Real, centre: float, scale: float) -> Real:
    """An input as it is weighed."""
    out: Real = np.clip((column - centre) / scale, -LIMIT, LIMIT)
    return out


def log_odds(model: Model, rows: Mapping[str, Real]) -> dict[str, Real]:
    """Per class [k]; column by column, so that a beat's odds do not hang on how many are asked for at once."""
    count = len(rows[model.names[0]])
    out = {name: np.full(count, constant) for name, constant in model.constant.items()}
    for k, name in enumerate(model.names):
        column = scaled(rows[name], float(model.centre[k]), float(model.scale[k]))
        for what, weight in model.weight.items():
            out[what] += weight[k] * column
    return out
