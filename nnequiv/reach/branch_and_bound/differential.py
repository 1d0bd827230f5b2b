"""Differential backward bounds: how far two networks of equal architecture are apart, bounding the difference itself.

Going backward, a functional ``cf · y_f + cg · y_g`` of a layer's post-activations is replaced by one of its
pre-activations that is nowhere smaller. Where cf and cg oppose and both neurons are unstable, a share
t of them moves to the difference D = y_f − y_g, which is bounded by its own chord in Δ = z_f − z_g:

    −relu(−Δ) ≤ D ≤ relu(Δ) ,     cf y_f + cg y_g = (cf − t) y_f + (cg + t) y_g + t D .

The rest goes by the usual triangles. All that is needed beyond intervals of z_f and z_g is one of Δ, from the same
pass with rows ``W_f, −W_g``.

Rounding. Let Y, Z, Z_Δ bound |y|, |z|, |Δ| over the whole input set. A layer of n pairs errs

- in ``cf − t`` and in the coefficient of z (four roundings): ``γ(4) (|cf − t| + |t| + |β|) (Y + Z)``;
- in the sum of 3 n offsets, each at most Z or Z_Δ times its coefficient: ``γ(3 n) (|cf − t| + |t|) (Z + Z_Δ)``;
- in ``z W`` and ``z · b``: ``γ(n) |z| (|W| Y' + |b|)`` with Y' for the layer before, or for the inputs.

:meth:`Pass.slack` adds all of it, with γ(4 n + 16) for every one. Sound: yes, for any slopes, shares and multipliers.
Source: ReluDiff, NeuroDiff (Paulsen et al. 2020), VeryDiff (Teuber et al. 2025); backward: CROWN (Zhang et al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.network import Network
from nnequiv.rounding import UNDERFLOW, UNIT, gamma


def outward(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds computed by one rounded operation, moved out by more than that rounding."""
    return low - 2 * UNIT * np.abs(low) - UNDERFLOW, high + 2 * UNIT * np.abs(high) + UNDERFLOW


def product(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """``values @ matrix``, at no cost where all values are 0: half of the work of a question about f alone."""
    return values @ matrix if values.any() else np.zeros((len(values), matrix.shape[1]))


@dataclass(frozen=True, eq=False)
class PairBounds:
    """Bounds on one hidden layer's z_f, z_g and Δ = z_f − z_g, arrays ``(B, n)`` each (or ``(1, n)`` for all parts)."""

    f_low: np.ndarray
    f_high: np.ndarray
    g_low: np.ndarray
    g_high: np.ndarray
    d_low: np.ndarray
    d_high: np.ndarray

    def tightened(self) -> PairBounds:
        """Each interval cut by what the other two imply."""
        low, high = outward(self.f_low - self.g_high, self.f_high - self.g_low)
        d_low, d_high = np.maximum(self.d_low, low), np.minimum(self.d_high, high)
        f_low, f_high = outward(self.g_low + d_low, self.g_high + d_high)
        g_low, g_high = outward(self.f_low - d_high, self.f_high - d_low)
        return PairBounds(
            np.maximum(self.f_low, f_low),
            np.minimum(self.f_high, f_high),
            np.maximum(self.g_low, g_low),
            np.minimum(self.g_high, g_high),
            d_low,
            d_high,
        )

    def with_signs(self, f_signs: np.ndarray, g_signs: np.ndarray) -> PairBounds:
        """Bounds of parts with some signs fixed, ``(B, n)`` int8 each: 1 for z ≥ 0, −1 for z ≤ 0."""
        return PairBounds(
            np.where(f_signs > 0, np.maximum(self.f_low, 0.0), self.f_low),
            np.where(f_signs < 0, np.minimum(self.f_high, 0.0), self.f_high),
            np.where(g_signs > 0, np.maximum(self.g_low, 0.0), self.g_low),
            np.where(g_signs < 0, np.minimum(self.g_high, 0.0), self.g_high),
            self.d_low,
            self.d_high,
        ).tightened()

    @property
    def empty(self) -> np.ndarray:
        """Parts whose signs contradict the bounds, ``(B,)``."""
        pairs = (self.f_low, self.f_high), (self.g_low, self.g_high), (self.d_low, self.d_high)
        return np.any([(low > high).any(axis=1) for low, high in pairs], axis=0)


def _chord(low, high):
    """Slope and offset of a line above relu on [low, high]: the chord, its offset enlarged by its rounding."""
    crossing = (low < 0) & (high > 0)
    slope = np.where(crossing, high / np.where(crossing, high - low, 1.0), (low >= 0) & (high > 0))
    offset = np.maximum(-slope * low, (1 - slope) * high) * (1 + 8 * UNIT) + 2 * UNDERFLOW
    return crossing, slope, np.where(crossing, offset, 0.0)


@dataclass(frozen=True, eq=False)
class PairLayer:
    """Lines that bound a layer's ReLUs on B parts: ``y ≤ slope z + offset``, and D between two lines in Δ."""

    f_free: np.ndarray
    f_slope: np.ndarray
    f_offset: np.ndarray
    g_free: np.ndarray
    g_slope: np.ndarray
    g_offset: np.ndarray
    up_slope: np.ndarray
    up_offset: np.ndarray
    down_slope: np.ndarray
    down_offset: np.ndarray

    @classmethod
    def of(cls, bounds: PairBounds) -> PairLayer:
        _, up_slope, up_offset = _chord(bounds.d_low, bounds.d_high)
        _, down_slope, down_offset = _chord(-bounds.d_high, -bounds.d_low)  # D ≥ −relu(−Δ)
        return cls(
            *_chord(bounds.f_low, bounds.f_high),
            *_chord(bounds.g_low, bounds.g_high),
            up_slope,
            up_offset,
            down_slope,
            -down_offset,
        )


@dataclass
class Choice:
    """What may be chosen freely in a layer, for B parts: lower slopes of f and g, the share moved to D, all in [0, 1];
    and multipliers of fixed signs, ≥ 0. Arrays ``(B, n)``."""

    f_slope: np.ndarray
    g_slope: np.ndarray
    share: np.ndarray
    f_weight: np.ndarray | float = 0.0
    g_weight: np.ndarray | float = 0.0


@dataclass(frozen=True, eq=False)
class Step:
    """One layer of a backward pass: coefficients of y_f, y_g (residual), D, and then of z_f, z_g; lines used."""

    f_rest: np.ndarray
    g_rest: np.ndarray
    moved: np.ndarray
    movable: np.ndarray
    f_line: tuple[np.ndarray, np.ndarray]
    g_line: tuple[np.ndarray, np.ndarray]
    d_line: tuple[np.ndarray, np.ndarray]
    f_z: np.ndarray
    g_z: np.ndarray
    f_push: np.ndarray | float
    g_push: np.ndarray | float


def relax(cf: np.ndarray, cg: np.ndarray, layer: PairLayer, choice: Choice, signs=None) -> Step:
    """Replace ``cf · y_f + cg · y_g`` by lines in z: one step of the module's docstring, for B functionals."""
    movable = np.where((cf * cg < 0) & layer.f_free & layer.g_free, np.where(np.abs(cf) < np.abs(cg), cf, -cg), 0.0)
    moved = choice.share * movable
    f_rest, g_rest = cf - moved, cg + moved
    f_line = (
        np.where(layer.f_free & (f_rest < 0), choice.f_slope, layer.f_slope),
        np.where(f_rest > 0, layer.f_offset, 0.0),
    )
    g_line = (
        np.where(layer.g_free & (g_rest < 0), choice.g_slope, layer.g_slope),
        np.where(g_rest > 0, layer.g_offset, 0.0),
    )
    up = moved > 0
    d_line = np.where(up, layer.up_slope, layer.down_slope), np.where(up, layer.up_offset, layer.down_offset)
    f_push, g_push = (0.0, 0.0) if signs is None else (choice.f_weight * signs[0], choice.g_weight * signs[1])
    f_z = f_rest * f_line[0] + moved * d_line[0] + f_push
    g_z = g_rest * g_line[0] - moved * d_line[0] + g_push
    return Step(f_rest, g_rest, moved, movable, f_line, g_line, d_line, f_z, g_z, f_push, g_push)


@dataclass(frozen=True, eq=False)
class Pass:
    """A backward pass of B functionals: its value, its coefficients of the input, and its steps, last layer first."""

    value: np.ndarray
    slope: np.ndarray
    constant: np.ndarray
    steps: list[Step]


class Pair:
    """Two networks of equal hidden widths on a box, with proved bounds of all their hidden layers.

    Attributes
    ----------
    f, g : Network
    center, radius : (n,) arrays
    bounds : list of PairBounds, ``(1, n)`` arrays
    """

    def __init__(self, f: Network, g: Network, center: np.ndarray, radius: np.ndarray):
        self.f, self.g, self.center, self.radius = f, g, center, radius
        self.reach = np.abs(center) + radius
        self.bounds: list[PairBounds] = []
        self.lines: list[PairLayer] = []
        self._sizes: list[tuple] = []  # (Y_f, Z_f, Y_g, Z_g, Z_Δ) of each hidden layer
        for index in range(len(f.layers) - 1):
            bounds = self._layer_bounds(index).tightened()
            self.bounds.append(bounds)
            self.lines.append(PairLayer.of(bounds))
            sizes = [np.maximum(np.abs(low), np.abs(high))[0] for low, high in _intervals(bounds)]
            positive = [np.maximum(high, 0.0)[0] for _, high in _intervals(bounds)]
            self._sizes.append((positive[0], sizes[0], positive[1], sizes[1], sizes[2]))

    def _layer_bounds(self, index: int) -> PairBounds:
        """Bounds of a hidden layer, from those before it: each of z_f, z_g and Δ, up and down."""
        wf, bf = self.f.layers[index].weight, self.f.layers[index].bias
        wg, bg = self.g.layers[index].weight, self.g.layers[index].bias
        ends = []
        for f_rows, g_rows, constant in ((wf, 0 * wg, bf), (0 * wf, wg, bg), (wf, -wg, bf - bg)):
            rows = np.vstack([f_rows, -f_rows]), np.vstack([g_rows, -g_rows])
            upper = self.upper(*rows, np.concatenate([constant, -constant]), index)
            upper = np.where(np.isnan(upper), np.inf, upper)  # overflow: nothing is known
            ends += [-upper[len(bf) :][None], upper[: len(bf)][None]]
        return PairBounds(*ends)

    def by_layer(self, values: np.ndarray) -> list[np.ndarray]:
        """Columns of all hidden neurons of one network, ``(B, N)``, cut into one array a layer."""
        return np.split(values, np.cumsum([layer.n_out for layer in self.f.hidden])[:-1], axis=1)

    def signs_of(self, signs: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Signs ``(B, 2 N)`` of f's neurons and then g's, as floats, a pair of arrays a layer."""
        f, g = np.split(signs.astype(np.float64), 2, axis=1)
        return list(zip(self.by_layer(f), self.by_layer(g), strict=True))

    def lines_of(self, signs: np.ndarray) -> tuple[list[PairLayer], np.ndarray]:
        """The lines of parts with fixed signs ``(B, 2 N)``, and which parts are empty."""
        bounds = [b.with_signs(*own) for b, own in zip(self.bounds, self.signs_of(signs), strict=True)]
        return [PairLayer.of(b) for b in bounds], np.any([b.empty for b in bounds], axis=0)

    def upper(self, cf, cg, constant, depth: int) -> np.ndarray:
        """Proved upper bounds ``(B,)`` of functionals of the first ``depth`` layers' outputs, with standard choices."""
        choices = [standard_choice(line, len(cf)) for line in self.lines[:depth]]
        done = self.backward(cf, cg, constant, self.lines[:depth], choices)
        return done.value + self.slack(done, constant)

    def backward(self, cf, cg, constant, lines, choices, signs=None) -> Pass:
        """The bound of B functionals ``cf · y_f + cg · y_g + constant`` in plain floats; :meth:`slack` makes it proved.

        Parameters
        ----------
        cf, cg : (B, n) arrays
            On the post-activations of the last of the given layers, or on the input if there is none.
        constant : (B,) array
        lines : list of PairLayer
        choices : list of Choice
        signs : list of pairs of (B, n) arrays, optional
        """
        steps = []
        for k in range(len(lines) - 1, -1, -1):
            step = relax(cf, cg, lines[k], choices[k], None if signs is None else signs[k])
            steps.append(step)
            f, g = self.f.layers[k], self.g.layers[k]
            offsets = step.f_rest * step.f_line[1] + step.g_rest * step.g_line[1] + step.moved * step.d_line[1]
            constant = constant + offsets.sum(axis=1) + step.f_z @ f.bias + step.g_z @ g.bias
            cf, cg = product(step.f_z, f.weight), product(step.g_z, g.weight)
        slope = cf + cg
        return Pass(constant + slope @ self.center + np.abs(slope) @ self.radius, slope, constant, steps)

    def slack(self, done: Pass, constant) -> np.ndarray:
        """Proved bound on all rounding of a pass, ``(B,)``: the module's docstring, term by term."""
        depth = len(done.steps)
        error = np.zeros(len(done.value))
        size, tiny = np.abs(constant), 0.0
        for step, k in zip(done.steps, range(depth - 1, -1, -1), strict=True):
            f_y, f_z, g_y, g_z, d_z = self._sizes[k]
            f, g = self.f.layers[k], self.g.layers[k]
            before_f, before_g = (self._sizes[k - 1][0], self._sizes[k - 1][2]) if k else (self.reach, self.reach)
            n = max(f.n_out, f.n_in, g.n_in)
            moved = np.abs(step.moved)
            f_use, g_use = np.abs(step.f_rest) + moved, np.abs(step.g_rest) + moved
            amount = (f_use + np.abs(step.f_push)) @ (f_y + 2 * f_z + d_z)
            amount += (g_use + np.abs(step.g_push)) @ (g_y + 2 * g_z + d_z)
            through = np.abs(step.f_z) @ (np.abs(f.weight) @ before_f + np.abs(f.bias))
            through += np.abs(step.g_z) @ (np.abs(g.weight) @ before_g + np.abs(g.bias))
            error += gamma(4 * n + 16) * (amount + through)
            size = size + amount + through
            tiny += 64 * UNDERFLOW * (n + 1) ** 2 * (1 + f_y.sum() + f_z.sum() + g_y.sum() + g_z.sum() + d_z.sum())
        inputs = np.abs(done.slope) @ self.reach
        tiny += 64 * UNDERFLOW * (len(self.reach) + 1) ** 2 * (1 + self.reach.sum())
        return 2 * error + gamma(4 * len(self.reach) + 16 * depth + 16) * (size + inputs) + tiny


def _intervals(bounds: PairBounds):
    return (bounds.f_low, bounds.f_high), (bounds.g_low, bounds.g_high), (bounds.d_low, bounds.d_high)


def standard_choice(line: PairLayer, count: int) -> Choice:
    """Lower slopes 0 or 1, whichever leaves the smaller triangle; all to D where its chord is the closer one."""
    apart = line.f_offset + line.g_offset
    share = (np.maximum(line.up_offset, -line.down_offset) <= apart).astype(np.float64)
    shape = (count, line.f_slope.shape[1])
    values = ((line.f_slope > 0.5).astype(np.float64), (line.g_slope > 0.5).astype(np.float64), share)
    return Choice(*(np.broadcast_to(v, shape) for v in values))
