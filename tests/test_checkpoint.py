"""Checkpoints: a run killed at any moment goes on to the answer of one that was not. Foreign or damaged files are
refused."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.cli import main
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.reach.branch_and_bound.workers import Workers
from nnequiv.reach.skeleton import Skeleton
from tests.oracles.random_networks import random_network

BOX = nq.Box([-1.0] * 3, [1.0] * 3)


def pair(seed: int, widths=(3, 20, 20, 2)):
    rng = np.random.default_rng(seed)
    return random_network(rng, widths), random_network(rng, widths)


class Killed(BaseException):
    """Nothing catches it: as good as SIGKILL between two lines."""


def killed_after(calls: int):
    """A progress callable that ends the process's work at its n-th call."""
    count = 0

    def progress(**_):
        nonlocal count
        count += 1
        if count >= calls:
            raise Killed

    progress.interval = 0.0
    return progress


def without_time(record: dict) -> dict:
    return {name: record[name] for name in record if name not in ("seconds", "engine")}


def facts(answer) -> dict:
    return without_time(json.loads(answer.to_json()))


QUESTIONS = {
    "discrepancy": lambda f, g, **kept: nq.max_discrepancy(f, g, BOX, "branch-and-bound", 1e-3, **kept),
    "by ReLU splits": lambda f, g, **kept: nq.max_discrepancy(
        f, g, BOX, BranchAndBound(low_dimension=0, batch=4), 1e-3, **kept
    ),
    "equivalent": lambda f, g, **kept: nq.check_equivalence(
        f, g, BOX, nq.Epsilon(5.9995), BranchAndBound(few=0, batch=4), 1e-3, **kept
    ),
    "regions": lambda f, g, **kept: nq.survey((f, g), BOX, "skeleton", **kept),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_killed_question_goes_on_to_the_same_answer(name, tmp_path, monkeypatch):
    monkeypatch.setattr("nnequiv.reach.skeleton.walk.WORTH_DIVIDING", 200)
    ask, path = QUESTIONS[name], tmp_path / "state"
    f, g = pair(0, (3, 8, 8, 2))
    whole, kills, calls = ask(f, g, checkpoint=tmp_path / "unkilled"), 0, 2
    while kills < 20:
        try:
            found = ask(f, g, checkpoint=path, checkpoint_every=0.0, progress=killed_after(calls))
            break
        except Killed:
            kills, calls = kills + 1, 2 * calls  # a search that never comes to its next step never ends
    assert kills >= 2 and facts(found) == facts(whole)
    again = ask(f, g, checkpoint=path)  # finished: read, not searched
    assert facts(again) == facts(whole)
    if name != "regions":
        assert found.seconds > 0.0 and found.engine.startswith("branch-and-bound")


@pytest.mark.parametrize("seed", range(6))
def test_with_workers_what_is_out_is_kept_too(seed, tmp_path, monkeypatch):
    """Killed while tasks are out: no part is lost, and the answer holds."""
    monkeypatch.setattr("nnequiv.reach.branch_and_bound.workers.MOMENT", 0.005)
    monkeypatch.setattr("nnequiv.reach.branch_and_bound.workers.WORTH", 1)
    engine, path, (f, g) = BranchAndBound(few=0, batch=4, tasks=3), tmp_path / "state", pair(seed, (3, 8, 8, 2))
    exact = nq.max_discrepancy(f, g, BOX, "skeleton")
    kills, calls, out = 0, 4, 0
    whole = Workers.with_those_out
    monkeypatch.setattr(Workers, "with_those_out", lambda self, frontier: counted(whole(self, frontier), self.left))

    def counted(frontier, left):
        nonlocal out
        out += left
        return frontier

    with ThreadPoolExecutor(2) as executor:
        while True:
            kept = dict(checkpoint=path, checkpoint_every=0.0, executor=executor)
            try:
                found = nq.max_discrepancy(f, g, BOX, engine, 1e-6, progress=killed_after(calls), **kept)
                break
            except Killed:
                kills, calls = kills + 1, calls + 1 + calls // 4
    assert kills >= 2 and out > 0 and found.upper - found.lower <= 1e-6
    assert found.lower <= exact.upper and exact.lower <= found.upper
    again = nq.max_discrepancy(f, g, BOX, engine, 1e-6, checkpoint=path)  # finished, and read without workers
    assert (again.lower, again.upper) == (found.lower, found.upper)


def test_without_a_checkpoint_the_numbers_are_the_same():
    f, g = pair(0)
    with_parts = nq.survey((f, g), BOX, "skeleton")
    assert with_parts.pieces == QUESTIONS["regions"](f, g).pieces


def test_a_survey_in_parts_counts_what_one_walk_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("nnequiv.reach.skeleton.walk.WORTH_DIVIDING", 50)
    for seed in (0, 1, 2, 3, 5):  # in 4 a piece that barely counts, with a ball of 1.5e-7, is cut by a border of parts
        f, g = pair(seed, (3, 12, 8, 2))
        one = nq.survey((f, g), BOX, "skeleton")
        parts = nq.survey((f, g), BOX, "skeleton", checkpoint=tmp_path / f"{seed}")
        assert one.pieces == parts.pieces, f"seed {seed}"
        np.testing.assert_allclose(
            [one.lower, one.upper], [parts.lower, parts.upper], rtol=1e-9, err_msg=f"seed {seed}"
        )


def test_repair_goes_on_to_the_same_network(tmp_path):
    f, g = pair(1, (3, 8, 2))
    boxes = [nq.Box.around(np.full(3, 0.2 * k), 0.3) for k in range(4)]

    def run(**kept):
        return nq.repair(f, g, boxes, target=1e-9, rng=np.random.default_rng(0), rounds=4, steps=20, **kept)

    whole = run()
    looks, rounds = [], []

    class Counting(Skeleton):
        def maximise_each(self, networks, *arguments):
            looks.append(networks)
            return super().maximise_each(networks, *arguments)

    def stop(**state):
        rounds.append(state["round"])
        if len(rounds) == 3:
            raise Killed

    stop.interval = 0.0
    engine = Counting()
    with pytest.raises(Killed):
        run(engine=engine, checkpoint=tmp_path / "state", progress=stop)
    before = len(looks)
    assert before == 3
    out = run(engine=engine, checkpoint=tmp_path / "state")
    assert len(looks) - before == 2 + 1  # rounds 3 and 4, and the proof anew
    for a, b in zip(out.network.layers, whole.network.layers, strict=True):
        assert np.array_equal(a.weight, b.weight) and np.array_equal(a.bias, b.bias)
    assert [entry.worst for entry in out.history] == [entry.worst for entry in whole.history]
    with pytest.raises(ValueError, match="another run: the training differ"):
        nq.repair(f, g, boxes, target=1e-9, rng=np.random.default_rng(0), rounds=5, steps=20, engine=engine,
                  checkpoint=tmp_path / "state")  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(f=pair(5)[0]), "network f differ"),
        (dict(g=pair(5)[1]), "network g differ"),
        (dict(box=nq.Box([-1.0] * 3, [1.0, 1.0, 2.0])), "the input set differ"),
        (dict(tolerance=1e-4), "the tolerance differ"),
        (dict(engine=BranchAndBound(batch=64)), "the engine differ"),
        (dict(outputs=[1]), "the relation or outputs differ"),
    ],
)
def test_the_checkpoint_of_another_question_is_refused(tmp_path, change, message):
    f, g = pair(0)
    asked = dict(f=f, g=g, box=BOX, engine="branch-and-bound", tolerance=1e-3, outputs=None)

    def ask(f, g, box, engine, tolerance, outputs):
        nq.max_discrepancy(f, g, box, engine, tolerance, outputs=outputs, checkpoint=tmp_path / "state")

    ask(**asked)
    content = (tmp_path / "state").read_bytes()
    with pytest.raises(ValueError, match=message):
        ask(**asked | change)
    assert (tmp_path / "state").read_bytes() == content


def test_damaged_files_are_refused_in_one_line(tmp_path):
    path, rng = tmp_path / "state", np.random.default_rng(0)
    f, g = pair(0)
    QUESTIONS["discrepancy"](f, g, checkpoint=path)
    content = path.read_bytes()
    for k in range(60):
        damaged = bytearray(content)
        if k % 3 == 0:
            damaged = damaged[: rng.integers(len(damaged))]
        elif k % 3 == 1:
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        else:
            start = rng.integers(len(damaged))
            damaged[start : start + 50] = rng.bytes(50)
        path.write_bytes(damaged)
        try:
            QUESTIONS["discrepancy"](f, g, checkpoint=path)  # a byte that nothing reads
        except ValueError as error:
            assert "damaged, or no checkpoint" in str(error) and "\n" not in str(error), f"case {k}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(engine="star"), "engine 'star' keeps no checkpoint: use branch-and-bound"),
        (dict(checkpoint_every=-1.0), "checkpoint_every is -1.0: it must be at least 0 seconds"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        nq.max_discrepancy(*pair(0), BOX, checkpoint=tmp_path / "state", **options)
    assert not list(tmp_path.iterdir())


def test_auto_takes_the_engine_that_keeps_one(tmp_path):
    found = nq.max_discrepancy(*pair(0), BOX, tolerance=1e-2, checkpoint=tmp_path / "state")
    assert "auto: the engine that keeps a checkpoint" in found.engine


def test_a_full_disk_stops_the_search_and_leaves_the_last_state(tmp_path):
    script = (
        "import resource, signal, sys, nnequiv as nq; from tests.test_checkpoint import QUESTIONS, pair;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        "found = QUESTIONS['discrepancy'](*pair(0), checkpoint=sys.argv[1], checkpoint_every=0.0);"
        "print(found.reason)"
    )
    path = tmp_path / "state"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cannot be written (File too large)" in done.stdout
    assert not path.exists() and resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 3000


def commands(folder) -> dict[str, list[str]]:
    """One command of each kind, a few seconds long, its files written."""
    names = {}
    for name, network in zip("FG", pair(3, (4, 40, 40, 40, 2)), strict=True):
        names[name] = str(folder / f"{name}.npz")
        nq.save(network, names[name])
    rng = np.random.default_rng(0)
    for name in "PQ":
        names[name] = str(folder / f"{name}.npz")
        nq.save(random_network(rng, (64, 20, 10)), names[name])
    f, g, box = names["F"], names["G"], "--box=-1:1"
    small = ["--data", "digits", "--target", "0.001", "--rounds", "3", "--sets", "30", "--out", str(folder / "R.npz")]
    return {
        "discrepancy": ["discrepancy", f, g, box, "--tolerance", "1e-6"],
        "workers": ["discrepancy", f, g, box, "--tolerance", "1e-6", "--workers", "2"],
        "equivalent": ["equivalent", f, g, box, "--epsilon", "7.9092"],
        "audit": ["audit", f, g, box, "--claim", "max<=7.9092"],
        "regions": ["regions", f, g, "--box=-0.2:0.2"],
        "repair": ["repair", names["P"], names["Q"], *small],
    }


def started(words, checkpoint, out):
    words = [*words, "--checkpoint", str(checkpoint), "--json", str(out)]
    words += [] if words[0] == "repair" else ["--checkpoint-every", "0.05"]
    return subprocess.Popen(
        [sys.executable, "-m", "nnequiv", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def outcome(command: str, path) -> dict:
    record = json.loads(path.read_text())
    if command == "repair":
        return {"after": [d["upper"] for d in record["discrepancies"]], "proved": record["proved"]}
    if command == "audit":
        return {"judgement": record["verdict"]} | without_time(record["verification"])
    return without_time(record)


def killed_and_ended(words, seconds: float, rng, state, out) -> int:
    """Run a command until it has written ``out``, killed at random moments before; how often it was killed."""
    kills = 0
    while not out.exists():
        process = started(words, state, out)
        try:
            process.wait(timeout=rng.uniform(0.3, 1.2) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        errors = process.communicate()[1]
        assert "Traceback" not in errors and "damaged" not in errors, errors
    return kills


@pytest.mark.slow
@pytest.mark.parametrize("command", ["discrepancy", "equivalent", "audit", "regions", "repair", "workers"])
def test_runs_killed_at_random_moments(command, tmp_path, capsys):
    """Thirteen runs of each command: killed once or more at random moments, then left to end."""
    rng, words = np.random.default_rng(0), commands(tmp_path)[command]
    begun = time.perf_counter()
    process = started(words, tmp_path / "whole", tmp_path / "whole.json")
    errors = process.communicate()[1]
    assert process.returncode in (0, 1, 3), errors
    seconds, expected, kills = time.perf_counter() - begun, outcome(command, tmp_path / "whole.json"), 0
    for run in range(13):
        kills += killed_and_ended(words, seconds, rng, tmp_path / f"state{run}", tmp_path / f"{run}.json")
        found = outcome(command, tmp_path / f"{run}.json")
        if command == "workers":  # no two runs are the same, their intervals are
            assert found["upper"] - found["lower"] <= 1e-6, f"run {run}"
            assert found["lower"] <= expected["upper"] and expected["lower"] <= found["upper"], f"run {run}"
        else:
            assert found == expected, f"run {run}"
    with capsys.disabled():
        print(f" {command}: {seconds:.1f} s, 13 runs, {kills} kills", flush=True)


def test_the_command_line_keeps_and_goes_on(tmp_path, capsys):
    words, state = commands(tmp_path)["discrepancy"], tmp_path / "state"
    words[-1] = "1"
    assert main([*words, "--checkpoint", str(state)]) == 0
    assert state.exists() and os.listdir(tmp_path).count("state") == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert main([*words, "--checkpoint", str(state)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == first
    assert main([*words, "--workers", "2", "--checkpoint", str(state)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == first
    assert main(["regions", *words[1:4], "--engine", "star", "--checkpoint", str(state)]) == 2
    assert "engine 'star' keeps no checkpoint of its pieces" in capsys.readouterr().err
