"""Damaged queries, networks, results and lists: an answer or one line, never a traceback, a hang or a wrong verdict."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.cli import main
from nnequiv.io.vnncomp import load_answer, parse_answer
from nnequiv.io.vnnlib import load_query
from nnequiv.network import Network
from nnequiv.rounding import evaluate_exact
from nnequiv.tolerances import CLAIMED_INPUT_TOL
from tests.fuzz.mutations import mutate
from tests.oracles.queries import pair_text, query_text

ONE = query_text([(-1, 1.5), ("0.25", "2e0")], "(or (and (>= Y_0 0.75) (< Y_0 3)) (<= Y_0 -0.5))")
TWO = pair_text([(-1.0, 1.0), (0.0, 0.5)], "(or (>= (- Y_f[0] Y_g[0]) 0.3) (<= (- Y_f[0] Y_g[0]) -0.5))")
#: Seconds for one command; the networks are tiny.
LIMIT = 10


def run(*words) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
    return code, out.getvalue(), err.getvalue()


def tiny(seed: int) -> Network:
    """Weights in quarters: mutated constants tie with them often."""
    rng = np.random.default_rng(seed)
    shapes = [(3, 2), (1, 3)]
    return Network([(rng.integers(-4, 5, size=s) / 4, rng.integers(-2, 3, size=s[0]) / 4) for s in shapes])


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("vnnlib")
    for name, seed in (("f", 0), ("g", 1)):
        nq.save(tiny(seed), tmp_path / f"{name}.npz")
        nq.save(tiny(seed), tmp_path / f"{name}.onnx")
    (tmp_path / "one.vnnlib").write_text(ONE)
    (tmp_path / "two.vnnlib").write_text(TWO)
    return tmp_path


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """:func:`mutate`, or, half of the time, one digit or comparison for another: that often stays readable."""
    if rng.random() < 0.5:
        return mutate(data, rng)
    kinds = (b"0123456789", b"<>=", b"<>=") if b"assert" in data else (b"0123456789",)
    kind = kinds[rng.integers(len(kinds))]
    places = [i for i, byte in enumerate(data) if byte in kind]
    changed = bytearray(data)
    changed[places[rng.integers(len(places))]] = kind[rng.integers(len(kind))]
    return bytes(changed)


def networks_of(folder, query) -> dict:
    files = {"N": "f.npz", "f": "f.npz", "g": "g.npz"}
    return {name: nq.load(folder / files[name]) for name in query.names if name in files}


def words_for(folder, name: str) -> list:
    query = ["N"] if name.startswith("one") else ["f", "g"]
    pairs = [("--network", f"{n}={folder}/{'g' if n == 'g' else 'f'}.npz") for n in query]
    return [word for pair in pairs for word in pair]


def samples(query, rng) -> np.ndarray:
    """Corners, centres and random points of all input sets, as joint inputs."""
    points = []
    for input_set in query.input_sets:
        box = input_set.box
        choice = rng.random((20, box.dimension))
        points += list(np.where(choice < 0.5, box.lower, box.upper)) + list(box.sample(rng, 20)) + [box.center]
    return np.array(points)


def check_verdict(query, networks, out: str, seed) -> str:
    """A printed ``sat`` satisfies the query; nothing that was sampled satisfies an ``unsat``. Computed apart."""
    verdict = out.split("\n", 1)[0]
    if verdict == "sat":
        inputs, _ = parse_answer(out).tensors(query)
        outputs = [evaluate_exact(networks[n], x) for n, x in zip(query.names, inputs, strict=True)]
        assert query.holds(inputs, outputs), seed
    elif verdict == "unsat":
        for joint in samples(query, np.random.default_rng(0)):
            inputs = query.network_inputs(joint)
            outputs = [evaluate_exact(networks[n], x) for n, x in zip(query.names, inputs, strict=True)]
            assert not query.holds(inputs, outputs), (seed, joint)
    return verdict


def check_clean(code: int, out: str, err: str, seed) -> None:
    assert code in (0, 1, 2, 3), seed
    if code == 2:
        assert out == "" and err.startswith("nnequiv ") and err.count("\n") == 1, (seed, out, err)


def mutated_queries(folder, rounds: int, start: int = 0) -> list[str]:
    verdicts = []
    for k in range(start, start + rounds):
        for name, text in (("one.vnnlib", ONE), ("two.vnnlib", TWO)):
            (folder / name).write_bytes(damage(text.encode(), np.random.default_rng([k, len(name), len(text)])))
            found = run("verify", folder / name, *words_for(folder, name), "--timeout", LIMIT)
            check_clean(*found, (k, name))
            if found[0] == 2:
                verdicts.append("refused")
                continue
            query = load_query(folder / name)
            verdicts.append(check_verdict(query, networks_of(folder, query), found[1], (k, name)))
    return verdicts


def mutated_results(folder, rounds: int, start: int = 0) -> list[int]:
    """A true counterexample with changes: it may still be one, or not, or nothing that can be read."""
    codes = []
    for name in ("one.vnnlib", "two.vnnlib"):
        words = [folder / name, *words_for(folder, name)]
        code, true, _ = run("verify", *words)
        assert code == 0 and true.startswith("sat")
        query = load_query(folder / name)
        networks = networks_of(folder, query)
        for k in range(start, start + rounds):
            file = folder / "result.txt"
            file.write_bytes(damage(true.encode(), np.random.default_rng([k, len(true)])))
            found = run("audit", *words, "--result", file, "--time-limit", LIMIT)
            check_clean(*found, (k, name))
            codes.append(found[0])
            if found[0] in (0, 1):
                check_judgement(query, networks, load_answer(file), found[0] == 0, (k, name))
    return codes


def check_judgement(query, networks, answer, confirmed: bool, seed) -> None:
    if answer.verdict == "unsat" or not answer.values:
        assert confirmed == (answer.verdict == "sat"), seed  # both queries are satisfiable
        return
    inputs, claimed = answer.tensors(query)
    outputs = [evaluate_exact(networks[n], x) for n, x in zip(query.names, inputs, strict=True)]
    if query.holds(inputs, outputs):
        far = any(
            y is not None and max(abs(float(a) - b) for a, b in zip(exact, y, strict=True)) > 1e-3
            for exact, y in zip(outputs, claimed, strict=True)
        )
        assert confirmed or far, seed
    elif confirmed:  # only a rounding of a point that satisfies it
        box = query.input_sets[0].box
        point = np.asarray(inputs[0])
        assert (np.abs(box.clip(point) - point) <= CLAIMED_INPUT_TOL * np.abs(point)).all(), seed


def mutated_networks(folder, rounds: int, start: int = 0) -> None:
    query = load_query(folder / "one.vnnlib")
    for name in ("f.npz", "f.onnx"):
        whole = (folder / name).read_bytes()
        for k in range(start, start + rounds):
            (folder / name).write_bytes(mutate(whole, np.random.default_rng([k, len(name), 7])))
            words = ["verify", folder / "one.vnnlib", "--network", f"N={folder / name}", "--timeout", LIMIT]
            found = run(*words)
            check_clean(*found, (k, name))
            if found[0] != 2:
                check_verdict(query, {"N": nq.load(folder / name)}, found[1], (k, name))
        (folder / name).write_bytes(whole)


def mutated_lists(folder, rounds: int, start: int = 0) -> None:
    """The list of instances, the results' table, and the table of an earlier run."""
    results = folder / "results"
    results.mkdir(exist_ok=True)
    texts = {
        folder / "instances.csv": f"f.npz,one.vnnlib,{LIMIT}\n\"[('f','f.npz'),('g','g.npz')]\",two.vnnlib,{LIMIT}\n",
        results / "results.csv": "c,onnx/f.npz,one.vnnlib,0,unsat,1\nc,f.npz,g.npz,two.vnnlib,0,sat,1\n",
    }
    words = ["--instances", folder / "instances.csv", "--results", results, "--out", folder / "table.csv"]
    for path, text in texts.items():
        path.write_text(text)
    assert run("audit", *words)[0] == 1
    texts[folder / "table.csv"] = (folder / "table.csv").read_text()
    for k in range(start, start + rounds):
        for path, text in texts.items():
            for other in (folder / "table.csv", *texts):
                other.unlink(missing_ok=True)
            for other in [p for p in texts if p != folder / "table.csv"] + [path]:
                other.write_text(texts[other])
            path.write_bytes(damage(text.encode(), np.random.default_rng([k, len(text)])))
            code, out, err = run("audit", *words)
            assert code in (0, 1, 2, 3) and "Traceback" not in err, (k, path.name)
            if code == 2 and not out:
                assert err.splitlines()[-1].startswith("nnequiv audit: error:"), (k, path.name)


def test_mutated_queries(folder):
    verdicts = mutated_queries(folder, rounds=60)
    assert min(verdicts.count(word) for word in ("sat", "refused")) >= 20 and "unsat" in verdicts


def test_mutated_results(folder):
    codes = mutated_results(folder, rounds=60)
    assert min(codes.count(code) for code in (0, 1, 2)) >= 5


def test_mutated_networks(folder):
    mutated_networks(folder, rounds=40)


def test_mutated_lists(folder):
    mutated_lists(folder, rounds=20)


@pytest.mark.slow
def test_ten_thousand_mutated_files(folder):
    mutated_results(folder, rounds=1500, start=100)
    mutated_networks(folder, rounds=1000, start=100)
    mutated_lists(folder, rounds=500, start=100)
    mutated_queries(folder, rounds=1800, start=100)
