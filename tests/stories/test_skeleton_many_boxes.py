"""Boxes in one complex once took the random numbers of planes as their own: names of faces of two boxes collided.

The pair check noticed every time, so no answer was wrong; but all boxes went to linear programs, 100 times slower.
"""

import numpy as np

from nnequiv.control import Control
from nnequiv.reach.skeleton import Skeleton
from nnequiv.relations import discrepancy_objectives
from nnequiv.sets import Box
from nnequiv.training import he_network


def test_many_boxes_in_one_complex_need_no_linear_programs():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        pair = he_network([4, 6, 5, 2], rng), he_network([4, 6, 5, 2], rng)
        boxes = [Box.around(rng.random(4), 0.2) for _ in range(3)]
        found = Skeleton().maximise_each(pair, [*boxes, boxes[0]], discrepancy_objectives(2), 1e-6, Control())
        assert [optimum.lps for optimum in found] == [0, 0, 0, 0], f"seed {seed}"
        assert found[0].lower == found[3].lower and found[0].pieces == found[3].pieces, f"seed {seed}"
