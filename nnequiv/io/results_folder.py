"""A folder of another tool's results: which answer belongs to which instance."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from nnequiv.io.files import read_text
from nnequiv.io.instances import Instance
from nnequiv.io.vnncomp import VERDICTS, Answer, load_answer

#: How tools name the file of one result, after ``NETWORK_QUERY``.
SUFFIXES = ("", ".txt", ".result", ".res", ".out", ".counterexample")


def _stem(file: str) -> str:
    """``onnx/f.onnx`` as ``f``, ``prop.vnnlib.gz`` as ``prop``."""
    return Path(file.removesuffix(".gz")).stem


def _names(instance: Instance) -> tuple[tuple[str, ...], str]:
    return tuple(_stem(file) for _, file in instance.networks), _stem(instance.query)


def find_answer(instance: Instance, folder: Path, verdicts: dict) -> Answer | None:
    """The verdict of ``results.csv`` and the assignment of the instance's own file, as far as there are any.

    Parameters
    ----------
    instance : Instance
    folder : path
        Where a file ``NETWORK_QUERY`` may be, with one of :data:`SUFFIXES`, gzipped or not.
    verdicts : dict
        As :func:`load_verdicts` reads them; they count more than a file's.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    networks, query = _names(instance)
    name = "_".join((*networks, query))
    files = [folder / f"{name}{suffix}{zipped}" for suffix in SUFFIXES for zipped in ("", ".gz")]
    file = next((path for path in files if path.is_file()), None)
    verdict = verdicts.get((networks, query))
    if verdict is None:
        return None if file is None else load_answer(file)
    return load_answer(file) if verdict == "sat" and file is not None else Answer(verdict, {})


def load_verdicts(path: Path) -> dict[tuple[tuple[str, ...], str], str]:
    """Verdicts by networks and query from a ``results.csv``; none if there is no such file.

    A row counts if it names networks and one query; its verdict is the last cell that is a verdict's word, else
    ``error``.
    """
    if not path.exists():
        return {}
    verdicts = {}
    for cells in csv_rows(path):
        networks = tuple(_stem(c) for c in cells if c.removesuffix(".gz").endswith((".onnx", ".nnet", ".npz")))
        queries = [_stem(cell) for cell in cells if cell.removesuffix(".gz").endswith(".vnnlib")]
        words = [cell.lower() for cell in cells if cell.lower() in VERDICTS]
        if networks and len(queries) == 1:
            verdicts[networks, queries[0]] = VERDICTS[words[-1]] if words else "error"
    return verdicts


def csv_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV file that are not blank, cells without blanks around them."""
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(read_text(path))) if row]
    except csv.Error as error:
        raise ValueError(f"{path}: not CSV ({error})") from None
