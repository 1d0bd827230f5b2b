"""A random network of given widths, with biases that put most kinks near the origin."""

from __future__ import annotations

import numpy as np

from nnequiv.network import Network


def random_network(rng: np.random.Generator, widths, scale: float = 1.0) -> Network:
    """Widths ``(inputs, hidden …, outputs)``; every weight and bias is multiplied by ``scale``."""
    layers = []
    for n_in, n_out in zip(widths, widths[1:], strict=False):
        weight = rng.normal(size=(n_out, n_in)) * 1.5 / np.sqrt(n_in)
        layers.append((weight * scale, rng.normal(size=n_out) * 0.4 * scale))
    return Network(layers)
