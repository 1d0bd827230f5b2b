"""Make a network smaller and keep it small: pruning, quantisation, narrowing, and the constraint each one
leaves.

``compress(f, how)`` gives a :class:`Compressed` network: an ordinary network that knows its constraint.
Repair may move its weights, never off the constraint, so the size of what was compressed stays what it is.

**Biases.** Pruning and quantisation leave them alone: they are few, and they stay free floats, which
:func:`size` counts at full width. Narrowing removes a neuron's bias with the neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnequiv.constraints import Constraint, Grid, Mask, Shape, nearest_levels, shapes_of
from nnequiv.network import Layer, Network


class Compressed(Network):
    """A network with the constraint it satisfies.

    Parameters
    ----------
    layers : as for :class:`nnequiv.network.Network`
    constraint : Constraint, optional
        By default the shape alone.

    Raises
    ------
    ValueError
        If the layers are not on the constraint.

    Examples
    --------
    >>> g = compress(Network([([[1.0, -0.1]], [0.5])]), Prune(0.5))
    >>> g
    Compressed(2-1, Mask)
    >>> g.evaluate([1.0, 1.0])
    array([1.5])
    """

    def __init__(self, layers, constraint: Constraint | None = None):
        super().__init__(layers)
        self._constraint = Shape(self.widths) if constraint is None else constraint
        if not self._constraint.holds(self):
            raise ValueError(f"{super().__repr__()} is not on its constraint, {type(self._constraint).__name__}")

    @property
    def constraint(self) -> Constraint:
        """What training must keep: a mask, a grid, or the shape."""
        return self._constraint

    def __repr__(self) -> str:
        return f"Compressed({'-'.join(str(n) for n in self.widths)}, {type(self.constraint).__name__})"


@dataclass(frozen=True)
class Prune:
    """Set the weights of smallest magnitude to 0; those that are 0 already stay so.

    Parameters
    ----------
    fraction : float in [0, 1)
        Share of the weights (biases are not counted and not pruned), rounded to a whole number of them.
    per_layer : bool
        The same share in every layer; else the smallest of the whole network.

    Examples
    --------
    >>> f = Network([([[1.0, 0.2]], [0.0]), ([[-3.0]], [0.0])])
    >>> [layer.weight.tolist() for layer in compress(f, Prune(0.67)).layers]
    [[[0.0, 0.0]], [[-3.0]]]
    """

    fraction: float
    per_layer: bool = False

    def __post_init__(self):
        if not 0 <= self.fraction < 1:
            raise ValueError(f"fraction is {self.fraction}: it must be in [0, 1)")

    def apply(self, network: Network) -> Compressed:
        """The smallest weights become zero, and stay so."""
        weights = [layer.weight for layer in network.layers]
        if self.per_layer:
            masks = [self._kept(np.abs(weight).ravel()).reshape(weight.shape) for weight in weights]
        else:
            kept = self._kept(np.concatenate([np.abs(weight).ravel() for weight in weights]))
            parts = np.split(kept, np.cumsum([weight.size for weight in weights])[:-1])
            masks = [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]
        return _on(Mask(tuple(_frozen(mask) for mask in masks)), network)

    def _kept(self, magnitudes: np.ndarray) -> np.ndarray:
        """True for all but the smallest and those that are 0 already; of equal ones the first goes first."""
        kept = magnitudes > 0
        kept[np.argsort(magnitudes, kind="stable")[: round(self.fraction * len(magnitudes))]] = False
        return kept


@dataclass(frozen=True)
class Quantize:
    """Round the weights of each layer to a symmetric uniform grid, ``{−m … m} · scale`` with ``m = 2^(bits −
    1) − 1``.

    The layer's scale makes the squared error of its weights least. Biases are not rounded.

    Parameters
    ----------
    bits : int from 2 to 16

    Examples
    --------
    >>> compress(Network([([[1.0, -0.4, 0.1]], [0.3])]), Quantize(bits=2)).layers[0].weight.tolist()
    [[1.0, 0.0, 0.0]]
    """

    bits: int

    def __post_init__(self):
        if int(self.bits) != self.bits or not 2 <= self.bits <= 16:
            raise ValueError(f"bits is {self.bits}: it must be a whole number from 2 to 16")

    def apply(self, network: Network) -> Compressed:
        """Every weight becomes a multiple of its layer's scale."""
        scales = tuple(_best_scale(layer.weight, self.bits) for layer in network.layers)
        return _on(Grid(int(self.bits), scales, tuple(shapes_of(network))), network)


@dataclass(frozen=True)
class Narrow:
    """Remove whole hidden neurons, the least important first.

    A neuron's importance is the norm of what enters it (weights and bias) times the norm of what leaves it.
    Layers are narrowed from the first to the last, each one as the layers before have left it.

    Parameters
    ----------
    widths : sequence of int
        Hidden widths to keep, one a hidden layer, each at least 1.

    Examples
    --------
    >>> f = Network([([[1.0], [0.1], [-1.0]], [0.0, 0.0, 0.0]), ([[1.0, 1.0, 1.0]], [0.0])])
    >>> compress(f, Narrow([2])).layers[0].weight.tolist()
    [[1.0], [-1.0]]
    """

    widths: Sequence[int]

    def __post_init__(self):
        object.__setattr__(self, "widths", tuple(int(width) for width in self.widths))

    def apply(self, network: Network) -> Compressed:
        """Neurons are dropped, and those that stay take over what they can."""
        hidden = tuple(layer.n_out for layer in network.hidden)
        if len(self.widths) != len(hidden) or any(not 1 <= w <= n for w, n in zip(self.widths, hidden, strict=True)):
            raise ValueError(f"widths are {self.widths}: need one from 1 to its layer's width for each of {hidden}")
        weights = [layer.weight for layer in network.layers]
        biases = [layer.bias for layer in network.layers]
        for k, width in enumerate(self.widths):
            entering = np.linalg.norm(np.column_stack([weights[k], biases[k]]), axis=1)
            importance = entering * np.linalg.norm(weights[k + 1], axis=0)
            kept = np.sort(np.argsort(-importance, kind="stable")[:width])
            weights[k], biases[k], weights[k + 1] = weights[k][kept], biases[k][kept], weights[k + 1][:, kept]
        return Compressed(zip(weights, biases, strict=True))


Compression = Prune | Quantize | Narrow


def compress(network: Network, how: Compression) -> Compressed:
    """Make a network smaller: ``compress(f, Quantize(bits=4))``.

    Parameters
    ----------
    network : Network
        Not yet compressed: a second compression would drop the first one's constraint.
    how : Prune, Quantize or Narrow

    Returns
    -------
    Compressed
        A network that knows its constraint: what training must keep of it.

    Raises
    ------
    ValueError
        If the network is compressed already, or ``how`` does not fit it.

    Examples
    --------
    >>> compress(Network([([[1.0, 0.1]], [0.5])]), Prune(0.5)).layers[0].weight
    array([[1., 0.]])
    """
    if isinstance(network, Compressed):
        raise ValueError(f"{network} is compressed already: compress the original")
    return how.apply(network)


@dataclass(frozen=True)
class Size:
    """``parameters`` (weights, biases), how many are ``nonzeros``, the ``bits`` to store them (:func:`size`)."""

    parameters: int
    nonzeros: int
    bits: int

    def to_json(self) -> dict:
        return {"parameters": self.parameters, "nonzeros": self.nonzeros, "bits": self.bits}


def size(network: Network) -> Size:
    """How big a network is.

    ``bits`` counts what it takes to store the values exactly. A float counts 16, 32 or 64 bits: the narrowest
    format that holds every float of the network. Pruned: the weights in the mask, and one bit a weight for
    the mask. Quantised: ``bits`` a weight, and a float for each layer's scale. Biases are floats always.

    Parameters
    ----------
    network : Network
        A compressed one counts by its constraint.

    Returns
    -------
    Size

    Examples
    --------
    >>> size(compress(Network([([[0.5, 0.25]], [1.0])]), Prune(0.5)))
    Size(parameters=3, nonzeros=2, bits=34)
    """
    constraint = network.constraint if isinstance(network, Compressed) else None
    weights = [layer.weight for layer in network.layers]
    biases = [layer.bias for layer in network.layers]
    weight_count, bias_count = sum(w.size for w in weights), sum(b.size for b in biases)
    nonzeros = sum(int(np.count_nonzero(values)) for values in [*weights, *biases])
    if isinstance(constraint, Grid):
        scales = np.asarray(constraint.scales)
        bits = weight_count * constraint.bits + (len(scales) + bias_count) * _float_bits([scales, *biases])
    elif isinstance(constraint, Mask):
        kept = sum(int(mask.sum()) for mask in constraint.masks)
        bits = weight_count + (kept + bias_count) * _float_bits([*weights, *biases])
    else:
        bits = (weight_count + bias_count) * _float_bits([*weights, *biases])
    return Size(weight_count + bias_count, nonzeros, bits)


def _float_bits(arrays: list[np.ndarray]) -> int:
    """Width of the narrowest float format that holds all values exactly."""
    values = np.concatenate([array.ravel() for array in arrays])
    for bits, kind in ((16, np.float16), (32, np.float32)):
        with np.errstate(over="ignore"):
            if np.array_equal(values.astype(kind).astype(np.float64), values):
                return bits
    return 64


def _best_scale(weight: np.ndarray, bits: int) -> float:
    """The scale of least squared error: the best of 300, and of what least squares at their levels makes of them."""
    largest = float(np.abs(weight).max(initial=0.0))
    if largest == 0.0:
        return 1.0
    best, least = 1.0, np.inf
    for scale in largest / (2 ** (bits - 1) - 1) * np.linspace(0.01, 1.25, 300):
        levels = nearest_levels(weight, scale, bits)
        norm = float((levels**2).sum())
        refined = float((levels * weight).sum()) / norm if norm else scale
        for candidate in (float(scale), refined):
            error = float(((nearest_levels(weight, candidate, bits) * candidate - weight) ** 2).sum())
            if error < least:
                best, least = candidate, error
    return best


def _on(constraint: Constraint, network: Network) -> Compressed:
    """The network, projected onto the constraint."""
    weights, biases = [layer.weight for layer in network.layers], [layer.bias for layer in network.layers]
    return Compressed([Layer(w, b) for w, b in zip(*constraint.project(weights, biases), strict=True)], constraint)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
