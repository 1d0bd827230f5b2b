"""Four independent ways to the same numbers on 300 pairs: stars by cvxpy and by highspy, MILP, and brute force."""

import numpy as np
import pytest

from nnequiv import Milp, Star, enumerate_pieces, max_discrepancy
from tests.oracles.brute_force import brute_force, interior_radius
from tests.oracles.random_pairs import random_pair


@pytest.mark.slow
def test_they_agree():
    for seed in range(300):
        f, g, input_set, kind = random_pair(seed)
        what = f"seed {seed}, {kind}"
        value, count = brute_force(f, g, input_set)
        found = [max_discrepancy(f, g, input_set, engine) for engine in (Star(), Star(lp="highspy"), Milp())]
        lowers = np.array([r.lower for r in found[:2]] + ([value] if np.isfinite(value) else []))
        size = max(1.0, lowers.max())
        assert np.ptp(lowers) <= 1e-6 * size, (what, lowers)
        # Where f and g differ by 1e-5 all over, HiGHS cannot tell points apart: its own tolerance is 1e-6 a row.
        assert abs(found[2].lower - lowers[0]) <= (1e-5 if lowers[0] < 1e-4 else 1e-6) * size, (what, found[2])
        assert all(r.upper >= lowers.max() - 1e-9 * max(1.0, lowers.max()) for r in found), what
        if count is None or "noise" in kind:  # pieces about as thin as what "interior" means
            continue
        for lp in ("cvxpy", "highspy"):
            radii = np.array([interior_radius(p.polytope) for p in enumerate_pieces((f, g), input_set, Star(lp=lp))])
            assert int((radii > 1e-7).sum()) == count, what
