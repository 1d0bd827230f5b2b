"""``load_box``: an input set from a .vnnlib file's input part, a JSON or CSV file, or the text ``lo:hi``."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np

from nnequiv.io.files import read_text
from nnequiv.io.vnnlib import load_query
from nnequiv.sets import Box, Polytope

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*:\s*({_NUMBER})\s*")


def load_box(source, dimension: int | None = None) -> Box | Polytope:
    """An input set.

    Parameters
    ----------
    source : str or path
        A ``.vnnlib`` file: its input part, which must be one set, not a union.
        A ``.json`` file: ``{"lower": [...], "upper": [...]}`` or the two lists.
        A ``.csv`` file: a row of lower and a row of upper bounds; a first column ``lower``, ``upper`` is allowed.
        The text ``lo:hi``: the same bounds on every input.
    dimension : int, optional
        Number of inputs: needed for ``lo:hi``, checked against a file.

    Returns
    -------
    Box or Polytope

    Raises
    ------
    ValueError
        One line that names the file and what is wrong with it.

    Examples
    --------
    >>> load_box("-1:0.5", dimension=2)
    Box(lower=[-1.0, -1.0], upper=[0.5, 0.5])
    """
    match = _RANGE.fullmatch(str(source))
    if match:
        if dimension is None:
            raise ValueError(f"box {source}: lo:hi needs the number of inputs")
        return Box(np.full(dimension, float(match[1])), np.full(dimension, float(match[2])))
    suffixes = [suffix.lower() for suffix in Path(source).suffixes if suffix.lower() != ".gz"]
    readers = {".vnnlib": _from_vnnlib, ".json": _from_json, ".csv": _from_csv}
    if not suffixes or suffixes[-1] not in readers:
        raise ValueError(f"box {source}: neither lo:hi nor a .vnnlib, .json or .csv file")
    result = readers[suffixes[-1]](source)
    if dimension is not None and result.dimension != dimension:
        raise ValueError(f"{source}: has {result.dimension} inputs, but {dimension} are needed")
    return result


def _from_vnnlib(path) -> Box | Polytope:
    query = load_query(path)
    if not query.cases:
        raise ValueError(f"{path}: {'; '.join(query.notes)}")
    if len(query.cases) > 1:
        raise ValueError(f"{path}: its input part is a union of {len(query.cases)} sets; load_query gives them all")
    return query.cases[0].input_set


def _from_json(path) -> Box:
    text = read_text(path)
    try:
        data = json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if isinstance(data, dict):
        missing = [key for key in ("lower", "upper") if key not in data]
        if missing:
            raise ValueError(f"{path}: no key {missing[0]!r} among {', '.join(map(repr, sorted(data)[:9])) or 'none'}")
        data = [data["lower"], data["upper"]]
    if not isinstance(data, list) or len(data) != 2:
        raise ValueError(f"{path}: expected a list of lower and a list of upper bounds")
    return _box(path, *data)


def _distinct(pairs: list) -> dict:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _from_csv(path) -> Box:
    try:
        rows = [row for row in csv.reader(read_text(path).splitlines()) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(f"{path}: not CSV ({error})") from None
    if len(rows) != 2:
        raise ValueError(f"{path}: {len(rows)} rows, but a box has a row of lower and a row of upper bounds")
    labels = [row[0].strip().lower() for row in rows]
    if labels == ["lower", "upper"]:
        rows = [row[1:] for row in rows]
    cells = [[cell.strip() for cell in row] for row in rows]
    for name, row in zip(("lower", "upper"), cells, strict=True):
        for i, cell in enumerate(row):
            if not re.fullmatch(_NUMBER, cell):
                raise ValueError(f"{path}: {name}[{i}] is {cell!r}, not a number")
    return _box(path, *([float(cell) for cell in row] for row in cells))


def _box(path, lower, upper) -> Box:
    for name, values in (("lower", lower), ("upper", upper)):
        if not isinstance(values, list) or any(type(v) not in (int, float) for v in values):
            raise ValueError(f"{path}: {name} is not a list of numbers")
    try:
        return Box(lower, upper)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from None
