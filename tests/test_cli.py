"""The command line: answers, exit codes, and one line for every bad input."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.cli import COMMANDS, _joined, _parser, main


@pytest.fixture
def files(tmp_path):
    """f(x) = relu(x), g(x) = x / 2 + 1/4: they differ by at most 3/4 on [-1, 2], at x = 2."""
    f = nq.Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    g = nq.Network([([[0.5]], [0.25])])
    wide = nq.Network([(np.eye(2), np.zeros(2))])
    for name, net in (("f", f), ("g", g), ("wide", wide)):
        nq.save(net, tmp_path / f"{name}.npz")
    return tmp_path


def run(capsys, *words) -> tuple[int, str, str]:
    try:
        code = main([str(word) for word in words])
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    return code, out, err


def test_discrepancy_prints_the_interval_and_the_witness(files, capsys):
    code, out, _ = run(capsys, "discrepancy", files / "f.npz", files / "g.npz", "--box", "-1:2", "--engine", "star")
    assert code == 0
    assert out.startswith("discrepancy in [0.7")
    assert "x = [2.0]" in out


def test_json_on_standard_output_is_nothing_but_json(files, capsys):
    words = ("discrepancy", files / "f.npz", files / "g.npz", "--box", "-1:2", "--json", "-")
    code, out, _ = run(capsys, *words)
    record = json.loads(out)
    wanted = "verdict lower upper witness output pieces nodes lps seconds engine tolerance version".split()
    assert code == 0 and set(wanted) <= set(record)
    assert record["lower"] <= 0.75 <= record["upper"]


def test_json_file_is_read_back_as_the_same_answer(files, capsys):
    target = files / "answer with blanks.json"
    run(capsys, "equivalent", files / "f.npz", files / "g.npz", "--box", "-1:2", "--epsilon", "0.8", "--json", target)
    assert nq.Equivalence.from_json(target.read_text()).verdict is nq.Verdict.EQUIVALENT


@pytest.mark.parametrize(
    "words, code, verdict",
    [
        (["--epsilon", "0.76"], 0, "EQUIVALENT"),
        (["--epsilon", "0.74"], 1, "NOT_EQUIVALENT"),
        (["--epsilon", "0.76", "--time-limit", "0"], 3, "UNKNOWN"),
        (["--top1"], 0, "EQUIVALENT"),
        (["--topk", "1", "--engine", "milp"], 0, "EQUIVALENT"),
    ],
)
def test_exit_codes_of_equivalent(files, capsys, words, code, verdict):
    words = [*words, "--engine", "star"] if "--engine" not in words else words
    got, out, _ = run(capsys, "equivalent", files / "f.npz", files / "g.npz", "--box", "-1:2", *words)
    assert (got, out.split(":")[0]) == (code, verdict)


def test_regions_counts_and_lists(files, capsys):
    code, out, _ = run(capsys, "regions", files / "f.npz", "--box", "-1:2", "--list", "--engine", "star")
    assert code == 0
    assert "2 pieces of f" in out and out.count("C = ") == 2
    code, out, _ = run(capsys, "regions", files / "f.npz", files / "g.npz", "--box", "-1:2", "--json", "-")
    assert json.loads(out)["pieces"] == 2
    code, out, _ = run(capsys, "regions", files / "f.npz", files / "g.npz", "--box", "-1:2", "--workers", "2")
    assert code == 0 and "2 pieces of f - g" in out


def test_a_reader_that_leaves_is_no_error(files):
    words = [sys.executable, "-m", "nnequiv", "regions", files / "f.npz", "--box=-1:2", "--list"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait() == 3


def test_discrepancy_out_of_time_exits_3_with_a_sound_interval(files, capsys):
    words = ("discrepancy", files / "f.npz", files / "g.npz", "--box", "-1:2", "--time-limit", "0", "--json", "-")
    code, out, _ = run(capsys, *words, "--engine", "star")
    record = json.loads(out)
    assert code == 3 and record["reason"].startswith("time limit")
    assert record["lower"] <= 0.75 <= record["upper"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["discrepancy", "F", "G", "--box", "2:-1"], "lower 2.0 > upper -1.0"),
        (["discrepancy", "F", "G", "--box", "0:inf"], "inf"),
        (["discrepancy", "F", "W", "--box", "0:1"], "f has 1 inputs, but g has 2"),
        (["discrepancy", "F", "missing.npz", "--box", "0:1"], "missing.npz: cannot be read"),
        (["discrepancy", "F", "CUT", "--box", "0:1"], "cut.npz"),
        (["discrepancy", "F", "G", "--box", "0:1", "--engine", "sta"], "did you mean 'star'?"),
        (["discrepancy", "F", "G", "--box", "0:1", "--enginee", "star"], "did you mean --engine?"),
        (["discrepancy", "F", "G", "--box", "0:1", "--tolerance", "-1"], "tolerance is -1.0"),
        (["discrepancy", "F", "G", "--box", "0:1", "--workers", "0"], "--workers is 0"),
        (["discrepancy", "F", "G", "--box", "0:1", "--time-limit", "-3"], "time_limit is -3.0"),
        (["discrepancy", "F", "G", "--box", "0:1", "--json", "no/such/dir/x.json"], "no/such/dir/x.json"),
        (["discrepancy", "F", "G", "--box", "0:1", "--json", "no/two\nlines.json"], "no/two lines.json"),
        (["discrepancy", "F", "G", "--box", "0:1", "--json", "nul\0.json"], "nul"),
        (["discrepancy", "two\nlines.npz", "nul\0.npz", "--box", "0:1"], "two lines.npz"),
        (["discrepancy", "F", "nul\0.npz", "--box", "0:1"], "nul"),
        (["equivalent", "F", "G", "--box", "0:1"], "required"),
        (["equivalent", "F", "G", "--box", "0:1", "--epsilon", "-1"], "epsilon is -1.0"),
        (["equivalent", "F", "G", "--box", "0:1", "--epsilon", "x"], "--epsilon is 'x'"),
        (["equivalent", "F", "G", "--box", "0:1", "--epsilon", "1", "--margin", "1"], "--margin goes with --top1"),
        (["equivalent", "F", "G", "--box", "0:1", "--order", "0"], "--order is '0'"),
        (["equivalent", "F", "G", "--box", "0:1", "--topk", "0"], "k is 0"),
        (["regions", "F", "--box", "0:1", "--engine", "milp"], "does not list pieces"),
        (["convert", "F", "out.docx"], ".docx"),
        (["demo", "--out", "F/report"], "Not a directory"),
        (["demo", "--out", "OUT", "--target", "-1"], "target is -1.0"),
        (["demo", "--out", "OUT", "--seed", "-1"], "--seed is -1"),
        (["demo", "--out", "OUT", "--engine", "skeletton"], "did you mean 'skeleton'?"),
        (["demo", "--compress", "squeeze"], "squeeze"),
        (["repair", "F", "G", "--data", "digits", "--target", "1", "--out", "x.npz"], "digits have 64 pixels"),
        (["repair", "F", "G", "--data", "digits", "--target", "1", "--out", "no/x.npz"], "no: cannot be written"),
        (["repair", "F", "G", "--data", "digits", "--target", "1"], "--out"),
        (["frobnicate"], "frobnicate"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(files, capsys, words, said):
    (files / "cut.npz").write_bytes((files / "f.npz").read_bytes()[:100])
    named = {"F": files / "f.npz", "G": files / "g.npz", "W": files / "wide.npz", "CUT": files / "cut.npz"}
    named |= {"OUT": files / "out", "F/report": files / "f.npz" / "report"}
    code, out, err = run(capsys, *[named.get(word, word) for word in words])
    assert code == 2 and out == ""
    assert said in err and err.count("\n") == 1 and "Traceback" not in err


def test_convert_round_trip(files, capsys):
    code, out, _ = run(capsys, "convert", files / "f.npz", files / "copy.npz")
    assert code == 0 and "Network(1-1-1)" in out
    assert nq.load(files / "copy.npz").evaluate([2.0]) == 2.0


def test_every_command_has_help_with_an_example_that_parses(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in COMMANDS:
        name = command.__name__.removeprefix("add_")
        assert name in out
        code, help, _ = run(capsys, name, "--help")
        example = " ".join(help.split("example: ")[1].split())
        parsed = _parser().parse_args(_joined(shlex.split(example)[1:]))
        assert code == 0 and example.startswith(f"nnequiv {name}") and parsed.command == name


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["regions", "f.npz", "--box", "0:1", "--engin", "star"], "did you mean --engine?"),
        (["regions", "f.npz", "--box", "0:1", "--engine", "skeletn"], "skeleton"),
        (["discrepency", "f.npz", "g.npz"], "discrepancy"),
    ],
)
def test_what_is_misspelled_is_named_with_what_was_meant(capsys, words, hint):
    code, out, err = run(capsys, *words)
    assert code == 2 and out == "" and err.count("\n") == 1 and hint in err


@pytest.mark.parametrize("flag", ["--certificate", "--checkpoint"])
def test_only_json_goes_to_standard_output(files, capsys, monkeypatch, flag):
    monkeypatch.chdir(files)
    before = sorted(path.name for path in files.iterdir())
    code, out, err = run(capsys, "discrepancy", "f.npz", "g.npz", "--box", "0:1", flag, "-")
    assert code == 2 and out == "" and "cannot go to standard output" in err
    assert sorted(path.name for path in files.iterdir()) == before
