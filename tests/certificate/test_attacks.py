"""Forged certificates: each is refused, or what is accepted is true and its words say what it is about."""

import copy
import json

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.certificate import Statement, certify, check_certificate
from tests.certificate.mutations import is_true

F = nq.Network([([[1.0, -1.0], [0.5, 1.0]], [0.25, -0.5]), ([[1.0, 1.0], [-1.0, 0.5]], [0.0, 0.125])])
G = nq.Network([([[1.0, -1.0], [0.5, 1.0]], [0.25, -0.5]), ([[1.0, 0.75], [-1.0, 0.5]], [0.0, 0.25])])
BOX = nq.Box([-1.0, -1.0], [1.0, 1.0])


def record_of(question, input_set=BOX) -> dict:
    """A valid certificate: of a relation, or of the discrepancy of some outputs."""
    ask = nq.max_discrepancy if question is None else nq.check_equivalence
    answer = ask(F, G, input_set, **({} if question is None else {"relation": question}))
    record = answer.certificate().record
    assert check_certificate(nq.Certificate(record)).accepted
    return copy.deepcopy(record)


def refused(record, because: str = "") -> None:
    for in_floats in (False, True):
        report = check_certificate(nq.Certificate(record), fast=in_floats)
        assert not report.accepted and because in report.text, report.text


def change(path: str, value):
    """What puts a value at a path such as ``claims.0.upper``."""
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]

    def put(record):
        for key in keys:
            record = record[key]
        record[last] = value

    return put


HUGE = "0x1p+99999"

FORGED = {
    "the box is empty": change("claims.0.input_set.lower", ["0x1p+1", "-0x1p+0"]),
    "an input is missing": change("claims.0.input_set.lower", ["-0x1p+0"]),
    "a bound that overflows": change("claims.0.upper", HUGE),
    "an upper bound that is a JSON number": change("claims.0.upper", 1),
    "an upper bound that is true": change("claims.0.upper", True),
    "an upper bound of -1": change("claims.0.upper", "-0x1p+0"),
    "a lower bound that overflows": change("claims.0.lower", HUGE),
    "no networks": change("networks", {}),
    "networks in a list": change("networks", []),
    "one network only": change("claims.0.networks", ["f"]),
    "three networks": change("claims.0.networks", ["f", "g", "f"]),
    "a network that is not there": change("claims.0.networks", ["f", "h"]),
    "no claims": change("claims", []),
    "claims in an object": change("claims", {"0": 1}),
    "a claim that is null": change("claims.0", None),
    "no layers": change("networks.f.layers", []),
    "layers without end": change("networks.f.layers", [{"weight": [["0x1p+0"]], "bias": ["0x0p+0"]}] * 10_000),
    "a network without inputs": change("networks.f.layers.0.weight", [[], []]),
    "a ragged weight": change("networks.f.layers.0.weight.0", ["0x1p+0"]),
    "a bias that is too short": change("networks.f.layers.0.bias", ["0x1p+0"]),
    "an infinite weight": change("networks.f.layers.0.weight.0.0", "inf"),
    "a weight that is NaN": change("networks.f.layers.0.weight.0.0", "nan"),
    "a decimal weight": change("networks.f.layers.0.weight.0.0", "1.0"),
    "another weight": change("networks.f.layers.0.weight.0.0", "0x1.0000000000001p+0"),
    "minus zero for zero": change("networks.f.layers.1.bias.0", "-0x0.0p+0"),
    "an unknown question": change("claims.0.question.kind", "distance"),
    "no output": change("claims.0.question.outputs", []),
    "an output beyond the last, where the number 1 is": change("claims.0.question.outputs", [0, 2]),
    "output -1": change("claims.0.question.outputs", [0, -1]),
    "output 0.0": change("claims.0.question.outputs", [0, 0.0]),
    "output false": change("claims.0.question.outputs", [0, False]),
    "one output a thousand times": change("claims.0.question.outputs", [0] * 1000),
    "an epsilon too few": change("claims.0.question.epsilon", ["0x0p+0"]),
    "a negative epsilon": change("claims.0.question.epsilon", ["-0x1p+0", "0x0p+0"]),
    "more half-spaces than bounds": change("claims.0.input_set.matrix", [["0x1p+0", "0x0p+0"]]),
    "more bounds than half-spaces": change("claims.0.input_set.bound", ["0x1p+0"]),
    "no proof": change("claims.0.proof", []),
    "a proof that is null": change("claims.0.proof", None),
    "a proof that is one word": change("claims.0.proof", "leaf"),
    "one leaf": change("claims.0.proof", [["leaf", []]]),
    "a cut outside the part": change("claims.0.proof.0", ["input", 0, "0x1p+3"]),
    "a cut of input -1": change("claims.0.proof.0", ["input", -1, "0x0p+0"]),
    "a cut of input 2, where the number 1 is": change("claims.0.proof.0", ["input", 2, "0x1p+0"]),
    "a cut at a JSON number": change("claims.0.proof.0", ["input", 0, 0]),
    "a cut at nothing": change("claims.0.proof.0", ["input", 0]),
    "a cut of neuron true": change("claims.0.proof.0", ["relu", True]),
    "a node that is a number": change("claims.0.proof.0", 7),
    "a node that is empty": change("claims.0.proof.0", []),
    "a node of an unknown kind": change("claims.0.proof.0", ["assume", 0]),
    "the witness lies outside": change("claims.0.witness", ["0x1p+1", "0x0p+0"]),
    "the witness has too many inputs": change("claims.0.witness", ["0x0p+0"] * 3),
    "no witness": change("claims.0.witness", None),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged(name):
    record = record_of(None)
    FORGED[name](record)
    refused(record)


@pytest.mark.parametrize("weight", [-1, True, 1.5, "1", None, 2**52, 10**30, [1]])
def test_multipliers_are_whole_numbers_and_not_negative(weight):
    record = record_of(None)
    upper = float.fromhex(record["claims"][0]["upper"]) / 2
    for kind in ("goal", "sign", "zero", "line"):
        leaf = ["leaf", [[o, [["goal", 0, 1], [kind, 0, weight]]] for o in range(4)]]
        record["claims"][0].update(upper=upper.hex(), proof=[leaf])
        refused(record, "node 0")


@pytest.mark.parametrize("term", [["goal", 1], ["goal", -1], ["guard", 0], ["zero", 4], ["line", 2**62], ["row", 0]])
def test_terms_that_are_not_there(term):
    record = record_of(None)
    record["claims"][0].update(upper="0x1p+20", proof=[["leaf", [[0, [["goal", 0, 1], [*term, 1]]]]]])
    refused(record, "node 0")


def test_terms_alone_prove_nothing_without_a_goal():
    """What is ≥ 0 is not < 0: no leaf is empty because it says so, whatever the multipliers."""
    record = record_of(None)
    for terms in ([], [["zero", 0, 5]], [["sign", 0, 7], ["line", 1, 3]], [["goal", 0, 0]]):
        record["claims"][0].update(upper="-0x1p+0", proof=[["leaf", [[o, terms] for o in range(4)]]])
        refused(record, "node 0")


def test_a_sign_counts_only_below_a_cut():
    """z ≥ 0 of a neuron that nobody cut would prove a false bound."""
    f, g = nq.Network([([[1.0]], [0.0]), ([[1.0]], [0.0])]), nq.Network([([[0.0]], [0.0])])
    statement = Statement(("f", "g"), nq.Box([-1.0], [1.0]), (0,), upper=1.5)
    record = certify({"f": f, "g": g}, [statement]).record
    forged = [["leaf", [[0, [["goal", 0, 1], ["sign", 0, 10], ["line", 0, 10]]], [1, [["goal", 0, 1]]]]]]
    record["claims"][0].update(upper=(0.75).hex(), proof=forged)
    refused(record, "node 0: objective 0")


def test_a_neuron_cut_twice_hides_nothing():
    """The second cut of a neuron replaces the first: its parts are only larger."""
    record = record_of(None)
    claim = record["claims"][0]
    proof, upper = claim["proof"], float.fromhex(claim["upper"])
    claim["proof"] = [["relu", 0], ["relu", 0], *proof, *proof, *proof]
    assert check_certificate(nq.Certificate(record)).accepted
    claim["upper"] = (upper - 1e-3).hex()
    refused(record)


def test_a_cut_of_no_neuron_hides_nothing():
    record = record_of(None)
    claim = record["claims"][0]
    claim["proof"] = [["relu", 4], *claim["proof"], *claim["proof"]]
    assert check_certificate(nq.Certificate(record)).accepted
    claim["upper"] = (float.fromhex(claim["upper"]) - 1e-3).hex()
    refused(record)


@pytest.mark.parametrize("dealt", [[[0, 1, 2, 3]], [[], [0, 1, 2, 3]], [[0, 0, 0], [1, 2, 3, 9]]])
def test_objectives_dealt_out_are_all_to_be_proved(dealt):
    record = record_of(None)
    claim = record["claims"][0]
    for named in dealt:
        claim["proof"] = [["objectives", named], *claim["proof"], *claim["proof"]]
    assert check_certificate(nq.Certificate(record)).accepted
    claim["upper"] = (float.fromhex(claim["upper"]) - 1e-3).hex()
    refused(record)


def test_nodes_may_be_one_object():
    """In memory a tree can share its nodes; each place is checked for itself."""
    record = record_of(None)
    leaf, claim = ["leaf", []], record["claims"][0]
    claim.update(upper="0x1p+4", proof=[["input", 0, "0x0p+0"], leaf, leaf])
    assert check_certificate(nq.Certificate(record)).accepted
    claim["proof"] = [claim["proof"]]
    claim["proof"].append(claim["proof"])
    refused(record, "node 0")


def test_a_claim_cannot_contradict_itself():
    record = record_of(None)
    claim = record["claims"][0]
    claim["upper"] = float(np.nextafter(float.fromhex(claim["lower"]), -np.inf)).hex()
    refused(record)


@pytest.mark.parametrize("name", ["f\u0131", "\u0444", "f g", "f\n", "", "f" * 51, "1f"])
def test_names_that_could_deceive(name):
    record = record_of(None)
    record["networks"][name] = record["networks"].pop("f")
    record["claims"][0]["networks"] = [name, "g"]
    refused(record, "identifier")


def test_swapped_roles_are_said():
    """Top1 is not symmetric. The words name the networks as the claim does."""
    record = record_of(nq.Top1(2.5))
    text = check_certificate(nq.Certificate(record)).text
    assert "lead in g of 1 outputs over f's winner" in text
    record["claims"][0]["networks"] = ["g", "f"]
    report = check_certificate(nq.Certificate(record))
    if report.accepted:
        assert "lead in f of 1 outputs over g's winner" in report.text
        assert is_true(record["claims"][0], record["networks"])


def test_outputs_left_out_are_said():
    record = record_of(None)
    claim = record["claims"][0]
    claim["question"].update(outputs=[1], epsilon=["0x0p+0"])
    claim.update(lower=None, upper="0x1p+4", proof=[["leaf", []]])
    assert "over i in [1] <= 16.0" in check_certificate(nq.Certificate(record)).text


def test_a_network_that_no_claim_is_about():
    """Networks that are given must be those of a claim: to be in the file is not enough."""
    record = record_of(None)
    for name in ("f", "g"):
        record["networks"][f"other_{name}"] = record["networks"][name]
    record["claims"][0]["networks"] = ["other_f", "other_g"]
    certificate = nq.Certificate(record)
    assert "|other_f_i - other_g_i|" in check_certificate(certificate).text
    assert "not about the network given as f" in check_certificate(certificate, {"f": F, "g": G}).text


def test_an_empty_polytope_is_no_counterexample():
    """Of the empty set everything is true, but nothing is attained; the words name the half-spaces."""
    record = record_of(None)
    claim = record["claims"][0]
    claim["input_set"].update(matrix=[["0x1p+0", "0x0p+0"], ["-0x1p+0", "0x0p+0"]], bound=["-0x1p-1", "-0x1p-1"])
    refused(record, "does not attain")
    empty = [["leaf", [[o, [["guard", 0, 1], ["guard", 1, 1]]] for o in range(4)]]]
    claim.update(lower=None, upper="-0x1p+0", proof=empty)
    report = check_certificate(nq.Certificate(record))
    assert report.accepted and "<= -1.0, on [-1.0, 1.0] x [-1.0, 1.0] and 2 half-spaces" in report.text
    claim["input_set"]["bound"] = ["0x1p-1", "-0x1p-1"]
    refused(record, "node 0")  # the set is a single line: the same multipliers prove nothing


@pytest.mark.parametrize("place", ["claims.0.upper", "networks.f.sha256", "format"])
def test_a_name_that_stands_twice(tmp_path, place):
    """Readers of JSON differ in which of two values they take."""
    record = record_of(None)
    *keys, last = place.split(".")
    inner = record
    for key in keys:
        inner = inner[int(key) if key.isdigit() else key]
    text, once = json.dumps(record), json.dumps(last) + ": " + json.dumps(inner[last])
    assert text.count(once) == 1
    (tmp_path / "c.json").write_text(text.replace(once, f'{json.dumps(last)}: "0x1p+9", {once}'))
    assert "occurs twice" in check_certificate(tmp_path / "c.json").text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_other_encodings_say_the_same(tmp_path, encoding):
    (tmp_path / "c.json").write_text(json.dumps(record_of(None)), encoding=encoding)
    report = check_certificate(tmp_path / "c.json")
    assert report.text.startswith("proved: 0.") or not report.accepted


def test_numbers_that_are_nearly_floats():
    """Digits beyond a float are rounded where they are read, once: the claim is about the float, and prints it."""
    record = record_of(None)
    record["claims"][0].update(lower=None, upper="0x1.00000000000000000001p+4", proof=[["leaf", []]])
    assert "<= 16.0, on" in check_certificate(nq.Certificate(record)).text


def test_tiny_and_huge_weights():
    """Exponents at both ends of the floats: whole numbers of thousands of bits, and nothing is lost."""
    f = nq.Network([([[2.0**1000]], [0.0]), ([[2.0**-1000]], [0.0])])
    g = nq.Network([([[2.0**-1000]], [0.0]), ([[2.0**1000]], [0.0])])
    statement = Statement(("f", "g"), nq.Box([-1.0], [1.0]), (0,), lower=0.0, witness=[1.0])
    record = certify({"f": f, "g": g}, [statement]).record
    record["claims"][0].update(upper="0x1p-1", proof=[["leaf", []]])  # both are relu(x): each is relaxed by a half
    assert check_certificate(nq.Certificate(record)).accepted
    record["claims"][0].update(upper=float(np.nextafter(0.5, 0.0)).hex())
    refused(record, "node 0")
