"""The walk of the skeleton engine: one complex after the other through all layers, depth-first.

Rows are ``[position (d) | home | scratch | outputs so far | values of the step in work]``. ``home`` is the number of
the box a vertex belongs to; interpolating two equal numbers keeps it. ``scratch`` is for bisections. Neurons that are
negative everywhere in a part have no column.

A part that grows over the memory budget is bisected, between two steps or within one, and one half is put aside
(:mod:`nnequiv.reach.skeleton.bisection`). After the last layer one more step cuts by the question's planes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nnequiv.control import Control
from nnequiv.reach.skeleton.bisection import bisect
from nnequiv.reach.skeleton.budget import Budget
from nnequiv.reach.skeleton.buffers import Part
from nnequiv.reach.skeleton.cells import cells_by_lowest, pieces_by_home
from nnequiv.reach.skeleton.complex import Complex, cube
from nnequiv.reach.skeleton.drift import INTERPOLATION, Columns
from nnequiv.reach.skeleton.layer_rows import write_layer
from nnequiv.reach.skeleton.plan import BISECTIONS, NEAR, Plan, Step
from nnequiv.reach.skeleton.state import Cuts, State, part_box
from nnequiv.rounding import UNDERFLOW, dot_error

#: Vertices from which on a walk is worth dividing among processes.
WORTH_DIVIDING = 20_000
#: Vertices to reserve room for at most: a huge budget need not be there from the start.
ROOM = 500_000


@dataclass(frozen=True, eq=False)
class Leaf:
    """A finished part, subdivided by the question's planes.

    ``positions, outputs, questions``: (vertices, d), (vertices, m), (vertices, q), stored values. ``home`` (vertices,).
    ``shifts`` (q,): by how much the question columns are raised. ``pieces`` (boxes,): cells with interior, the
    question's planes not counted.
    """

    complex: Complex
    state: State
    positions: np.ndarray
    home: np.ndarray
    outputs: np.ndarray
    questions: np.ndarray
    shifts: np.ndarray
    pieces: np.ndarray


class Walk:
    """Parts in work and put aside. ``memory``: budget for all arrays in MB."""

    def __init__(self, plan: Plan, memory: float):
        self.plan, self.budget = plan, Budget(plan, memory)
        self.stack: list[tuple[State, Part]] = []
        self._grown: float | None = None  # by how much the step in work did so far; None if the part began within it
        self._complex: Complex | None = None
        self.state: State | None = None  # of the part in work; None between parts
        self.boxes = np.zeros(0, dtype=int), np.zeros((0, plan.d)), np.zeros((0, plan.d))  # of the part in work

    # -- the search -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Put the input sets themselves on the stack; nothing if they are empty."""
        plan = self.plan
        d, boxes = plan.d, len(plan.job.boxes)
        corner = np.arange(1 << d)[:, None] >> np.arange(d) & 1  # (corners, d)
        positions = np.where(corner, plan.upper[:, None], plan.lower[:, None]).reshape(-1, d)
        rows = np.zeros((len(positions), d + 2))
        rows[:, :d], rows[:, d] = positions, np.repeat(np.arange(boxes), 1 << d)
        # A stream of its own: with that of the planes, the hashes of boxes would be plane numbers, and names collide.
        part = cube(rows, d, plan.planes, plan.rng(len(plan.steps) + 1))
        none = Columns.none(d)
        state = State(0, np.zeros(0, dtype=int), none, none)
        for row, bound, plane in zip(*plan.job.cuts, range(2 * d, plan.first_bisection), strict=True):
            part = self._inside(part, row, bound, plane)
            if not len(part.start):
                return
        self.stack.append((state, part))

    def leaves(self, control: Control) -> Iterator[Leaf]:
        """Finish part after part. The arrays of a leaf are valid until the next one.

        Raises
        ------
        Degenerate, Stopped
            ``state`` is then that of the part that was in work, and not None. The generator is over; the parts on
            the stack are not: call again.
        """
        while self.stack:
            self._take(*self.stack[-1])
            self.stack.pop()  # only now: an interruption must not lose a part
            while self.state.step <= len(self.plan.steps):
                control.check(left=len(self.stack) + 1)
                self._advance_and_learn()
                self._bisect_if_large()
            yield self._leaf()
            self.state = None

    def spread(self, parts: int, control: Control) -> None:
        """Walk until the work is worth dividing, then divide it: at most ``parts`` parts on the stack."""
        self._take(*self.stack[-1])
        while self.state.step < len(self.plan.steps) and self._complex.n_vertices < WORTH_DIVIDING:
            control.check(left=1)
            self._advance()
        waiting = [self._put_aside()]
        while len(waiting) < parts:
            waiting.sort(key=lambda entry: len(entry[1].start))
            self._take(*waiting[-1])
            halves = bisect(self._complex, self.plan, self.state)
            if halves is None:
                break
            self.state = halves[1]
            waiting[-1:] = [self._put_aside(), halves[0]]
        self.state = None
        self.stack[-1:] = waiting  # only now: an interruption must not lose a part

    def with_stack(self, stack: list[tuple[State, Part]]) -> Walk:
        """A walk over other parts of the same plan, small enough to send."""
        other = Walk(self.plan, self.budget.memory)
        other.stack, other.budget = stack, self.budget
        return other

    def _take(self, state: State, part: Part) -> None:
        if self._complex is None:
            self._complex = Complex(self.plan.planes, part)
        else:
            self._complex.load(part)
        self._complex.near_misses = state.near_misses
        self.state, self._grown = state, None
        self._complex.room = int(min(ROOM, 1.1 * self._cap()))
        self.boxes = part_box(self.plan, state, part.rows)

    def _put_aside(self) -> tuple[State, Part]:
        c = self._complex
        return replace(self.state, near_misses=c.near_misses), c.part(np.ones(c.n_edges, dtype=bool), c.inside)

    # -- one step ---------------------------------------------------------------------------------------------------

    def _advance_and_learn(self) -> None:
        step, before = self.state.step, self._complex.n_vertices
        if self.state.cuts is None:
            self._grown = 1.0
        self._advance()
        if self._grown is not None:
            self._grown *= self._complex.n_vertices / before
            if self.state.step > step:
                self.budget.learn_growth(step, self._grown)

    def _advance(self) -> None:
        """An affine map on all vertices, or cuts by its neurons: all, or as many as the cap allows."""
        if self.state.step == len(self.plan.steps):
            self._ask() if self.state.cuts is None else self._cut_questions()
            return
        step = self.plan.steps[self.state.step]
        if self.state.cuts is not None:
            self._cut(step)
        elif step.last:
            self._finish_network(step)
        else:
            self._begin_layer(step)

    def _begin_layer(self, step: Step) -> None:
        state, values = self.state, self._proved(step)
        shift = self.plan.shift(state.step, values.size)
        neurons, low, high = write_layer(self._complex, self.plan, state, step, shift)
        self.budget.learn_width(state.step, self._complex.rows.shape[1])
        columns = np.flatnonzero((low[neurons] < 0) & (high[neurons] >= 0))
        cuts = Cuts(columns, NEAR * shift, np.zeros(len(low)), low, high)
        self.state = replace(state, neurons=neurons, values=values.shifted(shift).measured(low, high), cuts=cuts)

    def _cut(self, step: Step) -> None:
        state, cuts, c = self.state, self.state.cuts, self._complex
        neurons, base = state.neurons[cuts.columns], self.plan.d + 2 + len(state.outputs.size)
        times, skipped = c.cut(base + cuts.columns, step.plane + neurons, cuts.near[neurons], self._limit())
        done, slack = len(skipped), cuts.slack.copy()
        slack[neurons[:done][skipped]] = cuts.near[neurons[:done][skipped]]
        values = state.values.interpolated(times, self.plan.reach)
        outputs = state.outputs.interpolated(times, self.plan.reach)
        left = replace(cuts, columns=cuts.columns[done:], slack=slack)
        if not len(left.columns):
            values, left = values.relu(cuts.low, cuts.high, slack), None
        self.state = replace(state, step=state.step + (left is None), values=values, outputs=outputs, cuts=left)

    def _finish_network(self, step: Step) -> None:
        state = self.state
        _, low, high = write_layer(self._complex, self.plan, state, step, np.zeros(len(step.bias)))
        outputs = state.outputs.beside(self._proved(step).measured(low, high))
        self.state = replace(state, step=state.step + 1, neurons=np.zeros(0, dtype=int), outputs=outputs)

    def _proved(self, step: Step) -> Columns:
        """What is proved about a step's values right after its product."""
        if not step.first:
            return self.state.values.affine(step.weight, step.bias)
        plan = self.plan
        weight = np.abs(plan.first_map(step.weight, step.bias)[0]).max(axis=0)  # (n, d)
        ends = np.maximum(*(np.abs([getattr(b, side) for b in plan.job.boxes]) for side in ("lower", "upper")))
        size = np.abs(step.weight) @ ends.max(axis=0) + np.abs(step.bias)
        return Columns(weight, dot_error(step.weight.shape[1] + 1, size), np.zeros(len(size)), size)

    # -- ends -------------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Write the question's values: ``[outputs | questions | of how many cells this vertex is the lowest]``."""
        plan, c, state, questions = self.plan, self._complex, self.state, self.plan.questions
        d, m, q = plan.d, len(state.outputs.size), len(questions.offsets)
        if not q:
            self.state = replace(state, step=state.step + 1, shifts=np.zeros(0))
            return
        proved = state.outputs.affine(questions.rows, questions.offsets)
        # An x with guard ≥ 0 must not lie in a cell whose vertices are all negative: twice drift and bend.
        rounding = proved.interpolated(q + BISECTIONS, plan.reach).error
        shifts = 2 * rounding + plan.shift(state.step, proved.size)
        lowest = cells_by_lowest(c, plan)
        old, count = c.rows, c.n_vertices
        rows = c.other_rows(int(count * 1.5) + 256, d + 2 + m + q + 1)
        rows[:count, : d + 2 + m] = old[:count, : d + 2 + m]
        rows[:count, d + 2 + m : -1] = old[:count, d + 2 : d + 2 + m] @ questions.rows.T + (questions.offsets + shifts)
        rows[:count, -1] = lowest
        c.rows = rows
        none = np.zeros(0)
        self.state = replace(state, shifts=shifts, cuts=Cuts(np.arange(q), none, none, none, none))

    def _cut_questions(self) -> None:
        state, columns, first = self.state, self.state.cuts.columns, self.plan.d + 2 + len(self.state.outputs.size)
        ids, never = self.plan.first_question + columns, np.full(len(columns), -1.0)
        times, skipped = self._complex.cut(first + columns, ids, never, self._limit())
        left = columns[len(skipped) :]
        self.state = replace(
            state,
            outputs=state.outputs.interpolated(times, self.plan.reach),
            cuts=replace(state.cuts, columns=left) if len(left) else None,
            step=state.step + (not len(left)),
        )

    def _leaf(self) -> Leaf:
        plan, c, state = self.plan, self._complex, self.state
        d, m, q = plan.d, len(state.outputs.size), len(state.shifts)
        rows = c.rows[: c.n_vertices]
        return Leaf(
            complex=c,
            state=state,
            positions=rows[:, :d],
            home=rows[:, d],
            outputs=rows[:, d + 2 : d + 2 + m],
            questions=rows[:, d + 2 + m : d + 2 + m + q],
            shifts=state.shifts,
            pieces=pieces_by_home(c, plan, rows[:, -1] if q else cells_by_lowest(c, plan)),
        )

    def _inside(self, part: Part, row: np.ndarray, bound: float, plane: int) -> Part:
        """The part where ``row @ x ≤ bound``, and a little more: see :mod:`nnequiv.reach.skeleton.drift`, 2."""
        plan, d = self.plan, self.plan.d
        weight, constant = plan.first_map(-row[None], np.array([bound]))
        box = plan.job.boxes[0]
        size = np.abs(row) @ np.maximum(np.abs(box.lower), np.abs(box.upper)) + abs(bound)
        nested = plan.n_planes + BISECTIONS  # interpolations between a vertex now and at the end
        shift = dot_error(len(row) + 1, size) + 4 * nested * (INTERPOLATION * size + 8 * UNDERFLOW)
        part.rows[:, d + 1] = part.rows[:, :d] @ weight[0, 0] + (constant[0, 0] + shift)
        c = Complex(plan.planes, part)
        positive, _ = c.cut_in_two(d + 1, plane)
        inside = part.inside.copy()
        inside[plane, 0] = False
        return c.part(positive, inside)

    def _bisect_if_large(self) -> None:
        c = self._complex
        growth = self.budget.growth[self.state.step + (self.state.cuts is not None) :].prod()
        if self.state.cuts is None and growth == 1.0:  # nothing is left to cut
            return
        while c.n_vertices * (growth if c.n_vertices > self._cap() / 3 else 1.0) > self._cap():
            halves = bisect(c, self.plan, self.state)
            if halves is None:
                return
            self.stack.append(halves[0])
            self.state = halves[1]
            self.boxes = part_box(self.plan, self.state, c.rows[: c.n_vertices])  # only now: see leaves()

    def _cap(self) -> float:
        return self.budget.cap(self.state.step, self._complex.rows.shape[1])

    def _limit(self) -> float:
        """Vertices at which a group of cuts stops; a part that is too large and cannot be bisected must go on."""
        return max(self._cap(), 1.2 * self._complex.n_vertices)
