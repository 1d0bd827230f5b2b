"""The README's example does what it prints."""

import doctest
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs_as_printed():
    failures, tried = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert tried >= 5 and failures == 0
