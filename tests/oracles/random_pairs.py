"""Small random pairs of networks, most of them degenerate on purpose: the pairs every engine has to survive.

Seeds cycle through :data:`KINDS`, so ``range(n)`` covers all kinds evenly. The same seed gives the same pair.
"""

from __future__ import annotations

import numpy as np

from nnequiv.merge import pad_depth
from nnequiv.network import Network
from nnequiv.sets import Box, Polytope

#: Hidden neurons of one network at most, so that brute force over activation patterns stays possible.
MOST_HIDDEN = 6


def _widths(rng, depth: int) -> list[int]:
    """Hidden widths 1..4 for ``depth`` layers; deep networks are narrow."""
    widths = [int(w) for w in rng.integers(1, 5, size=depth - 1)]
    while sum(widths) > max(MOST_HIDDEN, depth - 1):
        widths[int(np.argmax(widths))] -= 1
    return widths


def _network(rng, d: int, m: int, depth: int | None = None) -> Network:
    """Normal weights, biases that put most kinks inside the box [−1, 1]^d."""
    depth = int(rng.integers(2, 5)) if depth is None else depth
    sizes = [d, *_widths(rng, depth), m]
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        layers.append((rng.normal(size=(n_out, n_in)) / np.sqrt(n_in) * 1.5, rng.normal(size=n_out) * 0.4))
    return Network(layers)


def _changed(network: Network, change) -> Network:
    """A copy in which ``change(index, weight, bias)`` edited the arrays of every layer in place."""
    layers = [(layer.weight.copy(), layer.bias.copy()) for layer in network.layers]
    for index, (weight, bias) in enumerate(layers):
        change(index, weight, bias)
    return Network(layers)


def _box(rng, d: int) -> Box:
    center = rng.integers(-2, 3, size=d) / 2
    return Box(center - rng.integers(1, 4, size=d) / 2, center + rng.integers(1, 4, size=d) / 2)


def _halves(rng, network: Network) -> Network:
    """Weights and biases on the grid k/2: planes are parallel, equal, or meet in the same points."""

    def change(_, weight, bias):
        weight[:], bias[:] = (
            rng.integers(-2, 3, size=weight.shape) / 2,
            rng.integers(-2, 3, size=bias.shape) / 2,
        )

    return _changed(network, change)


def _paired_rows(rng, network: Network, sign: float) -> Network:
    """In every hidden layer, one neuron repeated (sign 1) or negated (sign −1)."""

    def change(index, weight, bias):
        if index < len(network.layers) - 1 and len(bias) > 1:
            a, b = rng.choice(len(bias), size=2, replace=False)
            weight[b], bias[b] = sign * weight[a], sign * bias[a]

    return _changed(network, change)


def _one_row(rng, network: Network, weight_scale: float, bias_value: float) -> Network:
    """In every hidden layer, one neuron with its row scaled and its bias replaced."""

    def change(index, weight, bias):
        if index < len(network.layers) - 1:
            row = rng.integers(len(bias))
            weight[row] *= weight_scale
            bias[row] = bias_value

    return _changed(network, change)


def _through(rng, network: Network, point: np.ndarray) -> Network:
    """Coarse weights; all first-layer planes pass exactly through ``point``, and some of the later ones."""
    coarse = _halves(rng, network)
    layers, value = [], point
    for index, layer in enumerate(coarse.layers):
        bias = layer.bias.copy()
        if index < len(coarse.layers) - 1:
            through = (rng.random(len(bias)) < 0.5) | (index == 0)
            bias[through] = -(layer.weight @ value)[through]
        layers.append((layer.weight, bias))
        value = np.maximum(layer.weight @ value + bias, 0.0)
    return Network(layers)


def _noisy(rng, network: Network) -> Network:
    size = 10.0 ** -rng.uniform(6, 15)

    def change(_, weight, bias):
        weight += size * rng.normal(size=weight.shape)
        bias += size * rng.normal(size=bias.shape)

    return _changed(network, change)


def _shared_layers(rng, f: Network, g: Network) -> Network:
    """g with f's first layer in front and a matching second one."""
    first, width = f.layers[0], g.layers[1].n_out
    second = (rng.normal(size=(width, first.n_out)), g.layers[1].bias)
    return Network([first, second, *g.layers[2:]])


def _cut(rng, box: Box, count: int, touching: bool = False) -> Polytope:
    """The box and ``count`` half-spaces that keep a random point, or (touching) one that keeps only a face."""
    d = box.dimension
    rows = rng.integers(-2, 3, size=(count, d)) / 2
    rows[np.arange(count), rng.integers(d, size=count)] = 1.0
    inner = box.lower + (box.upper - box.lower) * rng.integers(1, 4, size=d) / 4
    bounds = rows @ inner + 0.125
    if touching:
        bounds = np.minimum(rows * box.lower, rows * box.upper).sum(axis=1)
        rows, bounds = rows[:1], bounds[:1]
    matrix = np.vstack([np.eye(d), -np.eye(d), rows])
    return Polytope(matrix, np.concatenate([box.upper, -box.lower, bounds]))


KINDS = (
    "generic",
    "duplicated neurons",
    "negated neurons",
    "generic, one input",
    "zero rows",
    "dead neurons",
    "coarse grid",
    "generic, two inputs",
    "planes through a corner",
    "planes through a vertex",
    "noise",
    "equal",
    "shared first layer",
    "flat box",
    "single point",
    "unequal depths",
    "affine",
    "identity lanes",
    "polytope",
    "coarse polytope",
    "face of a box",
    "noise on a coarse grid",
)


def _networks(rng, kind: str, f: Network, g: Network, box: Box) -> tuple[Network, Network]:
    """The two networks made degenerate as ``kind`` says."""
    d, m = f.n_inputs, f.n_outputs
    corner = np.where(rng.random(d) < 0.5, box.lower, box.upper)
    noisy = _noisy(rng, f)
    match kind:
        case "duplicated neurons":
            return _paired_rows(rng, f, 1.0), _paired_rows(rng, g, 1.0)
        case "negated neurons":
            return _paired_rows(rng, f, -1.0), _paired_rows(rng, g, -1.0)
        case "zero rows":
            return _one_row(rng, f, 0.0, 0.0), _one_row(rng, g, 0.0, float(rng.integers(-1, 2)))
        case "dead neurons":
            return _one_row(rng, f, 1.0, -100.0), _one_row(rng, g, 1.0, 100.0)
        case "coarse grid" | "coarse polytope":
            return _halves(rng, f), _halves(rng, g)
        case "planes through a corner":
            return _through(rng, f, corner), _through(rng, g, corner)
        case "planes through a vertex":
            return _through(rng, f, box.center), _through(rng, g, box.center)
        case "noise":
            return f, noisy
        case "noise on a coarse grid":
            coarse = _halves(rng, f)
            return coarse, _noisy(rng, coarse)
        case "equal":
            return f, f
        case "shared first layer":
            return f, _shared_layers(rng, f, g)
        case "unequal depths":
            return _network(rng, d, m, int(rng.integers(1, 4))), _network(rng, d, m, int(rng.integers(4, 8)))
        case "affine":
            return _network(rng, d, m, 1), g
        case "identity lanes":
            longer = pad_depth(f, len(f.layers) + int(rng.integers(1, 3)))
            return (noisy if rng.random() < 0.5 else f), longer
        case "face of a box":
            return _halves(rng, f), g
    return f, g


def _input_set(rng, kind: str, box: Box) -> Box | Polytope:
    """The box, or what ``kind`` makes of it."""
    match kind:
        case "flat box":
            fixed = rng.random(box.dimension) < 0.5
            fixed[rng.integers(box.dimension)] = True
            return Box(box.lower, np.where(fixed, box.lower, box.upper))
        case "single point":
            return Box(box.lower, box.lower)
        case "polytope" | "coarse polytope":
            return _cut(rng, box, int(rng.integers(1, 3)))
        case "face of a box":
            return _cut(rng, box, 1, touching=True)
    return box


def random_pair(seed: int) -> tuple[Network, Network, Box | Polytope, str]:
    """Networks f and g, an input set, and the kind of pair: 1..4 inputs, 1..3 outputs.

    >>> f, g, box, kind = random_pair(11)
    >>> kind, f is g
    ('equal', True)
    """
    rng, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    d, m = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    d = {"generic, one input": 1, "generic, two inputs": 2}.get(kind, d)
    f, g, box = _network(rng, d, m), _network(rng, d, m), _box(rng, d)
    return *_networks(rng, kind, f, g, box), _input_set(rng, kind, box), kind
