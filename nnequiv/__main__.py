"""``python -m nnequiv`` is the command ``nnequiv``."""

import sys

from nnequiv.cli import main

if __name__ == "__main__":
    sys.exit(main())
