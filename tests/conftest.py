"""What every test may use: the folder of real data, and hypothesis without chance."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real networks and properties; skips the test where NNEQUIV_DATA does not name one."""
    folder = os.environ.get("NNEQUIV_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real networks: set NNEQUIV_DATA to their folder")
    return Path(folder)
