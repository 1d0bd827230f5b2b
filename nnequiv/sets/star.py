"""The star set ``{center + basis @ α : α in predicate}``: an affine image of a polytope of inputs.

Source: Tran et al. 2019 ("Star-based reachability analysis of deep neural networks"), as used by Mo et al. 2024.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nnequiv.rounding import UNDERFLOW, dot_error, gamma
from nnequiv.sets.box import Box


@dataclass(frozen=True, eq=False)
class StarSet:
    """``{center + basis @ α : matrix @ α ≤ bound, lower ≤ α ≤ upper}``.

    The predicate variables α *are* the free inputs of the network, in order, so a maximiser is a witness.

    Attributes
    ----------
    center : (n,) array
    basis : (n, k) array
    matrix, bound : (m, k) and (m,) arrays
    lower, upper : (k,) arrays
    error : (n,) array
        Proved: the true value differs from ``center + basis @ α`` by at most this, for every α in the predicate.
    """

    center: np.ndarray
    basis: np.ndarray
    matrix: np.ndarray
    bound: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    error: np.ndarray

    @classmethod
    def from_input_set(cls, input_set) -> StarSet:
        """The input set itself, as a star over its free inputs. Exact where no half-space touches a fixed input."""
        box, (matrix, bound) = input_set.box, input_set.cuts
        free = box.free
        fixed = np.where(box.lower < box.upper, 0.0, box.lower)
        # Fixed inputs move the half-spaces; rounding outward keeps every input of the set.
        slack = dot_error(len(fixed), np.abs(matrix) @ np.abs(fixed) + np.abs(bound)) if fixed.any() else 0.0
        return cls(
            center=fixed,
            basis=np.eye(box.dimension)[:, free],
            matrix=matrix[:, free],
            bound=bound - matrix @ fixed + slack,
            lower=box.lower[free],
            upper=box.upper[free],
            error=np.zeros(box.dimension),
        )

    def affine_map(self, weight: np.ndarray, bias: np.ndarray) -> StarSet:
        """The image under ``weight @ x + bias`` (Mo et al. 2024, Eq. 5); rounding goes into ``error``."""
        size = np.abs(weight)
        reach = np.maximum(np.abs(self.lower), np.abs(self.upper))
        magnitude = size @ (np.abs(self.center) + np.abs(self.basis) @ reach) + np.abs(bias)
        length = weight.shape[1] + len(reach)
        underflow = 4 * length * UNDERFLOW * reach.sum()  # of basis entries, which α multiplies
        return replace(
            self,
            center=weight @ self.center + bias,
            basis=weight @ self.basis,
            error=(1 + gamma(length)) * (size @ self.error) + dot_error(length, magnitude) + underflow,
        )

    def intersect(self, row: np.ndarray, bound: float) -> StarSet:
        """The part where ``row @ α ≤ bound``."""
        return replace(self, matrix=np.vstack([self.matrix, row]), bound=np.append(self.bound, bound))

    def interval(self, rows=slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Sound bounds on ``center + basis @ α`` from the box of α alone, without ``error``."""
        basis, center = self.basis[rows], self.center[rows]
        low = np.minimum(basis * self.lower, basis * self.upper).sum(axis=-1)
        high = np.maximum(basis * self.lower, basis * self.upper).sum(axis=-1)
        reach = np.maximum(np.abs(self.lower), np.abs(self.upper))
        slack = dot_error(2 * len(reach), np.abs(basis) @ reach + np.abs(center))
        return low + center - slack, high + center + slack

    def objective(self, k: int, sign: float = 1.0) -> tuple[np.ndarray, ...]:
        """The LP ``max sign · basis[k] @ α`` over the predicate, as arguments of :func:`nnequiv.lp.maximise`."""
        return sign * self.basis[k], self.matrix, self.bound, self.lower, self.upper

    def inputs(self, alpha: np.ndarray, box: Box) -> np.ndarray:
        """The network input that predicate variables (the first of ``alpha``) stand for, clipped into the box."""
        point = box.lower.copy()
        point[box.free] = alpha[: len(self.lower)]
        return box.clip(point)
