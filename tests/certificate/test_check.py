"""The checker by itself: its arithmetic, its questions, what it refuses, and that it stands alone."""

import ast
import copy
import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.certificate import Statement, certify, check, check_certificate, fast
from nnequiv.rounding import evaluate_exact
from tests.certificate.mutations import nested, objectives_of
from tests.oracles.random_pairs import random_pair

SOURCE, FAST = Path(check.__file__), Path(fast.__file__)


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


def test_it_has_fewer_than_three_hundred_lines():
    assert len(SOURCE.read_text().splitlines()) < 300


#: Runs a program of this folder, with nothing of the package to be had.
ALONE = """
import runpy, sys
sys.modules["nnequiv"] = None
sys.path.insert(0, ".")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_alone(folder: Path, *words: str):
    command = [sys.executable, "-I", "-c", ALONE, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("sources", [[SOURCE], [SOURCE, FAST]], ids=["check.py", "fast.py"])
def test_a_copy_runs_alone(tmp_path, sources):
    for source in sources:
        (tmp_path / source.name).write_text(source.read_text())
    nq.Certificate(simple_record()).save(tmp_path / "c.json.gz")
    done = run_alone(tmp_path, sources[-1].name, "c.json.gz")
    assert done.returncode == 0 and done.stdout.startswith("proved: 0.25 <= max |f_i - g_i|"), done.stderr
    false = simple_record()
    false["claims"][0]["upper"] = (0.2).hex()
    nq.Certificate(false).save(tmp_path / "false.json")
    done = run_alone(tmp_path, sources[-1].name, "false.json")
    assert done.returncode == 1 and done.stdout.startswith("refused: claim 0: node "), done.stderr


def test_the_copy_is_a_script_of_its_own(tmp_path):
    """As the docstring says: one file in an empty folder, an interpreter that looks nowhere else."""
    (tmp_path / "check.py").write_text(SOURCE.read_text())
    (tmp_path / "c.json").write_text(json.dumps(simple_record()))
    command = [sys.executable, "-I", "check.py", "c.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("proved: "), done.stderr


def rows_of(form) -> tuple[list, list]:
    """The rows of a form as fractions, by the numbers of their e, and the errors."""
    table, columns, last = form
    unit = Fraction(1, 2**last) if isinstance(last, int) else 1
    errors = [Fraction(0)] * len(table) if isinstance(last, int) else [Fraction(v) for v in last]
    numbers = columns.tolist()
    return [{k: Fraction(v) * unit for k, v in zip(numbers, row, strict=True)} for row in table], errors


def check_form(form, values, e: dict, where: str) -> None:
    """Each value is what its row says, for e of which the new ones are chosen to fit best."""
    rows, errors = rows_of(form)
    for row, value, error in zip(rows, values, errors, strict=True):
        new = [k for k in row if k not in e and row[k]]
        rest = value - sum(row[k] * e[k] for k in row if k in e)
        assert len(new) <= 1, where
        for k in new:
            e[k] = min(max(rest / row[k], Fraction(-1)), Fraction(1))
            rest -= row[k] * e[k]
        assert abs(rest) <= error, where
    for k in form[1].tolist():
        e.setdefault(k, Fraction(0))


@pytest.mark.parametrize("kind", [check.Leaf, fast.Fast])
@pytest.mark.parametrize("seed", range(16))
def test_forms_contain_every_value(kind, seed):
    """An input fixes its e; each relaxed ReLU then has an e of its own, which must be in [−1, 1]."""
    rng = np.random.default_rng(seed)
    f, _, input_set, name = random_pair(seed)
    box = input_set.box
    layers = [check.augmented(w.weight.tolist(), w.bias.tolist(), w.n_in) for w in f.layers]
    pairs = list(zip(box.lower.tolist(), box.upper.tolist(), strict=True))
    for point in [*box.sample(rng, 5), box.lower, box.upper]:
        leaf = kind([], pairs, {})
        form, known = leaf.inputs(pairs)
        e = {0: Fraction(1)}
        check_form(form, [*map(Fraction, point.tolist()), Fraction(1)], e, f"seed {seed}, {name}, inputs")
        for k, matrix in enumerate(map(kind.matrix, layers)):
            z = leaf.affine(matrix, form)
            values = [*evaluate_exact(nq.Network(f.layers[: k + 1]), point), Fraction(1)]
            check_form(z, values, e, f"seed {seed}, {name}, layer {k}")
            if k < len(layers) - 1:
                form, known = leaf.relu(z, *leaf.interval(matrix, *known))
                check_form(form, [max(v, Fraction(0)) for v in values], e, f"seed {seed}, {name}, ReLU {k}")
        assert not leaf.empty


@pytest.mark.parametrize("m", [1, 2, 4])
def test_questions_mean_what_the_library_means(m):
    hexadecimal = [(0.1 * i).hex() for i in range(m)]
    questions = [{"kind": "difference", "outputs": list(range(m)), "epsilon": hexadecimal}]
    questions += [{"kind": "winner", "k": k, "margin": "0x0.0p+0"} for k in (1, 2, 3)]
    questions += [{"kind": "winner", "k": 1, "margin": "0x1.8p-1"}]
    questions += [{"kind": "order", "i": 0, "j": m - 1}] if m > 1 else []
    for question in questions:
        _, ours = check.objectives(question, m, "f", "g")
        theirs = objectives_of(question, m)
        assert len(ours) == len(theirs), question
        for (goals, guards), objective in zip(ours, theirs, strict=True):
            for rows, matrix, offset in (
                (goals, objective.goal, objective.goal_offset),
                (guards, objective.guard, objective.guard_offset),
            ):
                dense = np.zeros((len(rows), 2 * m))
                for k, (_, terms) in enumerate(rows):
                    for factor, side, i in terms:
                        dense[k, side * m + i] += factor
                np.testing.assert_array_equal(dense, matrix, err_msg=str(question))
                assert [float(row[0]) for row in rows] == offset.tolist(), question


@pytest.mark.parametrize("seed", range(8))
def test_the_children_of_a_cut_cover_it(seed):
    """Every point of a part, those on the cut included, is in one of the two parts."""
    rng = np.random.default_rng(seed)
    box = [(-1.0, 2.0), (0.0, 0.0), (-0.0, 1.0)]
    i = int(rng.integers(3))
    at = float(rng.choice([*box[i], rng.uniform(*box[i])]))
    children = check.children(["input", i, at.hex()], box, {}, [0, 1])
    points = [[rng.uniform(*ends) for ends in box] for _ in range(50)]
    for point in points + [[*p[:i], at, *p[i + 1 :]] for p in points]:
        inside = [all(a <= v <= b for (a, b), v in zip(part[0], point, strict=True)) for part in children]
        assert any(inside), f"seed {seed}, {point}"
    assert all(part[1:] == ({}, [0, 1]) for part in children)


def test_objectives_are_dealt_out_and_none_is_lost():
    first, second = check.children(["objectives", [1, 7]], [(0.0, 1.0)], {}, [0, 1, 2])
    assert first[2] == [1] and second[2] == [0, 2]
    assert [part[1] for part in check.children(["relu", 3], [(0.0, 1.0)], {0: 1}, [0])] == [{0: 1, 3: -1}, {0: 1, 3: 1}]


def refused(record, because: str) -> None:
    for in_floats in (False, True):
        report = check_certificate(nq.Certificate(record), fast=in_floats)
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
        (lambda r: r["claims"][0].update(witness=[(1.5).hex()]), "outside the box"),
        (lambda r: r["claims"][0].update(lower=None, upper=None), "nothing is claimed"),
        (lambda r: r.update(claims=[]), "nothing is claimed"),
        (lambda r: r.update(format="nnequiv certificate 1"), "format"),
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
        (b'{"format": NaN}', "format"),
        (b'{"format": 1e999}', "format"),
        (b'{"format": ' + b"9" * 3_000_000 + b"}", "format"),
        (b'{"format": "nnequiv certificate 2"}', "claims"),
        (b"[1, 2]", "list"),
        (b"\xff\xfe", ""),
        (b"\x1f\x8bno", ""),
    ],
)
def test_files_that_are_no_certificates(tmp_path, text, because):
    (tmp_path / "c.json").write_bytes(text)
    report = check_certificate(tmp_path / "c.json")
    assert not report.accepted and because in report.text, report.text


@pytest.mark.parametrize("start", [b'{"format": ', b"[" * 1000])
def test_a_gigabyte_in_a_small_file_takes_little_memory(tmp_path, start):
    """A zip bomb: refused by its size, after no more than the limit has been read."""
    with gzip.open(tmp_path / "c.json.gz", "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(1000):
            file.write(b"9" * 1_000_000)
    assert os.path.getsize(tmp_path / "c.json.gz") < 10_000_000
    tracemalloc.start()
    try:
        assert "too large" in check_certificate(tmp_path / "c.json.gz").text
        assert tracemalloc.get_traced_memory()[1] < 4 * check.MOST_BYTES
    finally:
        tracemalloc.stop()


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
