"""Branch and bound where inputs are many: 784 pixels, a network and its pruned copy."""

from __future__ import annotations

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.relations import Top1, discrepancy_objectives
from nnequiv.sets import Box
from tests.oracles.real_pairs import mnist_images, pruned_mnist, real_box

#: δ_max by image and radius in 1/255, found with multipliers and by another bound as well.
KNOWN = {(0, 1): 0.8393, (0, 2): 0.8732, (1, 1): 3.6428, (1, 2): 3.7824, (2, 1): 0.0926, (2, 2): 0.1186}


def around(image, radius):
    return Box.around(mnist_images(image + 1)[image], radius / 255, limits=(0.0, 1.0))


def disagree(networks, point):
    f, g = (network.evaluate(point) for network in networks)
    return f.argmax() != g.argmax()


@pytest.mark.parametrize("image, radius", list(KNOWN))
def test_discrepancy(image, radius):
    networks = pruned_mnist()
    found = BranchAndBound().maximise(networks, around(image, radius), discrepancy_objectives(10), 1e-3, Control())
    assert found.reason == "" and found.upper - found.lower <= 1e-3
    assert found.lower <= KNOWN[image, radius] + 1e-3 and KNOWN[image, radius] - 1e-4 <= found.upper


@pytest.mark.slow
def test_discrepancy_on_fifteen_pixels():
    box = real_box("pruned/mnist_0_local_15.vnnlib")
    found = BranchAndBound(relative=0.01).maximise(pruned_mnist(), box, discrepancy_objectives(10), 0.0, Control())
    assert found.reason == "" and found.lower <= 1.0317 and 1.0315 <= found.upper <= 1.01 * found.lower


def top1(image, radius):
    return BranchAndBound().maximise(
        pruned_mnist(), around(image, radius), Top1().objectives(10), 1e-6, Control(), threshold=0.0
    )


@pytest.mark.parametrize("image, same", [(0, True), (2, True), (8, False), (9, True)])
def test_top1(image, same):
    found = top1(image, 4)
    assert (found.upper <= 0) == same and (found.lower > 0) == (not same)
    assert same or disagree(pruned_mnist(), found.witness)


@pytest.mark.slow
@pytest.mark.parametrize("image", range(12))
def test_top1_is_decided(image):
    found = top1(image, 4)
    assert found.upper <= 0 or disagree(pruned_mnist(), found.witness)


@pytest.mark.parametrize("distance", [0.0, 1e-7, 0.02, 0.2, 1.0])
def test_random_pairs_against_samples(distance):
    """Many inputs, small networks: no sampled difference exceeds the bound, and the witness is as good."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=(b, a)) / np.sqrt(a) for a, b in ((20, 8), (8, 6), (6, 3))]
        biases = [0.3 * rng.normal(size=len(w)) for w in weights]
        f = Network.from_arrays(weights, biases)
        g = Network.from_arrays([w + distance * rng.normal(size=w.shape) / np.sqrt(len(w[0])) for w in weights], biases)
        box = Box.around(rng.random(20), 0.2)
        found = BranchAndBound(relative=0.01).maximise((f, g), box, discrepancy_objectives(3), 1e-6, Control())
        points = box.sample(rng, 20000)
        sampled = np.abs(f.evaluate(points) - g.evaluate(points)).max()
        assert found.reason == "" and sampled <= found.lower + 1e-9, f"seed {seed}"
        assert found.upper <= max(found.lower * 1.011, found.lower + 1.1e-6), f"seed {seed}"
