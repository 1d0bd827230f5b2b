"""The public interface as a caller with a type checker sees it: read by mypy, and run, in ``tests/test_typing.py``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import nnequiv as nq


def networks() -> tuple[nq.Network, nq.Compressed]:
    f = nq.Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    return f, nq.compress(f, nq.Prune(0.5))


def questions(f: nq.Network, g: nq.Network, box: nq.Box) -> tuple[float, nq.Verdict]:
    found: nq.Discrepancy = nq.max_discrepancy(f, g, box, engine=nq.BranchAndBound(batch=16), tolerance=1e-6)
    answer: nq.Equivalence = nq.check_equivalence(f, g, box, nq.Epsilon(0.5), engine="auto", time_limit=60.0)
    many: list[nq.Discrepancy] = nq.max_discrepancies(f, g, [box, box], nq.Skeleton())
    upper: float = max(one.upper for one in many)
    assert found.lower <= upper and isinstance(found.to_json(), str)
    return found.upper, answer.verdict


def matrices(h: nq.Network, box: nq.Box) -> Iterator[np.ndarray]:
    for piece in nq.enumerate_pieces(h, box, engine=nq.Star(lp="highspy")):
        yield piece.matrix


def repaired(f: nq.Network, g: nq.Compressed, box: nq.Box) -> bool:
    out: nq.Repair = nq.repair(f, g, [box], target=0.5, rng=np.random.default_rng(0), rounds=1, steps=10)
    best: nq.LastLayer = nq.best_last_layer(f, g, [box])
    assert best.upper >= best.lower_bound
    return out.proved


def certified(f: nq.Network, g: nq.Network, box: nq.Box) -> bool:
    certificate: nq.Certificate = nq.max_discrepancy(f, g, box).certificate()
    return nq.check_certificate(certificate).accepted


def main() -> None:
    f, g = networks()
    box = nq.Box([-1.0], [2.0])
    upper, verdict = questions(f, g, box)
    assert upper >= 1.0 and verdict is nq.Verdict.NOT_EQUIVALENT
    assert [m.shape for m in matrices(nq.merge(f, g), box)] == [(1, 1), (1, 1)]
    assert repaired(f, g, box) in (True, False)
    assert certified(f, g, box)


if __name__ == "__main__":
    main()
