"""The command ``repair``: methods, targets, labels, exit codes, files."""

import json

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.cli import main
from nnequiv.pipeline import Recipe, train_original

FEW = ("--data", "digits", "--sets", "12", "--free", "2", "--rounds", "2")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    rng = np.random.default_rng(0)
    f = train_original(nq.digits(rng), Recipe(hidden=(16,), steps=600), rng)
    nq.save(f, folder / "f.npz")
    nq.save(nq.compress(f, nq.Narrow([7])), folder / "g.npz")
    nq.save(nq.compress(f, nq.Quantize(4)), folder / "q.npz")
    return folder


def run(capsys, *words) -> tuple[int, str, str]:
    code = main(["repair", *(str(word) for word in words)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("method", ["sgd", "last-layer", "both"])
def test_every_method_writes_a_network_and_a_certificate(files, capsys, method):
    out, proof = files / "out.npz", files / "proof.json.gz"
    words = [files / "f.npz", files / "g.npz", *FEW, "--method", method, "--target", "3", "--out", out]
    code, text, _ = run(capsys, *words, "--certificate", proof)
    assert code == 0 and "proved: within 3" in text
    assert ("best last layer" in text) == (method != "sgd")
    networks = {"f": nq.load(files / "f.npz"), "after": nq.load(out)}
    assert nq.check_certificate(str(proof), networks, fast=True).accepted


def test_a_target_that_no_last_layer_reaches_is_refuted(files, capsys):
    words = [files / "f.npz", files / "g.npz", *FEW, "--sets", "60", "--target", "0.001", "--out", files / "out.npz"]
    code, text, _ = run(capsys, *words, "--method", "last-layer", "--json", files / "out.json")
    record = json.loads((files / "out.json").read_text())
    assert code == 1 and "no last layer over these hidden layers reaches it" in text
    assert record["infeasible"] and record["last_layer"]["lower_bound"] > 0.001
    assert run(capsys, *words)[0] == 3  # training may just have failed


def test_sets_of_differences(files, capsys):
    pair = files / "f.npz", files / "g.npz", *FEW, "--method", "last-layer", "--out", files / "out.npz"
    assert run(capsys, *pair, "--target", "-3:3")[0] == 0
    rows = np.vstack([np.eye(10), -np.eye(10), np.ones((1, 10))])
    (files / "o.json").write_text(json.dumps({"matrix": rows.tolist(), "bound": [3.0] * 21}))
    code, text, _ = run(capsys, *pair, "--target", files / "o.json")
    assert code == 0 and "largest violation" in text
    (files / "o.json").write_text("{")
    assert run(capsys, *pair, "--target", files / "o.json")[0] == 2


def test_labels_without_the_original(files, capsys):
    words = [files / "g.npz", "--labels", *FEW, "--target", "0.5", "--method", "both", "--out", files / "out.npz"]
    code, text, _ = run(capsys, *words)
    assert code == 0 and "labels are kept by 0.5" in text


def test_near_moves_the_last_layer_less(files, capsys):
    moved = {}
    old = nq.load(files / "g.npz").layers[-1]
    for factor in (1, 3):
        words = [files / "f.npz", files / "g.npz", *FEW, "--target", "9", "--method", "last-layer", "--near", factor]
        assert run(capsys, *words, "--out", files / "out.npz")[0] == 0
        new = nq.load(files / "out.npz").layers[-1]
        moved[factor] = np.abs(new.weight - old.weight).sum() + np.abs(new.bias - old.bias).sum()
    assert moved[3] < 0.8 * moved[1]


def test_a_grid_is_kept(files, capsys):
    words = [files / "f.npz", files / "q.npz", *FEW, "--target", "9", "--keep", "grid", "--method", "last-layer"]
    assert run(capsys, *words, "--out", files / "out.npz")[0] == 0
    old, new = nq.load(files / "q.npz").layers[-1].weight, nq.load(files / "out.npz").layers[-1].weight
    scale = np.abs(old[old != 0]).min()
    assert (old != new).any()
    np.testing.assert_allclose(new / scale, np.rint(new / scale), atol=1e-9)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["F", "--target", "1"], "1 networks are given: give F and G"),
        (["F", "G", "--labels", "--target", "1"], "give G alone with --labels"),
        (["F", "G", "--target", "one"], "box one: neither lo:hi nor"),
        (["F", "G", "--target", "-1"], "target is -1.0"),
        (["G", "--labels", "--target", "-1:1"], "with labels the target is their margin"),
        (["F", "G", "--target", "1", "--near", "1.1"], "method is 'sgd'"),
        (["F", "G", "--target", "1", "--near", "0.5", "--method", "both"], "near is 0.5"),
    ],
)
def test_bad_input_is_one_line(files, capsys, words, said):
    named = {"F": files / "f.npz", "G": files / "g.npz"}
    code, out, err = run(capsys, *[named.get(word, word) for word in words], *FEW, "--out", files / "out.npz")
    assert code == 2 and out == "" and said in err and err.count("\n") == 1


def test_data_that_do_not_exist(files, capsys):
    words = [files / "f.npz", files / "g.npz", "--target", "1", "--out", files / "out.npz", "--data", "letters"]
    code, _, err = run(capsys, *words)
    assert code == 2 and "--data is 'letters'" in err
