"""Checkpoints of ``verify`` and ``audit``: of queries with several searches, one after the other."""

import json

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.audit import audit_bound, verify
from nnequiv.audit.claims import Bound, bound_query
from nnequiv.cli import main
from nnequiv.io.vnnlib import parse_query
from nnequiv.reach.branch_and_bound import BranchAndBound
from tests.oracles.random_networks import random_network
from tests.test_checkpoint import Killed, killed_after, pair

F, G = pair(0, (3, 8, 8, 2))
SETS = [nq.Box([-1.0] * 3, [0.5, 1.0, 1.0]), nq.Box([-0.25] * 3, [1.0] * 3), nq.Box([-1.0] * 3, [-0.25] * 3)]
SMALL_STEPS = BranchAndBound(few=0, batch=4)
DELTA = max(found.upper for found in nq.max_discrepancies(F, G, SETS))
#: By name: a bound that is proved on all three sets, one that the last search refutes, one with strict rows.
CLAIMS = {"unsat": Bound("<=", DELTA + 1e-5), "sat": Bound(">=", DELTA - 1e-5), "strict": Bound("<", DELTA + 1e-5)}


def ask(claim: str, **options):
    query = bound_query(3, 2, SETS[1:] + SETS[:1], CLAIMS[claim])
    return verify(query, {"f": F, "g": G}, SMALL_STEPS, **options)


def facts(answer) -> dict:
    record = json.loads(answer.to_json())
    return {name: record[name] for name in record if name != "seconds"}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_killed_query_goes_on_to_the_same_answer(claim, tmp_path):
    path, whole, kills, calls = tmp_path / "state", ask(claim, checkpoint=tmp_path / "unkilled"), 0, 2
    while True:
        try:
            found = ask(claim, checkpoint=path, checkpoint_every=0.0, progress=killed_after(calls))
            break
        except Killed:
            kills, calls = kills + 1, calls + 1
    assert kills >= 2 and facts(found) == facts(whole)
    assert whole.verdict == ("sat" if claim == "sat" else "unsat")
    again = ask(claim, checkpoint=path, progress=killed_after(1))  # finished: read, not searched
    assert facts(again) == facts(whole) and again.seconds > 0.5 * found.seconds


def test_with_and_without_a_checkpoint_the_numbers_are_the_same(tmp_path):
    for claim in CLAIMS:
        assert facts(ask(claim, checkpoint=tmp_path / claim)) == facts(ask(claim))


def random_query(rng, net) -> str:
    """Three boxes, some of which overlap, and rows of both kinds whose bounds are near what the network reaches."""
    a, b = (net(rng.uniform(-1, 1, (200, 3))).max(axis=0) * rng.choice([0.98, 1.0, 1.02], size=2)).tolist()
    text = "".join(f"(declare-const X_{i} Real)" for i in range(3)) + "(declare-const Y_0 Real)(declare-const Y_1 Real)"
    text += "".join(f"(assert (>= X_{i} -1)) (assert (<= X_{i} 1))" for i in range(3))
    text += "(assert (or (<= X_0 -0.1) (and (>= X_0 0) (<= X_1 0.5)) (>= X_2 0.7)))"
    return text + f"(assert (or (>= Y_0 {a}) (> Y_1 {b}) (and (> Y_0 Y_1) (>= Y_1 {b}))))"


@pytest.mark.parametrize("seed", range(20))
def test_random_queries_stopped_at_many_steps(seed, tmp_path):
    """Unions of boxes, strict and closed conjunctions, satisfiable or not; stopped and taken up until they are done."""
    rng = np.random.default_rng(seed)
    net = random_network(rng, (3, 6, 5, 2))
    query = parse_query(random_query(rng, net))
    engine = BranchAndBound(few=0, batch=2)
    whole = verify(query, {"N": net}, engine)
    calls = 1
    while True:
        try:
            found = verify(
                query, {"N": net}, engine, checkpoint=tmp_path / "state", checkpoint_every=0.0,
                progress=killed_after(calls),
            )  # fmt: skip
            break
        except Killed:
            calls += 1 + calls // 2
    assert facts(found) == facts(whole)


def test_out_of_time_is_kept_where_it_stopped(tmp_path):
    path, whole = tmp_path / "state", ask("unsat")
    for _ in range(3):
        late = ask("unsat", checkpoint=path, time_limit=0.0)
        assert late.verdict == "timed-out" and late.upper >= whole.upper
    halves = 0
    while True:
        found = ask("unsat", checkpoint=path, time_limit=0.02)
        halves += found.verdict == "timed-out"
        if found.verdict != "timed-out":
            break
    assert halves >= 1 and facts(found) == facts(whole)


def test_ctrl_c_is_kept_where_it_stopped(tmp_path):
    def interrupt(**state):
        if state.get("nodes", 0) > 10:
            raise KeyboardInterrupt

    interrupt.interval = 0.0
    path, whole = tmp_path / "state", ask("unsat")
    for _ in range(2):
        broken = ask("unsat", checkpoint=path, checkpoint_every=0.0, progress=interrupt)
        assert broken.verdict == "unknown" and broken.reason == "interrupted" and broken.upper >= whole.upper
    assert facts(ask("unsat", checkpoint=path)) == facts(whole)


@pytest.mark.parametrize("good", range(12))
def test_a_file_that_cannot_be_written_ends_the_search_and_the_interval_holds(good, tmp_path, monkeypatch):
    whole, written = ask("unsat"), []

    def write(*_):
        written.append(_)
        if len(written) > good:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("nnequiv.checkpoint._write", write)
    found = ask("unsat", checkpoint=tmp_path / "state", checkpoint_every=0.0)
    assert found.verdict == "unknown" and found.reason.endswith("cannot be written (No space left on device)")
    assert found.lower <= whole.upper <= found.upper


def test_the_checkpoint_of_another_query_is_refused(tmp_path):
    path = tmp_path / "state"
    ask("unsat", checkpoint=path)
    with pytest.raises(ValueError, match=r"state: it is the checkpoint of another run: the query differ"):
        ask("strict", checkpoint=path)
    with pytest.raises(ValueError, match="another run: network g differ"):
        verify(bound_query(3, 2, SETS[1:] + SETS[:1], CLAIMS["unsat"]), {"f": F, "g": F}, SMALL_STEPS, checkpoint=path)
    with pytest.raises(ValueError, match="engine 'star' keeps no checkpoint"):
        audit_bound(F, G, SETS, CLAIMS["unsat"], "star", checkpoint=tmp_path / "other")


def test_on_the_command_line(tmp_path, capsys):
    for name, net in (("f", F), ("g", G)):
        nq.save(net, tmp_path / f"{name}.npz")
    words = ["audit", str(tmp_path / "f.npz"), str(tmp_path / "g.npz"), "--box=-1:1", "--claim", "max<=4"]
    words += ["--checkpoint", str(tmp_path / "state"), "--memory-limit", "900"]
    assert main(words) == 1
    first = capsys.readouterr().out
    assert main(words) == 1 and capsys.readouterr().out == first
    assert "REFUTED: max<=4.0" in first and (tmp_path / "state").exists()
    assert main([*words, "--workers", "2"]) == 1 and capsys.readouterr().out == first
    folder = ["audit", "--instances", "x.csv", "--results", "x", "--out", "y.csv", "--checkpoint", str(tmp_path / "s")]
    assert main(folder) == 2
    assert "--instances keeps its table" in capsys.readouterr().err
