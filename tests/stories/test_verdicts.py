"""Wrong verdicts that other tools have given, each on a network made here."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.audit.judge import Judgement, audit
from nnequiv.audit.verify import verify
from nnequiv.cli import main
from nnequiv.io.vnncomp import parse_answer
from nnequiv.io.vnnlib import parse_query
from nnequiv.network import Network
from tests.oracles.queries import query_text, relu_net
from tests.oracles.random_networks import random_network


def verdict(text: str, network: Network) -> str:
    return verify(parse_query(text), {"N": network}).verdict


def judgement(query: str, network: Network, answer: str) -> Judgement:
    return audit(parse_query(query), {"N": network}, parse_answer(answer)).judgement


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """Two networks and a query that no engine decides in this decade."""
    folder = tmp_path_factory.mktemp("endless")
    rng = np.random.default_rng(0)
    f, g = (random_network(rng, [30, 60, 60, 2]) for _ in range(2))
    nq.save(f, folder / "f.npz")
    nq.save(g, folder / "g.npz")
    (folder / "q.vnnlib").write_text(query_text([(-1, 1)] * 30, f"(>= Y_0 {f([0.0] * 30)[0] + 25})", 2))
    pair = ["equivalent", f"{folder}/f.npz", f"{folder}/g.npz", "--box=-1:1", "--epsilon", "25"]
    return {"verify": ["verify", f"{folder}/q.vnnlib", "--network", f"N={folder}/f.npz"], "equivalent": pair}


@pytest.mark.parametrize("command", ["verify", "equivalent"])
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_claims_nothing(endless, command, kill):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "nnequiv", *endless[command]]
    # A test run in the background ignores SIGINT, and so would its children.
    default = dict(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    streams = dict(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process = subprocess.Popen(words, **streams, env=environment, **default)
    time.sleep(2.0)
    process.send_signal(kill)
    out = process.communicate(timeout=60)[0].decode()
    assert process.returncode not in (0, 1)
    assert "EQUIVALENT" not in out and "sat" not in out
    assert kill is signal.SIGTERM or out == "" or out.startswith(("unknown", "UNKNOWN"))


@pytest.mark.parametrize(
    "command, limit, first", [("verify", "--timeout", "timed-out"), ("equivalent", "--time-limit", "UNKNOWN")]
)
@pytest.mark.parametrize("seconds", ["0", "0.5"])
def test_a_run_out_of_time_claims_nothing(endless, capsys, command, limit, first, seconds):
    assert main([*endless[command], limit, seconds]) == 3
    assert capsys.readouterr().out.splitlines()[0].startswith(first)


@pytest.mark.parametrize("beyond", [1e-3, 1e-5])
def test_a_counterexample_outside_its_box_is_none(beyond):
    """relu(x) reaches 2 only beyond x = 2; a tool with that tolerance says it does inside."""
    text = query_text([(-1, 2)], "(> Y_0 2)")
    assert judgement(text, relu_net(), f"sat\n((X_0 {2 + beyond}) (Y_0 {2 + beyond}))") is Judgement.REFUTED
    assert judgement(text, relu_net(), "unsat") is Judgement.CONFIRMED


def test_a_violation_that_is_only_float32_rounding():
    """1 + 2⁻³⁰ − 1 > 0 exactly; computed in float32 the outputs tie, and the tool says y0 ≤ y1 was found."""
    network = Network([([[1.0], [1.0]], [2.0**-30, 0.0])])
    text = query_text([(1, 2)], "(<= Y_0 Y_1)", 2)
    tied = float(np.float32(1 + 2.0**-30))
    assert judgement(text, network, f"sat\n((X_0 1) (Y_0 {tied}) (Y_1 1))") is Judgement.REFUTED
    assert judgement(text, network, "unsat") is Judgement.CONFIRMED


def test_strict_and_non_strict_differ_at_equality():
    at_most_two = relu_net()
    assert verdict(query_text([(-1, 2)], "(> Y_0 2)"), at_most_two) == "unsat"
    assert verdict(query_text([(-1, 2)], "(>= Y_0 2)"), at_most_two) == "sat"
    assert judgement(query_text([(-1, 2)], "(> Y_0 2)"), at_most_two, "sat\n((X_0 2) (Y_0 2))") is Judgement.REFUTED
    assert judgement(query_text([(-1, 2)], "(>= Y_0 2)"), at_most_two, "sat\n((X_0 2) (Y_0 2))") is Judgement.CONFIRMED


def test_a_contradictory_output_part_is_said_loudly(tmp_path, capsys):
    """It is unsatisfiable by any network, so ``unsat`` says nothing about this one."""
    nq.save(relu_net(), tmp_path / "f.npz")
    (tmp_path / "q.vnnlib").write_text(query_text([(-1, 2)], "(and (>= Y_0 1) (<= Y_0 -1))"))
    words = [f"{tmp_path}/q.vnnlib", "--network", f"{tmp_path}/f.npz"]
    assert main(["verify", *words]) == 0
    out, err = capsys.readouterr()
    assert out == "unsat\n" and "warning: the output part is contradictory" in err
    assert main(["audit", *words, "--claim", "unsat"]) == 0
    assert "the output part is contradictory" in capsys.readouterr().out


def test_a_tie_at_equality_is_no_difference():
    """|f − g| ≤ 1/4 holds, with equality everywhere; read as "< 1/4" it would fail."""
    f, g = relu_net(), relu_net(bias=0.25)
    exact = nq.Vertices(arithmetic="exact")
    assert nq.check_equivalence(f, g, nq.Box([0.0], [1.0]), nq.Epsilon(0.25), exact).verdict is nq.Verdict.EQUIVALENT


def test_a_difference_thinner_than_any_sample():
    """f and g differ only on an interval of length 1e-7, by 1e-3."""
    f = Network([([[0.0]], [0.0]), ([[0.0]], [0.0])])
    spike = Network([([[1.0], [1.0], [1.0]], [-0.5, -0.50000005, -0.5000001]), ([[2e4, -4e4, 2e4]], [0.0])])
    found = nq.check_equivalence(f, spike, nq.Box([0.0], [1.0]), nq.Epsilon(5e-4))
    assert found.verdict is nq.Verdict.NOT_EQUIVALENT and 0.5 < found.witness[0] < 0.5000001
