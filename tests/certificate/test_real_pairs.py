"""Certificates on ACAS Xu pairs and digits: written quickly, checked exactly."""

import time

import pytest

import nnequiv as nq
from nnequiv.certificate import check_certificate
from tests.oracles.real_pairs import acas


def certified(answer, f, g, fast: bool) -> str:
    start = time.process_time()
    proof = answer.certificate()
    written = time.process_time() - start
    report = check_certificate(proof, {"f": f, "g": g}, fast=fast)
    assert report.accepted, report.text
    nodes = len(proof.record["claims"][0]["proof"])
    return f"{nodes} nodes, written in {written:.2f} s, checked in {time.process_time() - start - written:.2f} s"


@pytest.mark.parametrize("kind", ["retrain", "student"])
def test_prop_1_within_five_hundredths_fast(kind):
    (f, g), box = acas(kind, 1)
    certified(nq.check_equivalence(f, g, box, nq.Epsilon(0.05)), f, g, fast=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["retrain", "student"])
def test_prop_1_within_five_hundredths_exactly(kind):
    (f, g), box = acas(kind, 1)
    print(certified(nq.check_equivalence(f, g, box, nq.Epsilon(0.05)), f, g, fast=False))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["retrain", "student"])
@pytest.mark.parametrize("prop", [4, 5])
def test_exact_maximum_to_a_millionth(kind, prop):
    (f, g), box = acas(kind, prop)
    print(certified(nq.max_discrepancy(f, g, box), f, g, fast=False))
