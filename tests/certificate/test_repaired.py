"""The certificate of a repair: a tree for every input set, before and after."""

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.certificate import NotProved, check_certificate
from nnequiv.certificate.repaired import certify_repair
from nnequiv.training import he_network

SETS = [nq.Box([-1.0, -1.0], [0.0, 0.0]), nq.Box([0.0, 0.0], [1.0, 1.0]), nq.Box([-0.5, 0.2], [0.5, 0.2])]


@pytest.fixture(scope="module")
def repaired():
    rng = np.random.default_rng(0)
    f = nq.Network(
        (layer.weight, 0.3 * rng.standard_normal(layer.n_out)) for layer in he_network((2, 6, 5, 2), rng).layers
    )
    g = nq.compress(f, nq.Quantize(3))
    return f, nq.repair(f, g, SETS, target=0.5, rounds=6, steps=150, batch=16, rng=np.random.default_rng(0))


def test_before_and_after_are_proved_on_every_set(repaired):
    f, out = repaired
    proof = out.certificate()
    assert check_certificate(proof, {"f": f, "after": out.network}, fast=True).accepted
    report = check_certificate(proof, {"f": f, "after": out.network})
    assert report.accepted, report.text
    claims = proof.record["claims"]
    assert [claim["networks"] for claim in claims] == [["f", "before"]] * 3 + [["f", "after"]] * 3
    assert all(float.fromhex(claim["upper"]) == 0.5 for claim in claims[3:])
    before = max(float.fromhex(claim["lower"]) for claim in claims[:3])
    assert 0.5 < out.history[0].worst[0] * (1 - 1e-9) <= before


def test_a_target_that_is_not_met_is_not_certified(repaired):
    _, out = repaired
    with pytest.raises(NotProved):
        certify_repair(out.history[0].discrepancies, out.history[0].discrepancies, out.history[0].worst[0] / 2)


def test_answers_from_json_hold_too_little(repaired):
    _, out = repaired
    read = [nq.max_discrepancy(*repaired[:1], out.network, SETS[0]).from_json(out.discrepancies[0].to_json())]
    with pytest.raises(ValueError, match="JSON"):
        certify_repair(read, [], 1.0)
