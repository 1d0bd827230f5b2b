"""The box ``{x : lower ≤ x ≤ upper}``, the usual input set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class Box:
    """``{x : lower ≤ x ≤ upper}``, flat where the two are equal.

    Parameters
    ----------
    lower, upper : (n,) arrays, finite

    Raises
    ------
    ValueError
        If a bound is not finite, ``lower > upper`` anywhere, or the shapes differ; names the position.

    Examples
    --------
    >>> box = Box([0.0, 1.0], [2.0, 1.0])
    >>> box.free
    array([0])
    >>> box.contains([1.5, 1.0])
    True
    """

    lower: np.ndarray
    upper: np.ndarray

    if TYPE_CHECKING:  # what callers may give; __post_init__ makes arrays of it

        def __init__(self, lower: ArrayLike, upper: ArrayLike) -> None: ...

    def __post_init__(self):
        lower = np.array(self.lower, dtype=np.float64)
        upper = np.array(self.upper, dtype=np.float64)
        if lower.ndim != 1 or lower.shape != upper.shape or not len(lower):
            raise ValueError(f"lower has shape {lower.shape} and upper {upper.shape}: both must be (n,), n ≥ 1")
        for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
            if not (np.isfinite(low) and np.isfinite(high)):
                raise ValueError(f"input {i} has bounds [{low}, {high}]: an input set must be bounded")
            if low > high:
                raise ValueError(f"input {i} has lower {low} > upper {high}")
        lower.setflags(write=False)
        upper.setflags(write=False)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @classmethod
    def around(cls, point, radius, free=None, limits: tuple[float, float] | None = None) -> Box:
        """``point ± radius`` on the inputs ``free`` (all by default), fixed elsewhere, clipped to ``limits``.

        >>> Box.around([0.5, 0.1], 0.2, free=[1], limits=(0.0, 1.0))
        Box(lower=[0.5, 0.0], upper=[0.5, 0.30000000000000004])
        """
        point = np.asarray(point, dtype=np.float64)
        reach = np.zeros_like(point)
        reach[slice(None) if free is None else np.asarray(free, dtype=int)] = radius
        lower, upper = point - reach, point + reach
        if limits is not None:
            lower, upper = np.clip(lower, *limits), np.clip(upper, *limits)
        return cls(lower, upper)

    def __repr__(self) -> str:
        return f"Box(lower={self.lower.tolist()}, upper={self.upper.tolist()})"

    @property
    def dimension(self) -> int:
        """Number of inputs, fixed ones included."""
        return len(self.lower)

    @property
    def free(self) -> np.ndarray:
        """Indices of the inputs that are not fixed."""
        return np.flatnonzero(self.lower < self.upper)

    @property
    def center(self) -> np.ndarray:
        """The middle, ``(n,)``."""
        return self.lower + 0.5 * (self.upper - self.lower)

    @property
    def box(self) -> Box:
        """The enclosing box: itself. Every input set has ``box`` and ``cuts``, and is their intersection."""
        return self

    @property
    def cuts(self) -> tuple[np.ndarray, np.ndarray]:
        """Half-spaces ``matrix @ x ≤ bound`` beyond the box: none here, ``(0, n)`` and ``(0,)``."""
        return np.zeros((0, self.dimension)), np.zeros(0)

    def contains(self, point) -> bool:
        """Exactly: no tolerance."""
        point = np.asarray(point, dtype=np.float64)
        if point.shape != self.lower.shape:
            raise ValueError(f"point has shape {point.shape}, but the set has {self.dimension} inputs")
        return bool(np.all(self.lower <= point) and np.all(point <= self.upper))

    def clip(self, points) -> np.ndarray:
        """The nearest points of the box."""
        return np.clip(points, self.lower, self.upper)

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """``(count, n)`` uniform points."""
        return self.clip(self.lower + (self.upper - self.lower) * rng.random((count, self.dimension)))
