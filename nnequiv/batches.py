"""Endless streams of mini-batches: what training draws from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

Batch = tuple[np.ndarray, np.ndarray]


def shuffled(points, targets, size: int, rng: np.random.Generator, noise: float = 0.0) -> Iterator[Batch]:
    """Endless mini-batches, each epoch in a new order; the rest of an epoch that fills no batch is left out.

    Parameters
    ----------
    points : (k, n) array
    targets : (k,) or (k, m) array
    size : int
        Of a batch; smaller data sets give batches of their own size.
    noise : float
        Standard deviation of normal noise added to the points, fresh each time.

    Examples
    --------
    >>> batches = shuffled(np.arange(4.0)[:, None], np.arange(4), 2, np.random.default_rng(0))
    >>> sorted(np.concatenate([next(batches)[1], next(batches)[1]]).tolist())
    [0, 1, 2, 3]
    """
    points, targets = np.asarray(points, dtype=np.float64), np.asarray(targets)
    if len(points) != len(targets) or not len(points):
        raise ValueError(f"points have shape {points.shape} and targets {targets.shape}: need equally many, at least 1")
    size = min(size, len(points))
    while True:
        order = rng.permutation(len(points))
        for start in range(0, len(points) - size + 1, size):
            chosen = order[start : start + size]
            batch = points[chosen]
            yield (batch + noise * rng.standard_normal(batch.shape) if noise else batch), targets[chosen]


def drawn(points, targets, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Endless mini-batches drawn with replacement: of full size however few points there are.

    >>> next(drawn(np.zeros((1, 1)), np.array([7]), 3, np.random.default_rng(0)))[1]
    array([7, 7, 7])
    """
    points, targets = np.asarray(points, dtype=np.float64), np.asarray(targets)
    while True:
        chosen = rng.integers(0, len(points), size)
        yield points[chosen], targets[chosen]


def joined(*sources: Iterable[Batch]) -> Iterator[Batch]:
    """Batches made of one batch from each source.

    >>> point, label = np.zeros((1, 1)), np.array([7])
    >>> next(joined(iter([(point, label)]), iter([(point + 1, label)])))[0]
    array([[0.],
           [1.]])
    """
    for parts in zip(*sources, strict=False):
        yield (
            np.concatenate([points for points, _ in parts]),
            np.concatenate([targets for _, targets in parts]),
        )
