"""Type hints of the public interface: mypy reads a program that uses it, right and wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.typing import usage

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


def _mypy(path, cache: Path) -> subprocess.CompletedProcess:
    pytest.importorskip("mypy", reason="needs mypy")
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "setup.cfg"),
        "--cache-dir",
        str(cache),
        str(path),
    ]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


def test_the_program_runs():
    usage.main()


def test_mypy_accepts_right_calls(cache):
    made = _mypy("tests/typing/usage.py", cache)
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        "nq.max_discrepancy(f, f, box, engine=3)",
        "nq.max_discrepancy(f, f, 'box')",
        "nq.Epsilon('large')",
        "x: str = nq.max_discrepancy(f, f, box).upper",
        "nq.check_equivalence(f, f, box)",
    ],
)
def test_mypy_refuses_wrong_calls(tmp_path, cache, wrong):
    program = tmp_path / "wrong.py"
    program.write_text(f"import nnequiv as nq\nf = nq.load('f.npz')\nbox = nq.Box([0.0], [1.0])\n{wrong}\n")
    made = _mypy(program, cache)
    assert made.returncode == 1 and "error:" in made.stdout, made.stdout + made.stderr
