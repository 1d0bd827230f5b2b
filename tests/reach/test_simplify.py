"""Identity lanes are taken out, and nothing else."""

from __future__ import annotations

import numpy as np

from nnequiv.merge import pad_depth
from nnequiv.network import Network
from nnequiv.reach.branch_and_bound.simplify import without_identity_lanes


def test_padding_is_undone():
    for seed, widths in enumerate([(3, 2), (3, 4, 2), (3, 4, 4, 2), (2, 2, 2)]):
        rng = np.random.default_rng(seed)
        layers = [(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in zip(widths, widths[1:], strict=False)]
        network = Network(layers)
        padded = pad_depth(network, len(layers) + 3)
        points = rng.normal(size=(50, widths[0]))
        short = without_identity_lanes(padded)
        assert np.array_equal(short.evaluate(points), padded.evaluate(points)), f"seed {seed}"
        if len(layers) > 1:
            assert short.widths == network.widths, f"seed {seed}"


def test_first_and_last_layer_stay():
    """An identity there is not a lane: inputs may be negative, outputs too."""
    one = (np.eye(2), np.zeros(2))
    for count in (1, 2, 3, 4):
        network = Network([one] * count)
        short = without_identity_lanes(network)
        assert len(short.layers) == min(count, 2)
        assert np.array_equal(short.evaluate([-1.0, 2.0]), network.evaluate([-1.0, 2.0]))


def test_a_bias_or_a_permutation_is_no_lane():
    layers = [
        (np.eye(2), np.zeros(2)),
        (np.eye(2), np.ones(2)),
        (np.eye(2)[::-1], np.zeros(2)),
        (np.eye(2), np.zeros(2)),
    ]
    assert len(without_identity_lanes(Network(layers)).layers) == 4
