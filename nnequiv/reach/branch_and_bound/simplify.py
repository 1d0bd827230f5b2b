"""Identity lanes taken out again: the same function, one layer less.

A network that was padded to another's depth is then compared layer by layer with what it really resembles.
"""

from __future__ import annotations

import numpy as np

from nnequiv.network import Network


def without_identity_lanes(network: Network) -> Network:
    """The network without hidden layers that only pass post-activations on: ``relu(1 · v + 0) = v`` for v ≥ 0.

    Exact: no weight changes.

    >>> from nnequiv.merge import pad_depth
    >>> net = Network([([[1.0]], [0.0]), ([[2.0]], [1.0])])
    >>> without_identity_lanes(pad_depth(net, 5))
    Network(1-1-1)
    """
    layers = network.layers
    identity = [not layer.bias.any() and np.array_equal(layer.weight, np.eye(layer.n_in)) for layer in layers]
    # The first layer reads inputs of any sign, and nothing is cut off after the last.
    inner = [layer for layer, lane in zip(layers[1:-1], identity[1:-1], strict=True) if not lane]
    return Network([layers[0], *inner, *layers[1:][-1:]])
