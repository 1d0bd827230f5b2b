"""Claims of other tools: true ones confirmed, false ones refuted with the evidence, and the table of many."""

import gzip
import json
from fractions import Fraction

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.audit.claims import Bound
from nnequiv.audit.folder import Row, Table, audit_instances, read_table
from nnequiv.audit.judge import Audit, Judgement, audit, audit_bound
from nnequiv.audit.replay import Replay
from nnequiv.audit.verify import Verification
from nnequiv.cli import main
from nnequiv.io.vnncomp import Answer, format_answer, parse_answer
from nnequiv.io.vnnlib import parse_query
from nnequiv.network import Network
from nnequiv.reach.vertices import Vertices
from nnequiv.relations import discrepancy_objectives
from nnequiv.rounding import evaluate_exact
from nnequiv.sets import Box
from tests.oracles.queries import pair_text, query_text, relu_net
from tests.oracles.random_networks import random_network
from tests.oracles.random_pairs import random_pair

CONFIRMED, REFUTED, UNDECIDED = Judgement.CONFIRMED, Judgement.REFUTED, Judgement.UNDECIDED


# fifty true and fifty false answers


def small_pair(seed: int):
    """A pair, its box, and its exact discrepancy with the rational input where it is attained."""
    rng = np.random.default_rng(seed)
    f = random_network(rng, [2, int(rng.integers(2, 5)), 1])
    g = random_network(rng, [2, int(rng.integers(2, 5)), int(rng.integers(2, 4)), 1])
    box = Box([-1.0, 0.0], [1.0, 1.0])
    exact, point = Vertices("exact").exact_optimum((f, g), box, discrepancy_objectives(1))
    return f, g, box, exact, np.array([float(v) for v in point])


def answers(seed: int):
    """Query, networks, and two true and two false answers for it."""
    f, g, box, exact, point = small_pair(seed)
    gap = Fraction(float(abs(f(point) - g(point))[0]))
    assert abs(gap - exact) < 1e-9, seed  # rounding the point moves the gap by no more
    below, above = float(exact) * (1 - 1e-6), float(exact) * (1 + 1e-6)
    texts = [
        pair_text(
            [(float(low), float(high)) for low, high in zip(box.lower, box.upper, strict=True)],
            f"(or (>= (- Y_f[0] Y_g[0]) {e!r}) (<= (- Y_f[0] Y_g[0]) {-e!r}))",
        )
        for e in (below, above)
    ]
    differ, agree = (parse_query(text) for text in texts)
    outputs = [f(point), g(point)]
    found = parse_answer(format_answer(differ, "sat", [point, point], outputs))
    outside = point + np.where(point >= box.center, 1e-3, -1e-3) + 0.0
    outside = np.where((point == box.lower) | (point == box.upper), outside, box.upper + 1e-3)
    moved = parse_answer(format_answer(differ, "sat", [outside, outside], [f(outside), g(outside)]))
    networks = {"f": f, "g": g}
    true = [(differ, found), (agree, Answer("unsat", {}))]
    false = [(agree, found), (differ, Answer("unsat", {})), (differ, moved)]
    return networks, true, false


@pytest.mark.parametrize("seed", range(25))
def test_true_answers_are_confirmed_and_false_ones_refuted(seed):
    pytest.importorskip("vnnlib")
    networks, true, false = answers(seed)
    for query, answer in true:
        assert audit(query, networks, answer).judgement is CONFIRMED, seed
    for query, answer in false:
        assert audit(query, networks, answer).judgement is REFUTED, seed


@pytest.mark.parametrize("seed", range(24))
def test_claimed_bounds_on_degenerate_pairs_down_to_the_last_bit(seed):
    f, g, input_set, _ = random_pair(seed)
    exact = Vertices("exact").exact_maximum((f, g), input_set, discrepancy_objectives(f.n_outputs))
    for value in (float(exact), np.nextafter(float(exact), 9e9), float(exact) / 2 - 0.1):
        truths = {"<=": exact <= value, "<": exact < value, ">=": exact >= value, ">": exact > value}
        for relation, truth in truths.items():
            found = audit_bound(f, g, [input_set], Bound(relation, float(value)))
            assert found.judgement is (CONFIRMED if truth else REFUTED), (seed, relation, value)


# replay


def square(text: str, *, unsafe="(>= Y_0 1)", network=None, box=((0, 2), (0, 2))) -> Audit:
    query = parse_query(query_text(list(box), unsafe))
    network = Network([([[1.0, 1.0]], [-1.0]), ([[1.0]], [0.0])]) if network is None else network
    return audit(query, {"N": network}, parse_answer(text))


@pytest.mark.parametrize(
    "text, judgement, said",
    [
        ("sat\n((X_0 1) (X_1 2) (Y_0 2))", CONFIRMED, "margin 1"),
        ("sat\n((X_0 1) (X_1 2))", CONFIRMED, "margin 1"),
        ("sat\n((X_0 1) (X_1 1) (Y_0 1))", CONFIRMED, "on the border"),
        ("sat\n((X_0 1) (X_1 0.9999999) (Y_0 1))", REFUTED, "not in the unsafe set: margin -1"),
        ("sat\n((X_0 1) (X_1 2.001) (Y_0 2.001))", REFUTED, "outside the input set by 0.001"),
        ("sat\n((X_0 1) (X_1 2.000001) (Y_0 2.000001))", REFUTED, "outside the input set by 1e-06"),
        ("sat\n((X_0 1) (X_1 2.0000001) (Y_0 2.0))", CONFIRMED, "float32 rounding"),
        ("sat\n((X_0 -1e-9) (X_1 2) (Y_0 1))", REFUTED, "outside the input set by 1e-09"),
        ("sat\n((X_0 1) (X_1 2) (Y_0 2.0001))", CONFIRMED, "differ from the exact ones by at most 0.0001"),
        ("sat\n((X_0 1) (X_1 2) (Y_0 2.1))", REFUTED, "are not the networks'"),
        ("sat", CONFIRMED, "satisfied at"),
        ("unsat", REFUTED, "satisfied at"),
        ("holds", REFUTED, "satisfied at"),
        ("timeout", UNDECIDED, "claims nothing"),
        ("unknown", UNDECIDED, "claims nothing"),
    ],
)
def test_one_counterexample(text, judgement, said):
    """y = relu(x0 + x1 − 1) ≥ 1 on [0, 2]²."""
    found = square(text)
    assert found.judgement is judgement and said in "; ".join(found.evidence), found


def test_replay_of_two_networks_whose_inputs_should_be_equal():
    pytest.importorskip("vnnlib")
    query = parse_query(pair_text([(0.0, 2.0)], "(> (- Y_f[0] Y_g[0]) 0.5)"))
    text = "sat\nX_f real [1]\n2\nY_f real [1]\n2\nX_g real [1]\n{}\nY_g real [1]\n{}\n"
    networks = {"f": relu_net(), "g": relu_net(0.5)}
    assert audit(query, networks, parse_answer(text.format(2, 1))).judgement is CONFIRMED
    cheat = audit(query, {"f": relu_net(), "g": relu_net()}, parse_answer(text.format(1, 1)))
    assert cheat.judgement is REFUTED and cheat.replay.outside_by == 1.0 and cheat.replay.margin == 0.5


def test_distance_to_a_polytope_is_along_its_normal():
    text = query_text([(0, 2), (0, 2)], "(>= Y_0 1)") + "(assert (<= (+ X_0 X_1) 3))"
    network = Network([([[1.0, 1.0]], [-1.0])])
    found = audit(parse_query(text), {"N": network}, parse_answer("sat\n((X_0 2) (X_1 2))"))
    assert found.judgement is REFUTED and found.replay.outside_by == pytest.approx(1 / np.sqrt(2))


def test_wrong_unsat_is_refuted_by_a_rational_input():
    found = square("unsat", unsafe="(= Y_0 1)", network=Network([([[3.0, 0.0]], [0.0])]))
    assert found.judgement is REFUTED and "1/3" in found.evidence[0]


def test_out_of_time_is_undecided_and_says_what_is_known():
    network = random_network(np.random.default_rng(0), [6, 30, 30, 1])
    query = parse_query(query_text([(-1, 1)] * 6, "(>= Y_0 3)"))
    found = audit(query, {"N": network}, Answer("unsat", {}), time_limit=0.0)
    assert found.judgement is UNDECIDED and "timed-out" in found.evidence[0] and "proved to be in" in found.evidence[1]


@pytest.mark.parametrize("text", ["sat\n((X_0 1) (X_1 2) (Y_0 2))", "unsat", "sat\n((X_0 1) (X_1 2))"])
def test_json_round_trip(text):
    found = square(text)
    assert Audit.from_json(found.to_json()) == found
    if found.replay is not None:
        assert Replay.from_json(found.replay.to_json()) == found.replay


def test_claims_are_read_or_refused():
    assert Bound.parse(" max>=.5e1 ") == Bound(">=", 5.0)
    for text in ("max=1", "max<=", "max<=nan", "min<=1", "max<=1e999", "0.05"):
        with pytest.raises(ValueError, match="is not of the form"):
            Bound.parse(text)


# the command


@pytest.fixture
def files(tmp_path):
    pytest.importorskip("vnnlib")
    nq.save(relu_net(), tmp_path / "f.npz")
    nq.save(Network([([[0.5]], [0.25])]), tmp_path / "g.npz")
    (tmp_path / "one.vnnlib").write_text(query_text([(-1, 2)], "(>= Y_0 2)"))
    (tmp_path / "two.vnnlib").write_text(pair_text([(-1.0, 2.0)], "(>= (- Y_f[0] Y_g[0]) 0.75)"))
    (tmp_path / "none.vnnlib").write_text(query_text([(-1, 2)], "(and (>= Y_0 2) (<= Y_0 1))"))
    (tmp_path / "sat.txt").write_text("sat\n((X_0 2) (Y_0 2))")
    (tmp_path / "unsat.txt").write_text("unsat\n")
    (tmp_path / "bad.txt").write_text("sat\n((X_0 2) (X_1 2))")
    return tmp_path


def run(capsys, folder, *words) -> tuple[int, str, str]:
    """Words with a dot are files of the folder."""
    named = [str(folder / w) if w.endswith((".npz", ".vnnlib", ".txt", ".json")) and "=" not in w else w for w in words]
    named = [w.replace("=f.npz", f"={folder}/f.npz").replace("=g.npz", f"={folder}/g.npz") for w in named]
    try:
        code = main(named)
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


ONE = ("one.vnnlib", "--network", "N=f.npz")
TWO = ("two.vnnlib", "--network", "f=f.npz", "--network", "g=g.npz")


def test_verify_prints_the_standard_format(files, capsys):
    assert run(capsys, files, "verify", *ONE) == (0, "sat\n((X_0 2.0)\n(Y_0 2.0))\n", "")
    code, out, err = run(capsys, files, "verify", *TWO)
    assert (code, err) == (0, "")
    assert out == "sat\nX_f real [1]\n2.0\nY_f real [1]\n2.0\nX_g real [1]\n2.0\nY_g real [1]\n1.25\n"
    code, out, err = run(capsys, files, "verify", "none.vnnlib", "--network", "f.npz")
    assert (code, out) == (0, "unsat\n") and "contradictory" in err


def test_verify_json(files, capsys):
    code, out, _ = run(capsys, files, "verify", *ONE, "--json", "-")
    assert code == 0 and Verification.from_json(out).verdict == "sat"
    wanted = "verdict lower upper witness output pieces nodes lps seconds engine tolerance version".split()
    assert set(wanted) <= set(json.loads(out)) and json.loads(out)["witness"] == [[2.0]]
    code, out, _ = run(capsys, files, "verify", *ONE, "--json", "answer.json")
    assert out.startswith("sat\n") and json.loads((files / "answer.json").read_text())["inputs"] == [[2.0]]


def test_who_it_is(files, capsys):
    assert run(capsys, files, "--version")[:2] == (0, nq.__version__ + "\n")
    assert run(capsys, files, "--name")[:2] == (0, "nnequiv\n")
    assert run(capsys, files, "supports", "--vnnlib-versions")[:2] == (0, "1.0\n2.0\n")
    assert "Relu" in run(capsys, files, "supports", "--onnx-operators")[1].split()


@pytest.mark.parametrize(
    "words, code, first",
    [
        ([*ONE, "--result", "sat.txt"], 0, "CONFIRMED: sat with a counterexample"),
        ([*ONE, "--result", "unsat.txt"], 1, "REFUTED: unsat"),
        ([*ONE, "--claim", "sat"], 0, "CONFIRMED: sat"),
        ([*TWO, "--claim", "max<=0.75"], 0, "CONFIRMED: max<=0.75"),
        ([*TWO, "--claim", "equivalent"], 1, "REFUTED: unsat"),
        (["f.npz", "g.npz", "--box=-1:2", "--claim", "max<0.75"], 1, "REFUTED: max<0.75"),
        ([*TWO, "--claim", "max<=0.75", "--engine", "star", "--time-limit", "0"], 3, "UNDECIDED: max<=0.75"),
    ],
)
def test_audit_command(files, capsys, words, code, first):
    got, out, _ = run(capsys, files, "audit", *words)
    assert (got, out.splitlines()[0]) == (code, first)


@pytest.mark.parametrize(
    "words, said",
    [
        (["audit", *ONE, "--result", "bad.txt"], "gives 2 values of X"),
        (["audit", *ONE], "--result FILE or --claim"),
        (["audit", *ONE, "--claim", "max<=1"], "compares two networks"),
        (["audit", *ONE, "--claim", "tiny"], "'tiny' is not of the form"),
        (["audit", "one.vnnlib", "--claim", "sat"], "no file is given"),
        (["audit", "one.vnnlib", "two.vnnlib", "--claim", "sat"], "2 files are given"),
        (["audit", "f.npz", "--box=-1:2", "--claim", "max<=1"], "two networks, F G"),
        (["audit", *ONE, "--result", "missing.txt"], "cannot be read"),
        (["audit", *ONE, "--result", "sat.txt", "--claim", "sat"], "not allowed with"),
        (["audit", "--instances", "x.csv"], "--results DIR and --out CSV"),
        (["audit", *ONE, "--out", "x.csv", "--claim", "sat"], "go with --instances"),
        (["verify", "one.vnnlib"], "--network"),
        (["verify", *ONE, "--network", "N=f.npz"], "given twice"),
        (["verify", "two.vnnlib", "--network", "f.npz"], "it must be NAME=FILE"),
        (["verify", *TWO, "--network", "h=f.npz"], "network h is not declared"),
        (["verify", "two.vnnlib", "--network", "f=f.npz"], "network g is declared, but no file"),
        (["verify", *ONE, "--timeout", "-1"], "time_limit is -1.0"),
        (["verify", *ONE, "--engine", "skeletton"], "did you mean 'skeleton'?"),
        (["supports", "--everything"], "--onnx-opset-versions"),
    ],
)
def test_bad_input_is_one_line(files, capsys, words, said):
    code, out, err = run(capsys, files, *words)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1


# many at once


@pytest.fixture
def folder(files):
    """Four instances: a true counterexample, a false unsat, an unreadable result, none at all."""
    (files / "instances.csv").write_text(
        "f.npz,one.vnnlib,10\nf.npz,other.vnnlib,10\nf.npz,third.vnnlib,10\nf.npz,none.vnnlib,10\n"
        "\"[('f', 'f.npz'), ('g', 'g.npz')]\",two.vnnlib,10\n"
    )
    (files / "other.vnnlib").write_text(query_text([(-1, 2)], "(>= Y_0 1)"))
    (files / "third.vnnlib.gz").write_bytes(gzip.compress(query_text([(-1, 2)], "(>= Y_0 3)").encode()))
    results = files / "results"
    results.mkdir()
    (results / "f_one.counterexample.gz").write_bytes(gzip.compress(b"((X_0 2)\n(Y_0 2))"))
    (results / "results.csv").write_text(
        "mine,./onnx/f.npz,./vnnlib/one.vnnlib,0.1,sat,2.5\nmine,f.npz,other.vnnlib.gz,0.1,unsat,2.5\n"
    )
    (results / "f_third.txt").write_text("perhaps")
    (results / "f_g_two.out").write_text("sat\n")
    return files


def audit_folder(folder, **options) -> Table:
    return audit_instances(folder / "instances.csv", folder / "results", folder / "table.csv", **options)


def test_a_folder_of_results(folder):
    said = []
    table = audit_folder(folder, say=said.append)
    assert [(row.judgement, row.query, row.claimed, row.ours) for row in table.rows] == [
        ("REFUTED", "other.vnnlib", "unsat", "sat"),
        ("ERROR", "third.vnnlib", "", ""),
        ("MISSING", "none.vnnlib", "", ""),
        ("CONFIRMED", "one.vnnlib", "sat", "sat"),
        ("CONFIRMED", "two.vnnlib", "sat", "sat"),
    ]
    assert "perhaps" in table.rows[1].evidence and len(said) == 5
    assert table.summary == "5 instances: 1 REFUTED, 1 ERROR, 1 MISSING, 2 CONFIRMED"
    assert tuple(read_table(folder / "table.csv")) == table.rows
    assert Table.from_json(table.to_json()) == table


def test_an_interrupted_folder_goes_on_where_it_stopped(folder):
    def stop(line):
        raise KeyboardInterrupt

    for rows in range(1, 4):
        with pytest.raises(KeyboardInterrupt):
            audit_folder(folder, say=stop)
        assert len(read_table(folder / "table.csv")) == rows
    said = []
    table = audit_folder(folder, say=said.append)
    assert len(said) == 2 and len(table.rows) == 5 and table.rows[0].judgement == "REFUTED"


def test_rows_are_not_made_again(folder):
    first = audit_folder(folder)
    (folder / "results" / "f_third.txt").write_text("unsat")
    assert audit_folder(folder).rows == first.rows
    kept = [row for row in first.rows if row.judgement != "ERROR"]
    text = (folder / "table.csv").read_text().splitlines(keepends=True)
    (folder / "table.csv").write_text("".join(line for line in text if "ERROR" not in line))
    again = audit_folder(folder)
    assert [row for row in again.rows if row in kept] == kept
    assert [row.judgement for row in again.rows if row.query == "third.vnnlib"] == ["CONFIRMED"]


def test_folder_command_and_its_exit_codes(folder, capsys):
    words = ["audit", "--instances", "{}/instances.csv", "--results", "{}/results", "--out", "{}/table.csv"]
    words = [word.format(folder) for word in words]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "5 instances: 1 REFUTED, 1 ERROR, 1 MISSING, 2 CONFIRMED"
    assert out.splitlines()[1].startswith("REFUTED f.npz other.vnnlib: unsat, satisfied at")
    assert err.count("\n") == 5
    (folder / "table.csv").write_text("a,b\n1,2\n")
    assert main(words) == 2
    assert (folder / "table.csv").read_text() == "a,b\n1,2\n"  # what is no table of ours stays as it is
    assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_table_is_refused(folder):
    audit_folder(folder)
    text = (folder / "table.csv").read_text()
    damaged = [text[:-cut] for cut in range(1, len(text) + 1, 11)]
    damaged += [text.replace("CONFIRMED", "CONFIRMD"), text.replace(",10.0,", ",ten,"), text.replace("judgement,", "")]
    for k, wrong in enumerate(damaged):
        (folder / "table.csv").write_text(wrong)
        if wrong.endswith("\n") and k < len(damaged) - 3:
            continue  # cut between two rows: that is a smaller table
        with pytest.raises(ValueError, match="no row of|middle of a row|no table of"):
            audit_folder(folder)
        assert (folder / "table.csv").read_text() == wrong


def test_row_identifies_its_instance():
    assert Row("ERROR", "f.npz", "q", 1.0, "", "", 0.0, "").instance == ("f.npz", "q", 1.0)


def test_exact_outputs_are_what_replay_reports():
    network, point = random_network(np.random.default_rng(3), [2, 5, 1]), [0.3, 0.7]
    found = square("sat\n((X_0 0.3) (X_1 0.7) (Y_0 0))", network=network)
    assert found.replay.outputs == ((float(evaluate_exact(network, point)[0]),),)
