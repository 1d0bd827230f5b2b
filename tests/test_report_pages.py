"""Report pages of questions, repairs and audits: whole, self-contained, and true to the answer they are made of."""

import json
import re
from html import escape

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.cli import main
from nnequiv.report.page import interval
from tests.oracles.random_networks import random_network


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("a blank & é"), np.random.default_rng(0)
    for name, widths in (("f", (2, 5, 3)), ("g", (2, 4, 3)), ("wide", (64, 6, 10)), ("thin", (64, 5, 10))):
        nq.save(random_network(rng, widths), folder / f"{name}.npz")
    return folder


def report(files, *words) -> tuple[int, str, dict]:
    folder = files / f"report {len(list(files.iterdir()))}"
    code = main([*words, "--report", str(folder)])
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    return code, (folder / "report.html").read_text(encoding="utf-8"), json.loads((folder / "report.json").read_text())


def whole(page: str) -> None:
    assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>")
    assert "<script" not in page and not re.search(r'(src|href)="(?!data:)', page)


def test_a_discrepancy(files, capsys):
    code, page, record = report(files, "discrepancy", *(str(files / f"{n}.npz") for n in "fg"), "--box=-1:1")
    whole(page)
    found = nq.max_discrepancy(nq.load(files / "f.npz"), nq.load(files / "g.npz"), nq.Box([-1.0] * 2, [1.0] * 2))
    assert code == 0 and record["answer"]["upper"] == found.upper and interval(record["answer"]) in page
    outputs = np.array(record["outputs"]["f"]) - record["outputs"]["g"]
    assert abs(abs(outputs).max() - found.lower) < 1e-9
    assert "nnequiv discrepancy f.npz g.npz --box=-1:1" in page and str(files) not in page
    assert record["networks"]["f"]["sha256"] in page
    assert "report.html" in capsys.readouterr().out


@pytest.mark.parametrize(("epsilon", "code", "word"), [("1000", 0, "EQUIVALENT"), ("0.001", 1, "NOT_EQUIVALENT")])
def test_a_relation(files, epsilon, code, word):
    words = ["equivalent", *(str(files / f"{n}.npz") for n in "fg"), "--box=-1:1", "--epsilon", epsilon]
    found, page, record = report(files, *words)
    whole(page)
    assert (found, record["answer"]["verdict"]) == (code, word)
    assert f"<strong>{'✔' if code == 0 else '✘'} {word}</strong>" in page


def test_an_unknown_answer_says_why(files):
    words = ["discrepancy", *(str(files / f"{n}.npz") for n in "fg"), "--box=-1:1", "--time-limit", "0"]
    code, page, record = report(files, *words)
    whole(page)
    assert code == 3 and "time limit of 0 s reached" in page and "<strong>? " in page


def test_images_are_shown_as_images(files):
    words = ["discrepancy", *(str(files / f"{n}.npz") for n in ("wide", "thin")), "--box", "0:1", "--time-limit", "1"]
    _, page, record = report(files, *words)
    whole(page)
    assert (page.count("<img") >= 2) == (record["answer"]["witness"] is not None)


@pytest.mark.parametrize("method", ["sgd", "last-layer"])
def test_a_repair(files, method):
    networks = [str(files / f"{name}.npz") for name in ("wide", "thin")]
    small = ["--rounds", "1", "--sets", "3", "--free", "1", "--method", method, "--out", str(files / f"{method}.npz")]
    code, page, record = report(files, "repair", *networks, "--data", "digits", "--target", "1e6", *small)
    whole(page)
    assert code == 0 and record["repair"]["proved"] and "<strong>✔ Proved</strong>" in page
    assert list(record["networks"]) == ["f", "g", "g, repaired"]
    worst = max(entry["upper"] for entry in record["repair"]["discrepancies"])
    assert interval({"lower": worst, "upper": worst}).split(", ")[1] in page


def test_an_audit(files):
    pair = [str(files / f"{n}.npz") for n in "fg"]
    for claim, word in (("max<=1000", "CONFIRMED"), ("max<=0.001", "REFUTED")):
        code, page, record = report(files, "audit", *pair, "--box=-1:1", "--claim", claim)
        whole(page)
        assert record["audit"]["judgement"] == word and word in page and code == (word == "REFUTED")
        assert all(escape(line) in page for line in record["audit"]["evidence"])


def test_a_folder_that_cannot_be_is_refused_first(files, capsys):
    (files / "taken").write_text("")
    with pytest.raises(SystemExit, match="2"):
        main(["discrepancy", "no.npz", "no.npz", "--box", "0:1", "--report", str(files / "taken")])
    assert "no report can be written there: " in capsys.readouterr().err
