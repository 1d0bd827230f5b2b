"""VNN-LIB 2.0 through the ``vnnlib`` package, which parses and type-checks; one or more networks.

Source: the VNN-LIB 2.0 standard, https://github.com/VNNLIB/VNNLIB-Standard.
"""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction

from nnequiv.io.cases import build_query
from nnequiv.io.files import optional_package
from nnequiv.io.formula import And, Formula, Linear, Or, Variable, arithmetic, compare, number
from nnequiv.io.query import Declaration, Query
from nnequiv.io.sexpr import read_groups

_VERSION = re.compile(r"^\s*\(\s*vnnlib-version\s*<\s*([\d.]+)\s*>", re.MULTILINE)

#: A declared tensor with more entries is refused.
MAX_ENTRIES = 10**6
_TYPES = {"Real": "real", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
_COMPARISONS = {
    "LessEqual": "<=",
    "GreaterEqual": ">=",
    "LessThan": "<",
    "GreaterThan": ">",
    "Equal": "==",
    "NotEqual": "!=",
}


def parse_version_2(text: str) -> Query:
    """The query of a VNN-LIB 2.0 text.

    Raises
    ------
    ValueError
        What the package says, in one line, or what of the standard is not supported: other versions, hidden nodes,
        several inputs or outputs of one network, element types that are not real numbers.
    """
    package = optional_package("vnnlib", "reading VNN-LIB 2.0 files")
    read_groups(text)  # refuses unbalanced and very deep nesting, on which the package's parser can crash
    for version in _VERSION.findall(text):
        if version != "2.0":  # the package would guess, and print that it does
            raise ValueError(f"vnnlib-version is {version}: 2.0 is supported")
    try:
        tree = package.parse_query_string(text)
    except package.VNNLibException as error:
        raise ValueError(_one_line(str(error))) from None
    except (IndexError, RuntimeError, OverflowError) as error:  # of its C++: a number too long, as "stoll"
        raise ValueError(f"the package vnnlib cannot read it ({' '.join(str(error).split())})") from None
    declarations = [_declaration(network) for network in tree.networks]
    numbers = {declaration.name: k for k, declaration in enumerate(declarations)}
    reader = _Reader(numbers, declarations)
    assertions = [reader.formula(assertion.expr) for assertion in tree.assertions]
    return build_query(declarations, assertions, "2.0")


def _one_line(message: str) -> str:
    """The package reports syntax errors as a sentence and others as JSON."""
    try:
        first = json.loads(message)["errors"][0]
        return f"line {first['line']}: {first['message']} at {first['offendingSymbol']!r}: {first['hint']}"
    except (ValueError, KeyError, IndexError, TypeError):
        return " ".join(message.split())


def _declaration(network) -> Declaration:
    for kind, tensors, allowed in (
        ("hidden node", network.hidden, 0),
        ("input", network.inputs, 1),
        ("output", network.outputs, 1),
    ):
        if len(tensors) != allowed:
            raise ValueError(f"network {network.name} declares {len(tensors)} {kind}s: {allowed} is supported")
    tensors = (network.inputs[0], network.outputs[0])
    for tensor in tensors:
        if tensor.dtype.name not in _TYPES:
            raise ValueError(f"{tensor.name} has type {tensor.dtype.name}: only real numbers are supported")
        if not 1 <= math.prod(int(n) for n in tensor.shape) <= MAX_ENTRIES:
            raise ValueError(f"{tensor.name} has shape {list(tensor.shape)}: it needs 1 to {MAX_ENTRIES} entries")
    # The package's name for isomorphic-to differs between its releases.
    isomorphic = getattr(network, "isomorphic_to", None) or getattr(network, "isometric_to", None)
    return Declaration(
        network.name,
        *(tensor.name for tensor in tensors),
        *(tuple(int(n) for n in tensor.shape) for tensor in tensors),
        *(_TYPES[tensor.dtype.name] for tensor in tensors),
        equal_to=network.equal_to or None,
        isomorphic_to=isomorphic or None,
    )


class _Reader:
    """Walks the package's tree. ``line`` is the last one seen: only names and numbers carry theirs."""

    def __init__(self, numbers: dict[str, int], declarations: list[Declaration]):
        self.numbers, self.declarations, self.line = numbers, declarations, 0

    def formula(self, node) -> Formula:
        kind = type(node).__name__
        if kind in ("And", "Or"):
            parts = tuple(self.formula(part) for part in node.args)
            return And(parts) if kind == "And" else Or(parts)
        if kind not in _COMPARISONS:
            raise ValueError(f"near line {self.line}: {kind} is not a comparison, and, or")
        left, right = self.linear(node.lhs), self.linear(node.rhs)
        return compare(_COMPARISONS[kind], left, right, self.line)

    def linear(self, node) -> Linear:
        kind = type(node).__name__
        if kind == "Var":
            self.line = node.line
            return Linear.of(self.variable(node))
        if kind in ("Float", "Int", "Literal", "IntExpr"):
            self.line = node.line
            return Linear.of(number(node.lexeme, node.line))
        if kind == "Negate":
            return self.linear(node.expr).scaled(Fraction(-1))
        if kind == "Minus":
            return arithmetic("-", [self.linear(part) for part in (node.head, *node.rest)])
        if kind not in ("Plus", "Multiply"):
            raise ValueError(f"near line {self.line}: {kind} is not arithmetic with + - *")
        parts = [self.linear(part) for part in node.args]
        try:
            return arithmetic("+" if kind == "Plus" else "*", parts)
        except ValueError as error:
            raise ValueError(f"line {self.line}: {error}") from None

    def variable(self, node) -> Variable:
        network = self.numbers[node.network_name]
        output = node.kind.name == "Output"
        declaration = self.declarations[network]
        shape = declaration.output_shape if output else declaration.input_shape
        indices = [int(i) for i in node.indices]
        if len(indices) != len(shape) or not all(0 <= i < n for i, n in zip(indices, shape, strict=True)):
            raise ValueError(f"line {node.line}: {node.name}{indices} is not an entry of shape {list(shape)}")
        flat = 0
        for i, n in zip(indices, shape, strict=True):
            flat = flat * n + i
        return Variable(network, output, flat)
