"""Damaged files of every kind give an answer or a ValueError of one line: never another exception, never a hang."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.fuzz.files import originals
from tests.fuzz.mutations import mutate


class Readers:
    """Inputs for all readers, a file of each kind in turn."""

    name = "readers"

    def __init__(self, folder: Path):
        self.folder, self.files = folder, originals(folder)
        self.names = sorted(self.files)

    def kind(self, number: int) -> str:
        return self.names[number % len(self.names)]

    def run(self, number: int) -> bool:
        """Whether the file was accepted. AssertionError if its reader did what none may do."""
        name = self.kind(number)
        data, reader = self.files[name]
        path = self.folder / name
        path.write_bytes(mutate(data, np.random.default_rng([number, 1])))
        try:
            reader(path)
        except ValueError as refusal:
            assert "\n" not in str(refusal) and name in str(refusal), f"{name}: {refusal!r}"
            return False
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
        return True
