"""``python -m tests.fuzz --seconds 3600 --first 1000000``: exit code 1 if anything failed."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

from tests.fuzz.commands import Commands
from tests.fuzz.readers import Readers
from tests.fuzz.run import fuzz, peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder) / name for name in ("readers", "a blank and é")]
        for each in folders:
            each.mkdir()
        result = fuzz([Readers(folders[0]), Commands(folders[1])], arguments.seconds, first=arguments.first)
    print(result.table())
    print(f"{peak():.0f} MB at most")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
