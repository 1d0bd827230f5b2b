"""Finds the proof tree of a certificate: branch and bound towards a known bound, every closed part written down.

The engines say what the bound is; here only its proof is looked for, in floats, with the bounds of the engine
branch-and-bound. Nothing is trusted: the checker goes over every node again, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnequiv.certificate.program import Plain, Program, multipliers_of
from nnequiv.certificate.tree import Tree
from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.branch_and_bound.bounds import RowForms, row_forms
from nnequiv.reach.branch_and_bound.input_splitting import deciding_term, halve, split_axis
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.relu_splitting import neuron_of_generator
from nnequiv.reach.engine import InputSet
from nnequiv.reach.intervals import center_and_radius
from nnequiv.relations import Objective

#: Parts bounded at once.
BATCH = 128

#: A box with at most this many unstable neurons is finished by splitting neurons. Sets with more free inputs than
#: ``LOW_DIMENSION``, and pairs with no more hidden neurons than ``SMALL``, are split there only.
FEW, LOW_DIMENSION, SMALL = 8, 8, 16


class NotProved(ValueError):
    """No proof of the bound was found; it may be true all the same."""


def prove(
    networks: Sequence[Network],
    input_set: InputSet,
    objectives: Sequence[Objective],
    bound: float,
    control: Control,
) -> list:
    """Nodes, in preorder, of a tree that proves ``max over objectives and the input set ≤ bound``.

    Raises
    ------
    NotProved
        If a part with every neuron fixed stays above the bound: the bound is wrong, or true by less than rounding.
    nnequiv.Stopped
        When the time is up.

    Notes
    -----
    Sound: not needed, the checker decides. Complete: for bounds above the maximum by more than rounding. The checker
    relaxes f and g apart, so where they are nearly equal and the bound is near their distance trees grow very long:
    for an ACAS Xu network against its float16 copy (δ = 0.002 on property 4) a bound of 0.05 takes 1,400 nodes, one of
    0.01 takes 40,000, and δ + 1e-6 more than 300,000.
    """
    return _Prover(Question(networks, input_set, objectives), bound, control).run()


class _Prover:
    """Two stacks of open parts: boxes, which must prove all objectives, and boxes with signs, for one objective."""

    def __init__(self, question: Question, bound: float, control: Control):
        self.question, self.bound, self.control = question, bound, control
        self.n_hidden = sum(network.n_hidden for network in question.networks)
        by_neurons = len(question.input_set.free) > LOW_DIMENSION or self.n_hidden <= SMALL
        self.few = np.inf if by_neurons else FEW
        self.tree = Tree()
        self.boxes: list[tuple] = []
        self.parts: list[tuple] = []

    def run(self) -> list:
        box = self.question.input_set.box
        if not self.question.objectives:
            return [["leaf", []]]
        self.boxes.append((self.tree.root, box.lower, box.upper))
        while self.boxes or self.parts:
            self.control.check(nodes=len(self.tree), left=len(self.boxes) + len(self.parts))
            if self.boxes and len(self.parts) < BATCH:
                self._bound_boxes([self.boxes.pop() for _ in range(min(BATCH, len(self.boxes)))])
            else:
                self._bound_parts([self.parts.pop() for _ in range(min(BATCH, len(self.parts)))])
        return self.tree.preorder()

    def _bound_boxes(self, batch: list[tuple]) -> None:
        nodes, lower, upper = [entry[0] for entry in batch], *(np.array([e[k] for e in batch]) for k in (1, 2))
        center, radius = center_and_radius(lower, upper)
        forms = row_forms(self.question, center, radius)
        plain = Plain.of(self.question, forms, center, radius)
        proved = plain.values <= self.bound
        done = proved.all(axis=1)
        for i in np.flatnonzero(done):
            self.tree.leaf(nodes[i], plain.written(int(i), range(proved.shape[1]), self.bound))
        left = np.flatnonzero(~done)
        if not len(left):
            return
        worst = plain.values.argmax(axis=1)
        term = deciding_term(self.question, forms, plain.terms, worst, self.bound)[left]
        axis = split_axis(forms, self.question.row[term], left, radius[left])
        first, second, thin = halve(lower[left], upper[left], axis)
        finish = thin | (forms.unstable[left] <= self.few)
        for k, i in enumerate(left):
            if finish[k]:
                self._hand_over(
                    nodes[i],
                    lower[i],
                    upper[i],
                    proved[i],
                    plain.written(int(i), np.flatnonzero(proved[i]), self.bound),
                )
                continue
            a, b = self.tree.split(nodes[i], "input", int(axis[k]), float(first[1][k, axis[k]]).hex())
            self.boxes += [(a, first[0][k], first[1][k]), (b, second[0][k], second[1][k])]

    def _hand_over(self, node: int, lower, upper, proved, given: list) -> None:
        """One part for each objective that the box has left; those it proves share a leaf, with multipliers given."""
        left = np.flatnonzero(~proved).tolist()
        if proved.any():
            done, node = self.tree.split(node, "objectives", np.flatnonzero(proved).tolist())
            self.tree.leaf(done, given)
        for position, objective in enumerate(left):
            mine = node
            if position < len(left) - 1:
                mine, node = self.tree.split(node, "objectives", [objective])
            self.parts.append((mine, lower, upper, objective, np.zeros(self.n_hidden, dtype=np.int8)))

    def _bound_parts(self, batch: list[tuple]) -> None:
        lower, upper, objective, signs = (np.array([entry[k] for entry in batch]) for k in (1, 2, 3, 4))
        center, radius = center_and_radius(lower, upper)
        forms = row_forms(self.question, center, radius, signs)
        plain = Plain.of(self.question, forms, center, radius)
        proved = plain.values[np.arange(len(batch)), objective] <= self.bound
        for i in np.flatnonzero(proved):
            self.tree.leaf(batch[i][0], plain.written(int(i), [objective[i]], self.bound))
        for i in np.flatnonzero(forms.infeasible & ~proved):
            self.tree.leaf(batch[i][0])
        left = np.flatnonzero(~(proved | forms.infeasible))
        if len(left):
            self._sharpen(batch, forms, left, (center, radius), objective, signs)

    def _sharpen(self, batch, forms: RowForms, left, box, objective, signs) -> None:
        """Leaves with multipliers where they prove the bound; a split at the costliest neuron elsewhere."""
        neuron = neuron_of_generator(forms)
        for chunk in Program.chunks(left, forms):
            program = Program.build(self.question, forms, chunk, objective[chunk], signs[chunk], box, self.bound)
            fixed = ~(neuron[chunk] >= 0).any(axis=1)
            found = multipliers_of(program, fixed, self.bound)
            cost = np.abs(found.residual) + 0.05 * np.abs(program.objective)
            cost = np.where(neuron[chunk] >= 0, cost[:, : neuron.shape[1]], -1.0)
            choice = neuron[chunk, cost.argmax(axis=1)] if cost.shape[1] else np.full(len(chunk), -1)
            for k, i in enumerate(chunk):
                if found.value[k] <= self.bound:
                    self.tree.leaf(batch[i][0], [[int(objective[i]), program.written(k, found.weights[k])]])
                elif fixed[k]:
                    raise NotProved(
                        f"a part with every neuron fixed has the bound {found.value[k]:.17g}, above {self.bound:.17g}"
                    )
                else:
                    self._split(batch[i], int(choice[k]))

    def _split(self, part: tuple, neuron: int) -> None:
        node, lower, upper, objective, signs = part
        for child, sign in zip(self.tree.split(node, "relu", neuron), (-1, 1), strict=True):
            fixed = signs.copy()
            fixed[neuron] = sign
            self.parts.append((child, lower, upper, objective, fixed))
