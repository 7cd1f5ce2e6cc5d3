"""Ridge logistic regression, as the trainers of `tools/` use it: no chance in it, numpy only."""

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
STEPS, SETTLED = 25, 1e-4
LEAST_CURVE = 1e-4  # of a beat that is already sure, so that Newton's method stays steady


def fitted(x: Real, y: NDArray[np.bool_], weight: Real, ridge: float) -> tuple[float, Real]:
    """Constant and weights of the columns x [row, column], which are of about unit size, by Newton's method.

    The penalty is ridge / 2 times the sum of squared weights; row weights count relative to their mean.
    """
    z, share = np.c_[np.ones(len(x)), x], weight / weight.mean()
    penalty = np.full(z.shape[1], ridge)
    penalty[0] = 0.0
    w = np.zeros(z.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        curve = (z * (share * p * (1 - p) + LEAST_CURVE)[:, None]).T @ z + np.diag(penalty)
        step = np.linalg.solve(curve, z.T @ (share * (y - p)) - penalty * w)
        w += step
        if np.abs(step).max() < SETTLED:
            break
    return float(w[0]), w[1:]
