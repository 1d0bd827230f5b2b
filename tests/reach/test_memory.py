"""A soft memory limit: the same answers, in less memory."""

import subprocess
import sys

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.cli import main
from nnequiv.reach.memory import limited
from tests.oracles.random_networks import random_network
from tests.oracles.real_pairs import ORIGINAL, RETRAIN, data_file

BOX = nq.Box([-1.0] * 3, [1.0] * 3)


@pytest.mark.parametrize("engine", ["skeleton", "branch-and-bound", "star"])
def test_the_limit_changes_no_answer(engine):
    rng = np.random.default_rng(0)
    f, g = random_network(rng, (3, 6, 2)), random_network(rng, (3, 6, 2))
    free, tight = (nq.max_discrepancy(f, g, BOX, engine, memory_limit=limit) for limit in (None, 151.0))
    assert abs(free.upper - tight.upper) <= 2e-6 and abs(free.lower - tight.lower) <= 2e-6


def test_what_python_itself_takes_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="memory_limit is 100.0 MB: it must be above 150, 130 are Python's own"):
        limited(nq.Skeleton(), 100.0)
    nq.save(nq.Network([([[1.0]], [0.0])]), tmp_path / "f.npz")
    f = str(tmp_path / "f.npz")
    with pytest.raises(SystemExit, match="2"):
        main(["discrepancy", f, f, "--box", "0:1", "--memory-limit", "100"])
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_a_large_survey_stays_under_the_limit(tmp_path):
    """All 817,376 pieces of a pair in 200 MB, Python and the packages included; about forty seconds."""
    files = [str(data_file(name)) for name in (ORIGINAL, RETRAIN, "acasxu/prop_3.vnnlib")]
    script = (
        "import resource, sys; from nnequiv.cli import main;"
        "f, g, box = sys.argv[1:]; main(['regions', f, g, '--box', box, '--memory-limit', '200']);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    print(lines[0], lines[-1], "MB")
    assert lines[0] in ("817376 pieces of f - g", "817375 pieces of f - g")
    assert float(lines[-1]) <= 200.0
