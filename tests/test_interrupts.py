"""SIGINT and SIGTERM: every command stops at once, says what is proved so far, and exits with 3."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.cli import main
from nnequiv.cli.interrupts import SIGNALS, Interrupted, interruptible

PATIENCE = 10.0  # seconds; about one is usual

#: Questions that take much longer than the test waits.
ENDLESS = {
    "discrepancy": ["discrepancy", "F", "G", "--box=-1:1", "--engine", "branch-and-bound"],
    "star": ["discrepancy", "F", "G", "--box=-1:1", "--engine", "star"],
    "workers": ["discrepancy", "F", "G", "--box=-1:1", "--engine", "branch-and-bound", "--workers", "2"],
    "equivalent": ["equivalent", "F", "G", "--box=-1:1", "--epsilon", "1000", "--engine", "skeleton"],
    "regions": ["regions", "F", "--box=-1:1", "--engine", "star"],
    "repair": ["repair", "P", "Q", "--data", "digits", "--target", "0.01", "--rounds", "1000", "--out", "OUT"],
    "demo": ["demo", "--out", "REPORT"],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("signals"), np.random.default_rng(0)
    wide, flat = [8, 80, 80, 80, 2], [64, 30, 10]
    for name, widths in (("F", wide), ("G", wide), ("P", flat), ("Q", flat)):
        sizes = zip(widths, widths[1:], strict=False)
        nq.save(nq.Network([(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in sizes]), folder / f"{name}.npz")
    return folder


def stopped(files, words, number, after=1.0) -> tuple[int, str, str, float]:
    """Start a command, send it a signal a while after it has begun, and wait: code, output, errors, seconds."""
    named = {name: str(files / f"{name}.npz") for name in ("F", "G", "P", "Q", "OUT")} | {"REPORT": str(files / "rep")}
    script = "import sys; from nnequiv.cli import main; print('begun', flush=True); sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, *(named.get(word, word) for word in words)]
    # A test run in the background ignores SIGINT, and so would its children.
    default = dict(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **default) as process:
        assert process.stdout.readline() == "begun\n"
        time.sleep(after)
        assert process.poll() is None, process.communicate()
        process.send_signal(number)
        sent = time.perf_counter()
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, out, err, time.perf_counter() - sent


def check(name, code, out, err):
    assert code == 3 and "Traceback" not in err, (out, err)
    if name in ("discrepancy", "star", "workers"):
        assert out.startswith("discrepancy in [") and "stopped: interrupted" in out
    elif name == "equivalent":
        assert out.startswith("UNKNOWN: Epsilon(epsilon=1000.0)") and "largest violation in [" in out
    elif name == "regions":
        assert out.startswith("UNKNOWN: ") and "output 1 in [" in out
    elif name == "repair":
        assert "NOT proved: interrupted" in out
    else:
        assert "interrupted, nothing is proved" in err


@pytest.mark.parametrize("name", ["discrepancy", "demo"])
def test_sigterm(files, name):
    code, out, err, _ = stopped(files, ENDLESS[name], signal.SIGTERM)
    check(name, code, out, err)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", ENDLESS)
def test_every_command(files, name, number):
    code, out, err, seconds = stopped(files, ENDLESS[name], number, after=3.0)
    print(f"{name} {number.name}: {seconds:.2f} s")
    check(name, code, out, err)
    assert not (files / "rep" / "report.json").exists()


def children(pid: int) -> list[int]:
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(true, seconds: float = 20.0) -> bool:
    end = time.perf_counter() + seconds
    while not true() and time.perf_counter() < end:
        time.sleep(0.05)
    return true()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc, to see processes")
@pytest.mark.parametrize("command", ["discrepancy", "study"])
def test_workers_end_with_a_parent_that_is_killed(files, tmp_path, command):
    words = {
        "discrepancy": [str(files / f"{word}.npz") if word in ("F", "G") else word for word in ENDLESS["workers"]],
        "study": ["study", "depth", "--seeds", "2", "--workers", "2", "--out", str(tmp_path / "study")],
    }[command]
    with subprocess.Popen([sys.executable, "-m", "nnequiv", *words], stderr=subprocess.DEVNULL) as process:
        try:
            assert until(lambda: len(children(process.pid)) >= 2)
            time.sleep(1.0)  # a worker that has only just begun does not watch yet
            workers = children(process.pid)
        finally:
            process.kill()
    ended = until(lambda: not any(map(alive, workers)))
    for pid in filter(alive, workers):
        os.kill(pid, signal.SIGKILL)
    assert ended


def test_json_is_complete(files):
    code, out, _, _ = stopped(files, [*ENDLESS["discrepancy"], "--json", "-"], signal.SIGINT)
    record = json.loads(out)
    assert code == 3 and record["reason"] == "interrupted" and record["lower"] < record["upper"]


def in_process(monkeypatch, command: str, inside) -> int:
    """The exit code of a command whose work is ``inside``."""
    import nnequiv.cli as cli

    class Parser:
        def parse_args(self, words):
            from types import SimpleNamespace

            return SimpleNamespace(command=command, run=lambda arguments: inside())

    monkeypatch.setattr(cli, "_parser", Parser)
    return main([command])


def test_the_first_signal_counts_and_the_old_handlers_return(monkeypatch, capsys):
    before = [signal.getsignal(number) for number in SIGNALS]

    def inside():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        for number in SIGNALS:
            signal.raise_signal(number)
        return 0

    assert in_process(monkeypatch, "discrepancy", inside) == 0
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_before_anything_is_proved(monkeypatch, capsys):
    assert in_process(monkeypatch, "equivalent", lambda: signal.raise_signal(signal.SIGTERM)) == 3
    assert capsys.readouterr() == ("", "nnequiv equivalent: interrupted, nothing is proved\n")


@pytest.mark.parametrize("command", ["demo", "study", "check"])
def test_commands_without_parts_are_not_caught_by_engines(command):
    with pytest.raises(Interrupted), interruptible(command):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(PATIENCE)
        except (KeyboardInterrupt, Exception):
            pytest.fail("caught")


def test_other_threads_change_nothing(monkeypatch):
    handlers = []
    thread = threading.Thread(
        target=lambda: in_process(monkeypatch, "discrepancy", lambda: handlers.append(signal.getsignal(signal.SIGTERM)))
    )
    before = signal.getsignal(signal.SIGTERM)
    thread.start()
    thread.join()
    assert handlers == [before]
