"""Imports point one way: the contracts of setup.cfg hold."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_import_contracts():
    pytest.importorskip("importlinter", reason="needs import-linter, of the extra 'test'")
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_imports_no_optional_package():
    optional = ["onnx", "onnxruntime", "vnnlib", "distributed", "pytest", "hypothesis"]
    command = f"import nnequiv, sys; print([name for name in {optional} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
