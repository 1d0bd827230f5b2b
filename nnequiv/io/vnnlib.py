"""VNN-LIB files, versions 1.0 (read here) and 2.0 (through the ``vnnlib`` package), as a :class:`Query`.

Version 1.0 is what the ACAS Xu and MNIST benchmarks are written in: one network, inputs ``X_i``, outputs ``Y_i``.
Source: https://www.vnnlib.org (Demarchi et al. 2023, "Supporting standardization of neural networks verification with
VNNLIB and CoCoNet").
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from nnequiv.io.cases import build_query
from nnequiv.io.files import MAX_FILE_BYTES, MissingPackage, decode_text, read_bytes
from nnequiv.io.formula import And, Formula, Linear, Or, Variable, arithmetic, compare, number
from nnequiv.io.query import Declaration, Query
from nnequiv.io.sexpr import Atom, Group, read_groups
from nnequiv.io.vnnlib2 import parse_version_2

_NAME = re.compile(r"([XY])_(0|[1-9]\d*)")
#: Commands that ask a solver to do something and say nothing about the query.
_IGNORED = {"set-logic", "set-info", "set-option", "check-sat", "get-model", "exit"}
_VERSION = re.compile(r"^\s*\(\s*(vnnlib-version|declare-network)\b", re.MULTILINE)


def load_query(path) -> Query:
    """Read a ``.vnnlib`` file (or ``.vnnlib.gz``) of version 1.0 or 2.0; see :func:`parse_query` for an example.

    Raises
    ------
    ValueError
        One line that names the file, the line and what is wrong.
    MissingPackage
        For version 2.0 without the ``vnnlib`` package (an ImportError and a ValueError).
    """
    text = decode_text(read_unzipped(path), path)
    try:
        return parse_query(text)
    except MissingPackage:
        raise
    except ValueError as error:
        raise ValueError(f"{Path(path)}: {error}") from None


def read_unzipped(path) -> bytes:
    """A file's bytes, unzipped if they are gzip's."""
    data = read_bytes(path)
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.open(path) as file:
            data = file.read(MAX_FILE_BYTES // 16 + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged gzip file ({error})") from None
    if len(data) > MAX_FILE_BYTES // 16:
        raise ValueError(f"{path}: over {MAX_FILE_BYTES // 16} bytes when unzipped")
    return data


def parse_query(text: str) -> Query:
    """The query a text says, in version 2.0 if it declares networks, else in 1.0.

    Examples
    --------
    >>> query = parse_query('''
    ... (declare-const X_0 Real) (declare-const Y_0 Real)
    ... (assert (and (>= X_0 -1) (<= X_0 1.5e0)))
    ... (assert (or (> Y_0 2) (<= (+ Y_0 1) 0)))''')
    >>> query.input_sets
    (Box(lower=[-1.0], upper=[1.5]),)
    >>> [(c.matrix.tolist(), c.offset.tolist(), c.strict.tolist()) for c in query.cases[0].conjunctions]
    [([[1.0]], [-2.0], [True]), ([[-1.0]], [-1.0], [False])]
    """
    if _VERSION.search(text):
        return parse_version_2(text)
    return _parse_version_1(text)


def _parse_version_1(text: str) -> Query:
    names: dict[str, Variable] = {}
    assertions: list[Formula] = []
    for group in read_groups(text):
        if not group.items or isinstance(group.items[0], Group):
            raise ValueError(f"line {group.line}: a command such as (assert ...) is missing here")
        command = group.items[0].text
        if command in ("declare-const", "declare-fun"):
            _declare(group, names)
        elif command == "assert":
            if len(group.items) != 2:
                raise ValueError(f"line {group.line}: assert takes 1 formula, not {len(group.items) - 1}")
            assertions.append(_formula(group.items[1], names))
        elif command not in _IGNORED:
            raise ValueError(f"line {group.line}: command {command!r} is not declare-const or assert")
    counts = {}
    for letter, output in (("X", False), ("Y", True)):
        indices = {variable.index for variable in names.values() if variable.output == output}
        missing = next((i for i in range(len(indices)) if i not in indices), None)
        if missing is not None:
            raise ValueError(f"{letter}_{missing} is not declared, but {letter}_{max(indices)} is")
        counts[letter] = len(indices)
    if not counts["X"]:
        raise ValueError("no input X_0 is declared")
    declaration = Declaration("N", "X_", "Y_", (counts["X"],), (counts["Y"],))
    return build_query([declaration], assertions, "1.0")


def _declare(group: Group, names: dict[str, Variable]) -> None:
    """``(declare-const X_0 Real)`` or ``(declare-fun X_0 () Real)``."""
    words = [item.text if isinstance(item, Atom) else item for item in group.items]
    if words[0] == "declare-fun" and len(words) == 4 and words[2] == Group((), getattr(words[2], "line", 0)):
        del words[2]
    if len(words) != 3 or not all(isinstance(word, str) for word in words):
        raise ValueError(f"line {group.line}: expected (declare-const NAME Real)")
    name = _NAME.fullmatch(words[1])
    if name is None or words[2].lower() != "real":
        raise ValueError(f"line {group.line}: cannot declare {words[1]} {words[2]}: only X_i and Y_i of type Real")
    if words[1] in names:
        raise ValueError(f"line {group.line}: {words[1]} is declared twice")
    names[words[1]] = Variable(0, name[1] == "Y", int(name[2]))


def _operator(item: Atom | Group) -> str:
    if isinstance(item, Group) and item.items and isinstance(item.items[0], Atom):
        return item.items[0].text
    shown = item.text if isinstance(item, Atom) else "a group without an operator"
    raise ValueError(f"line {item.line}: expected (operator ...), found {shown}")


def _formula(item: Atom | Group, names: dict[str, Variable]) -> Formula:
    operator = _operator(item)
    arguments = item.items[1:]
    if operator in ("and", "or"):
        if not arguments:
            raise ValueError(f"line {item.line}: {operator} of nothing")
        parts = tuple(_formula(argument, names) for argument in arguments)
        return And(parts) if operator == "and" else Or(parts)
    if operator not in ("<=", ">=", "<", ">", "=", "==", "!="):
        raise ValueError(f"line {item.line}: {operator!r} is not one of and or <= >= < > =")
    if len(arguments) != 2:
        raise ValueError(f"line {item.line}: {operator} takes 2 arguments, not {len(arguments)}")
    left, right = (_linear(argument, names) for argument in arguments)
    return compare(operator, left, right, item.line)


def _linear(item: Atom | Group, names: dict[str, Variable]) -> Linear:
    if isinstance(item, Atom):
        if item.text in names:
            return Linear.of(names[item.text])
        return Linear.of(number(item.text, item.line))
    operator, arguments = _operator(item), [_linear(argument, names) for argument in item.items[1:]]
    if operator not in ("+", "-", "*", "/") or not arguments:
        raise ValueError(f"line {item.line}: {operator!r} of {len(arguments)} arguments is not arithmetic with + - * /")
    try:
        return arithmetic(operator, arguments)
    except ValueError as error:
        raise ValueError(f"line {item.line}: {error}") from None
