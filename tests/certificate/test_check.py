"""The checker by itself: its arithmetic, its questions, what it refuses, and that it stands alone."""

import ast
import copy
import gzip
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.certificate import Statement, certify, check, check_certificate
from nnequiv.certificate.fast import Fast
from nnequiv.rounding import evaluate_exact
from tests.certificate.mutations import nested, objectives_of
from tests.oracles.random_pairs import random_pair

SOURCE = Path(check.__file__)


def simple_record() -> dict:
    f, g = nq.Network([([[1.0]], [0.0]), ([[1.0]], [0.0])]), nq.Network([([[0.5]], [0.25])])
    statement = Statement(("f", "g"), nq.Box([-1.0], [1.0]), (0,), lower=0.25, witness=[-1.0], upper=0.3)
    return certify({"f": f, "g": g}, [statement]).record


def test_it_imports_the_standard_library_and_numpy_only():
    allowed = {*sys.stdlib_module_names, "numpy"}
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] in allowed for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module.split(".")[0] in allowed


def test_it_has_fewer_than_three_hundred_lines_of_code():
    text, documented = SOURCE.read_text(), set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            documented |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = [line.strip() for i, line in enumerate(text.splitlines(), 1) if i not in documented]
    assert len([line for line in lines if line and not line.startswith("#")]) < 300


def test_it_runs_alone(tmp_path):
    (tmp_path / "check.py").write_text(SOURCE.read_text())
    (tmp_path / "c.json").write_text(json.dumps(simple_record()))
    command = "import check; print(check.check('c.json').accepted)"
    done = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize(
    "arithmetic", [check.Exact(64), check.Exact(300), Fast(0)], ids=["64 bits", "300 bits", "fast"]
)
@pytest.mark.parametrize("seed", range(12))
def test_forms_contain_every_value(arithmetic, seed):
    """An input fixes the input's e; each relaxed ReLU then has an e of its own, which must be in [−1, 1]."""
    rng = np.random.default_rng(seed)
    f, _, input_set, kind = random_pair(seed)
    box = input_set.box
    layers = [arithmetic.matrix([*np.c_[w.weight, w.bias].tolist(), [0.0] * w.n_in + [1.0]]) for w in f.layers]
    x = arithmetic.box(box.lower.tolist(), box.upper.tolist())
    unit = Fraction(1, 2 ** getattr(arithmetic, "bits", 0))

    def exactly(values):
        return [Fraction(v) * unit for v in values]

    for point in box.sample(rng, 5):
        e = {}
        for row, size, column in zip(*x.single, x.columns, strict=True):
            e[column] = (Fraction(point[row]) - exactly([x.center[row]])[0]) / exactly([size])[0]
        form, values = x, [*map(Fraction, point.tolist()), Fraction(1)]
        for k, matrix in enumerate(layers):
            form = arithmetic.affine(matrix, form)
            layer = nq.Network(f.layers[: k + 1])
            values = [*evaluate_exact(layer, point), Fraction(1)]
            check_form(form, values, e, exactly, f"seed {seed}, {kind}, layer {k}")
            lower, upper = arithmetic.range(form)
            assert all(a <= v <= b for a, v, b in zip(exactly(lower), values, exactly(upper), strict=True))
            if k < len(layers) - 1:
                after = arithmetic.relu(form, lower, upper, 100 * (k + 1))
                values = [max(v, Fraction(0)) for v in values]
                choose_errors(after, values, e, exactly)
                check_form(after, values, e, exactly, f"seed {seed}, {kind}, ReLU {k}")
                form = after


def choose_errors(form, values, e, exactly):
    """The e of each new generator that fits the value best."""
    count = form.generators.shape[1]
    for row, size, column in zip(*form.single, form.columns[count:], strict=True):
        known = sum(g * e[c] for g, c in zip(exactly(form.generators[row]), form.columns, strict=False))
        best = (values[row] - exactly([form.center[row]])[0] - known) / exactly([size])[0]
        e[column] = min(max(best, Fraction(-1)), Fraction(1))


def check_form(form, values, e, exactly, where):
    assert all(abs(v) <= 1 for v in e.values())
    count = form.generators.shape[1]
    for i, value in enumerate(values):
        terms = sum(g * e[c] for g, c in zip(exactly(form.generators[i]), form.columns, strict=False))
        terms += (
            sum(s * e[c] for r, s, c in zip(*map(list, form.single), form.columns[count:], strict=True) if r == i)
            * exactly([1])[0]
        )
        assert abs(value - exactly([form.center[i]])[0] - terms) <= exactly([form.error[i]])[0], where


@pytest.mark.parametrize("m", [1, 2, 4])
def test_questions_mean_what_the_library_means(m):
    hexadecimal = [(0.1 * i).hex() for i in range(m)]
    questions = [{"kind": "difference", "outputs": list(range(m)), "epsilon": hexadecimal}]
    questions += [{"kind": "winner", "k": k, "margin": "0x0.0p+0"} for k in (1, 2, 3)]
    questions += [{"kind": "winner", "k": 1, "margin": "0x1.8p-1"}]
    questions += [{"kind": "order", "i": 0, "j": m - 1}] if m > 1 else []
    for question in questions:
        _, ours = check.objectives(question, m)
        theirs = objectives_of(question, m)
        assert len(ours) == len(theirs), question
        for (goals, guards), objective in zip(ours, theirs, strict=True):
            for rows, matrix, offset in (
                (goals, objective.goal, objective.goal_offset),
                (guards, objective.guard, objective.guard_offset),
            ):
                dense = np.zeros((len(rows), 2 * m))
                for k, (_, terms) in enumerate(rows):
                    for side, i, factor in terms:
                        dense[k, side * m + i] += factor
                np.testing.assert_array_equal(dense, matrix, err_msg=str(question))
                assert [float(row[0]) for row in rows] == offset.tolist(), question


def refused(record, because: str) -> None:
    for fast in (False, True):
        report = check_certificate(nq.Certificate(record), fast=fast)
        assert not report.accepted and because in report.text, report.text


def test_a_valid_certificate_says_what_it_proves():
    report = check_certificate(nq.Certificate(simple_record()))
    assert report.accepted
    assert report.text.startswith("proved: 0.25 <= max |f_i - g_i| over i in [0] <= 0.3, on [-1.0, 1.0] (f ")


def test_the_first_node_that_fails_is_named():
    record = simple_record()
    record["claims"][0]["upper"] = (0.2).hex()
    refused(record, "claim 0: node")
    record["claims"][0]["proof"] = [["leaf", []], ["leaf", []]]
    record["claims"][0]["upper"] = (9.0).hex()
    refused(record, "claim 0: node 1: no part is left for it")
    record["claims"][0]["proof"] = [["input", 0, "0x0p+0"], ["leaf", []]]
    refused(record, "claim 0: node 2 is missing")


@pytest.mark.parametrize(
    "change, because",
    [
        (lambda r: r["claims"][0].update(lower=(0.26).hex()), "does not attain"),
        (lambda r: r["claims"][0].update(witness=[(1.5).hex()]), "outside"),
        (lambda r: r["claims"][0].update(lower=None, upper=None), "nothing is claimed"),
        (lambda r: r.update(claims=[]), "nothing is claimed"),
        (lambda r: r.update(bits=10**9), "bits"),
        (lambda r: r["networks"]["g"].update(sha256="0" * 64), "SHA-256"),
        (lambda r: r["networks"]["g"]["layers"][0]["bias"].__setitem__(0, "nan"), "hexadecimal"),
        (lambda r: r["networks"]["g"]["layers"][0]["bias"].__setitem__(0, "0x1p+1024"), "large"),
        (lambda r: r["claims"][0]["proof"].insert(0, ["input", 0, "0x1p+1"]), "node 0: the value is outside"),
        (lambda r: r["claims"][0].update(proof=nested(100_000)), "node 0"),
        (lambda r: r["claims"][0]["question"].update(kind="winner", k=999, margin="0x0p+0"), ""),
    ],
)
def test_refusals(change, because):
    record = simple_record()
    change(record)
    if because:
        refused(record, because)
    else:
        assert isinstance(check_certificate(nq.Certificate(record)).text, str)


@pytest.mark.parametrize(
    "text, because",
    [
        (b"", "Expecting value"),
        (b"[" * 200_000 + b"]" * 200_000, "recursion"),
        (b'{"format": NaN}', "hexadecimal"),
        (b'{"format": 1e999}', "hexadecimal"),
        (b'{"bits": ' + b"9" * 3_000_000 + b"}", "short whole number"),
        (b'{"format": "nnequiv certificate 1"}', "networks"),
        (b"[1, 2]", "list"),
        (b"\xff\xfe", ""),
        (b"\x1f\x8bno", ""),
    ],
)
def test_files_that_are_no_certificates(tmp_path, text, because):
    (tmp_path / "c.json").write_bytes(text)
    report = check_certificate(tmp_path / "c.json")
    assert not report.accepted and because in report.text, report.text


def test_a_file_of_endless_zeros_is_refused_by_size(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "MOST_BYTES", 1000)
    with gzip.open(tmp_path / "c.json.gz", "wb") as file:
        file.write(b"0" * 5000)
    assert "too large" in check_certificate(tmp_path / "c.json.gz").text


def test_a_missing_file_is_a_refusal():
    assert "No such file" in check_certificate("no such file.json").text


def test_networks_that_are_given_must_be_the_ones():
    record, f = simple_record(), nq.Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    other = nq.Network([([[1.0]], [0.0]), ([[1.0]], [2.0**-1074])])
    certificate = nq.Certificate(record)
    assert check_certificate(certificate, {"f": f}).accepted
    assert "it is not about the network given as f" in check_certificate(certificate, {"f": other}).text
    assert "it is not about the network given as h" in check_certificate(certificate, {"h": f}).text


def test_progress_is_told_after_every_node():
    record, seen = simple_record(), []
    check_certificate(nq.Certificate(record), progress=lambda done, total: seen.append((done, total)))
    total = len(record["claims"][0]["proof"])
    assert seen == [(k + 1, total) for k in range(total)]


def test_checking_does_not_change_the_record():
    record = simple_record()
    before = copy.deepcopy(record)
    check_certificate(nq.Certificate(record))
    assert record == before
