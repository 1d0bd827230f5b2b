"""A query: networks, where their inputs may lie, and which outputs are unsafe. What a VNN-LIB file says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from nnequiv.io.contradiction import contradictory
from nnequiv.io.formula import Formula, Variable, holds
from nnequiv.network import Layer, Network
from nnequiv.relations import Objective
from nnequiv.sets import Box, Polytope


@dataclass(frozen=True)
class Declaration:
    """A network as the query declares it.

    Attributes
    ----------
    name : str
    input_name, output_name : str
        The tensors' names (``X`` and ``Y`` in VNN-LIB 1.0).
    input_shape, output_shape : tuple of ints
    input_type, output_type : str
        Declared element types, ``"real"``, ``"float32"``, ... They do not change the reading: real arithmetic.
    equal_to : str or None
        The declared network that this one is the same as.
    isomorphic_to : str or None
        The declared network that this one has the architecture of.
    """

    name: str
    input_name: str
    output_name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_type: str = "real"
    output_type: str = "real"
    equal_to: str | None = None
    isomorphic_to: str | None = None

    @property
    def n_inputs(self) -> int:
        return math.prod(self.input_shape)

    @property
    def n_outputs(self) -> int:
        return math.prod(self.output_shape)


@dataclass(frozen=True, eq=False)
class Conjunction:
    """``matrix[r] · y + offset[r] ≥ 0``, strictly where ``strict[r]``, for all rows; y are the stacked outputs.

    Attributes
    ----------
    matrix : (r, m) array
    offset : (r,) array
        Rounded upward where the exact value is no float64: never smaller than what the file says.
    strict : (r,) bool array
    lines : tuple of ints
        Where each row stands in the file.
    contradictory : bool
        Proved: no y satisfies the rows, whatever the networks.
    """

    matrix: np.ndarray
    offset: np.ndarray
    strict: np.ndarray
    lines: tuple[int, ...]

    @cached_property
    def contradictory(self) -> bool:
        return contradictory(self.matrix, self.offset, self.strict)

    def slack(self, outputs: Sequence) -> Fraction:
        """The smallest row's value at exact outputs ``(m,)``: how far inside (or, negative, outside) they are."""
        exact = [Fraction(y) for y in outputs]
        rows = zip(self.matrix, self.offset, strict=True)

        def value(row, offset) -> Fraction:
            return sum((Fraction(float(w)) * y for w, y in zip(row, exact, strict=True) if w), Fraction(float(offset)))

        return min((value(row, offset) for row, offset in rows), default=Fraction(1))

    @property
    def closed(self) -> bool:
        """Whether :meth:`objective` is to be read as "satisfied iff its value is ≥ 0" rather than "> 0"."""
        return bool(len(self.strict)) and not self.strict.any()

    def objective(self) -> Objective:
        """The conjunction as an objective of :mod:`nnequiv.relations`.

        With strict rows: they are the goals, the others are guards, so the conjunction is satisfied exactly where the
        value is > 0, as for every relation. Without strict rows (``closed``) all rows are goals: it is satisfied
        exactly where the value is ≥ 0, so an upper bound refutes it only if it is *below* 0, and a witness of value
        0 counts. No rows at all: the constant 1.
        """
        if not len(self.matrix):
            return Objective(self.matrix.sum(axis=0)[None], np.ones(1), self.matrix, self.offset)
        goal = self.strict if self.strict.any() else ~self.strict
        return Objective(self.matrix[goal], self.offset[goal], self.matrix[~goal], self.offset[~goal])


@dataclass(frozen=True, eq=False)
class Case:
    """One part of a query: satisfied by an input in the set whose outputs satisfy one of the conjunctions.

    ``input_set`` is closed: strict input constraints are read as non-strict, so it never loses an input. A witness
    is checked against the strict ones by :meth:`Query.holds`.
    """

    input_set: Box | Polytope
    conjunctions: tuple[Conjunction, ...]


@dataclass(frozen=True, eq=False)
class Query:
    """A query is satisfiable iff some joint input lies in some case and its outputs in one of its conjunctions.

    The sets and rows of the cases are never smaller than what the file says, so "no case can be satisfied" proves
    ``unsat``. They may be larger by a rounding or by the boundary of a strict input constraint, so a witness counts
    as ``sat`` only once :meth:`holds` confirms it.

    Attributes
    ----------
    declarations : tuple of Declaration
        The networks, in the order their outputs are stacked.
    dimension : int
        Number of *joint* inputs: two networks' inputs that are asserted equal are one.
    selections : tuple of int arrays
        ``selections[k][i]`` is the joint input that input i of network k reads.
    cases : tuple of Case
        Cases whose input set is proved empty are left out, with a note.
    assertions : tuple of Formula
        The whole query, exactly.
    notes : tuple of str
        What a reader should be told loudly: empty input sets, contradictory output parts.
    version : str
        ``"1.0"`` or ``"2.0"``.
    """

    declarations: tuple[Declaration, ...]
    dimension: int
    selections: tuple[np.ndarray, ...]
    cases: tuple[Case, ...]
    assertions: tuple[Formula, ...]
    notes: tuple[str, ...]
    version: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(declaration.name for declaration in self.declarations)

    @property
    def input_sets(self) -> tuple[Box | Polytope, ...]:
        """The input part: a union of sets of joint inputs."""
        return tuple(case.input_set for case in self.cases)

    @property
    def contradictory(self) -> bool:
        """Whether the query cannot be satisfied by any networks: nothing is asked of them."""
        return all(conjunction.contradictory for case in self.cases for conjunction in case.conjunctions)

    def network_inputs(self, joint) -> list[np.ndarray]:
        """Each network's input, from a joint input ``(dimension,)``."""
        return [np.asarray(joint, dtype=np.float64)[selection] for selection in self.selections]

    def holds(self, inputs: Sequence[Sequence], outputs: Sequence[Sequence]) -> bool:
        """Whether the query is satisfied, exactly: strict is strict, no tolerance.

        Parameters
        ----------
        inputs, outputs : one sequence of numbers a network
            Floats or Fractions; taken as they are. Outputs are not recomputed.
        """
        values = {}
        for side, given in ((False, inputs), (True, outputs)):
            for k, numbers in enumerate(given):
                values.update({Variable(k, side, i): Fraction(v) for i, v in enumerate(numbers)})
        return all(holds(formula, values) for formula in self.assertions)

    def bind(self, networks: Mapping[str, Network]) -> tuple[Network, ...]:
        """The networks as functions of the joint input, in the order of the declarations.

        Parameters
        ----------
        networks : mapping from declared name to Network
            A network declared ``equal-to`` another need not be given.

        Raises
        ------
        ValueError
            If one is missing, not declared, of another size than declared, or not equal or isomorphic as declared.
        """
        unknown = [name for name in networks if name not in self.names]
        if unknown:
            raise ValueError(f"network {unknown[0]} is not declared; declared are {', '.join(self.names)}")
        found = dict(networks)
        for declaration in self.declarations:
            if declaration.name not in found and declaration.equal_to in found:
                found[declaration.name] = found[declaration.equal_to]
            if declaration.name not in found:
                raise ValueError(f"network {declaration.name} is declared, but no file is given for it")
        for declaration in self.declarations:
            _check(declaration, found)
        return tuple(
            _on_joint_input(found[d.name], selection, self.dimension)
            for d, selection in zip(self.declarations, self.selections, strict=True)
        )


def _check(declaration: Declaration, found: Mapping[str, Network]) -> None:
    name, widths = declaration.name, (declaration.n_inputs, declaration.n_outputs)
    network = found[name]
    if (network.n_inputs, network.n_outputs) != widths:
        raise ValueError(
            f"network {name} is declared with {widths[0]} inputs and {widths[1]} outputs, "
            f"but its file has {network.n_inputs} and {network.n_outputs}"
        )
    twin = found.get(declaration.isomorphic_to)
    if twin is not None and twin.widths != network.widths:
        raise ValueError(
            f"network {name} is declared isomorphic-to one of widths {twin.widths}, but has {network.widths}"
        )
    twin = found.get(declaration.equal_to)
    if twin is not None and twin is not network:
        same = twin.widths == network.widths and all(
            np.array_equal(a.weight, b.weight) and np.array_equal(a.bias, b.bias)
            for a, b in zip(twin.layers, network.layers, strict=True)
        )
        if not same:
            raise ValueError(f"network {name} is declared equal-to {declaration.equal_to}, but their files differ")


def _on_joint_input(network: Network, selection: np.ndarray, dimension: int) -> Network:
    """The network with its first layer's columns moved to the joint inputs; exact, since no two meet."""
    if np.array_equal(selection, np.arange(dimension)):
        return network
    first = network.layers[0]
    weight = np.zeros((first.n_out, dimension))
    weight[:, selection] = first.weight
    return Network([Layer(weight, first.bias), *network.layers[1:]])
