"""``nnequiv check``: exit codes and what it says."""

import argparse

import pytest

import nnequiv as nq
from nnequiv.cli.certificate import add_certificate, add_check, write_certificate
from nnequiv.cli.shared import Parser
from nnequiv.results import Discrepancy

F = nq.Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
G = nq.Network([([[1.0]], [0.5]), ([[1.0]], [0.0])])


def run(*words: str) -> int:
    parser = Parser()
    add_check(parser.add_subparsers(dest="command", parser_class=Parser))
    arguments = parser.parse_args(["check", *words])
    return arguments.run(arguments)


@pytest.fixture
def folder(tmp_path):
    nq.save(F, tmp_path / "f.npz")
    nq.save(G, tmp_path / "g.nnet")
    nq.save(G, tmp_path / "g.npz")
    nq.max_discrepancy(F, G, nq.Box([-1.0], [1.0])).certificate().save(tmp_path / "c.json.gz")
    return tmp_path


@pytest.mark.parametrize("options", [[], ["--fast"]])
def test_accepted(folder, capsys, options):
    names = ["--network", f"f={folder}/f.npz", "--network", f"g={folder}/g.npz"]
    assert run(f"{folder}/c.json.gz", *names, *options) == 0
    out = capsys.readouterr().out
    assert out.startswith("proved: ") and out.count("\n") == 1 and "max |f_i - g_i|" in out


def test_refused(folder, capsys):
    assert run(f"{folder}/c.json.gz", "--network", f"f={folder}/g.npz") == 1
    assert "refused: it is not about the network given as f" in capsys.readouterr().out
    proof = nq.Certificate.load(folder / "c.json.gz")
    del proof.record["claims"][0]["proof"][-1]
    proof.save(folder / "d.json")
    assert run(f"{folder}/d.json") == 1
    assert "is missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["no.json"], ["c.json.gz", "--network", "f"], ["c.json.gz", "--network", "f=no.npz"]]
)
def test_bad_input(folder, monkeypatch, words):
    monkeypatch.chdir(folder)
    with pytest.raises(ValueError):
        run(*words)


def test_the_option_of_the_questions(tmp_path):
    parser = argparse.ArgumentParser()
    add_certificate(parser)
    answer = nq.max_discrepancy(F, G, nq.Box([-1.0], [1.0]))
    assert write_certificate(parser.parse_args([]), answer) == []
    lines = write_certificate(parser.parse_args(["--certificate", str(tmp_path / "c.json")]), answer)
    assert len(lines) == 1 and run(str(tmp_path / "c.json")) == 0


def test_a_folder_that_is_not_there_is_refused_before_the_work(tmp_path, capsys):
    parser = Parser()
    add_certificate(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--certificate", str(tmp_path / "none" / "c.json")])
    assert "cannot be written" in capsys.readouterr().err


def test_the_time_limit_is_no_verdict(folder, capsys):
    assert run(f"{folder}/c.json.gz", "--time-limit", "0") == 3
    assert capsys.readouterr().out.startswith("stopped by the time limit")


def test_an_answer_without_a_proof_is_not_lost(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    add_certificate(parser)
    arguments = parser.parse_args(["--certificate", str(tmp_path / "c.json")])
    answer = Discrepancy.from_json(nq.max_discrepancy(F, G, nq.Box([-1.0], [1.0])).to_json())
    assert write_certificate(arguments, answer) == [] and not (tmp_path / "c.json").exists()
    assert "no certificate was written" in capsys.readouterr().err
