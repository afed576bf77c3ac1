"""Logistic regression, which turns scores into chances."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def logistic_regression(inputs: Floats, truth: NDArray[np.bool_], ridge: float = 0.0) -> Floats:
    """(m,) weights of the greatest likelihood, by Newton's method.

    Args:
        inputs: (n, m); a column of ones at the end gives a bias.
        truth: (n,)
        ridge: weight of half the sum of squared weights but the last.
    """
    penalty = np.full(inputs.shape[1], ridge)
    penalty[-1] = 0.0
    weights = np.zeros(inputs.shape[1])
    for _ in range(50):
        chances = 1 / (1 + np.exp(-np.clip(inputs @ weights, -50, 50)))
        gradient = inputs.T @ (truth - chances) - penalty * weights
        curvature = (inputs * (chances * (1 - chances))[:, None]).T @ inputs + np.diag(penalty)
        # The small number keeps columns that depend on each other from having no solution.
        step = np.linalg.solve(curvature + 1e-6 * np.eye(len(weights)), gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    return weights
