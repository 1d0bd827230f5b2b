"""Splitting ReLUs of two nearly equal networks, bounded by their difference: for wide inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.reach.branch_and_bound.ascent import best_on_segments, climb
from nnequiv.reach.branch_and_bound.differential import Choice, Pair, standard_choice
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.search import Children, Search
from nnequiv.reach.branch_and_bound.slopes import sharpen
from nnequiv.reach.intervals import center_and_radius
from nnequiv.rounding import UNIT, dot_error, gamma

#: Gradient steps for the whole input set, and for a part.
ROOT_STEPS, STEPS = 20, 10

#: Parts with at most this many free pairs go to the sharper dual bound, if the inputs are at most so many.
FEW, SMALL = 8, 100

#: A climb starts from a part's suggestion if its value is about this share of the best, at least.
PROMISING = 0.8


def applies(question: Question) -> bool:
    """Whether the question is about two networks with equal hidden widths, on a box."""
    networks = question.networks
    return (
        len(networks) == 2
        and len(networks[0].layers) > 1
        and networks[0].widths[1:-1] == networks[1].widths[1:-1]
        and not len(question.input_set.cuts[1])
    )


def term_functionals(question: Question, pair: Pair):
    """Terms on the last hidden layer: coefficients ``(T, n)`` for f and g, constants and rounding ``(T,)``."""
    goals, offset = question.sign[:, None] * question.rows[question.row], question.offset
    f, g = (network.layers[-1] for network in question.networks)
    f_rows, g_rows = goals[:, : f.n_out], goals[:, f.n_out :]
    constant = f_rows @ f.bias + g_rows @ g.bias + offset
    last = pair.bounds[-1]
    reach_f, reach_g = np.maximum(last.f_high[0], 0.0), np.maximum(last.g_high[0], 0.0)
    magnitude = np.abs(f_rows) @ (np.abs(f.weight) @ reach_f + np.abs(f.bias))
    magnitude += np.abs(g_rows) @ (np.abs(g.weight) @ reach_g + np.abs(g.bias)) + np.abs(offset)
    return f_rows @ f.weight, g_rows @ g.weight, constant, 2 * dot_error(goals.shape[1] + f.n_in, magnitude)


@dataclass(frozen=True, eq=False)
class Group:
    """Objectives that one term closes: a goal at the target, a guard below 0."""

    term: int
    is_goal: bool
    objectives: np.ndarray


class PairSplitting:
    """Parts are ``group (B,)``, ``signs (B, 2 N)`` (f's neurons, then g's), and the choices they were bounded with.

    An objective is closed by one of its terms: its goal, or a guard that is nearer to failing everywhere; a group are
    all objectives that one term closes. So top-1 is decided by each network's own flips: where f keeps its winner, the
    guards of all other winners fail.

    One split per pair suffices: with D's coefficient positive and f's sign known (or negative and g's known), D is
    linear in Δ once the partner's lower slope is set to 1 or 0.
    """

    def __init__(self, search: Search):
        question = search.question
        self.question, box = question, question.input_set.box
        self.pair = Pair(*question.networks, *center_and_radius(box.lower, box.upper))
        self.cf, self.cg, self.constant, self.rounding = term_functionals(question, self.pair)
        self.widths = question.networks[0].widths[1:-1]
        self.neurons = sum(self.widths)
        self.terms = np.append(
            self.pair.upper(self.cf, self.cg, self.constant, len(self.widths)) + self.rounding, np.inf
        )

    def first_bound(self) -> float:
        """The largest objective over the whole input set at most, before any choice is improved."""
        return float(self.question.objective_upper(self.terms[None]).max())

    def root(self, search: Search, bound: np.ndarray, objective: np.ndarray) -> Children | None:
        """Bound some objectives over the whole input set, after a first look for witnesses."""
        box = self.question.input_set.box
        rng = np.random.default_rng(0)  # the same question always gets the same answer
        corners = self.pair.center + rng.choice([-1.0, 1.0], size=(24, box.dimension)) * self.pair.radius
        self._climb(search, np.vstack([box.center, box.sample(rng, 24), corners]), 1.0)
        self.groups = self._grouped(search, objective)
        if self.question.guards.shape[1]:
            self._look_for_flips(search, rng)
        count = len(self.groups)
        bound = np.array([bound[np.isin(objective, group.objectives)].max() for group in self.groups])
        choices = [standard_choice(line, count) for line in self.pair.lines]
        for choice in choices:
            choice.f_weight = choice.g_weight = np.zeros_like(choice.f_slope)
        signs = np.zeros((count, 2 * self.neurons), dtype=np.int8)
        return self._bounded(search, bound, {"group": np.arange(count), "signs": signs}, choices, ROOT_STEPS)

    def _grouped(self, search: Search, objective: np.ndarray) -> list[Group]:
        """Objectives by the term that is nearest to closing them: what its bound lacks, over bound − centre value.

        A guard closes many objectives at once, so it is preferred.
        """
        question = self.question
        center = np.hstack([network.evaluate(question.input_set.box.center) for network in question.networks])
        value = question.sign * (question.rows @ center)[question.row] + question.offset
        goals, guards = question.goals[objective], question.guards[objective]
        both = np.concatenate([goals, guards], axis=1)
        wanted = np.where(np.arange(both.shape[1]) < goals.shape[1], max(search.target, -1e300), 0.0)
        lacking = self.terms[both] - wanted
        room = np.maximum(self.terms[both] - np.append(value, 0.0)[both], 1e-12 * np.abs(lacking) + 1e-300)
        nearness = np.where(np.isfinite(lacking), lacking, 1e300) / np.where(np.isfinite(room), room, 1.0)
        nearness[:, goals.shape[1] :] /= 2
        chosen = nearness.argmin(axis=1)
        term, is_goal = both[np.arange(len(objective)), chosen], chosen < goals.shape[1]
        keys = sorted(set(zip(term.tolist(), is_goal.tolist(), strict=True)))
        return [Group(t, goal, objective[(term == t) & (is_goal == goal)]) for t, goal in keys]

    def _terms(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The term of each part, and whether it is a goal."""
        terms, goals = np.array([g.term for g in self.groups]), np.array([g.is_goal for g in self.groups])
        return terms[group], goals[group]

    def expand(self, bound: np.ndarray, parts: dict, search: Search) -> dict[str, Children | None]:
        """Split each part at its costliest pair and bound both halves; hand on parts with few pairs left to split."""
        lines, _ = self.pair.lines_of(parts["signs"])
        choices, signs = self._choices(parts), self.pair.signs_of(parts["signs"])
        column, partner, splittable = self._select(self._terms(parts["group"])[0], lines, choices, signs)
        finish = self._handed_on(bound, parts, np.flatnonzero(~splittable))
        split = np.flatnonzero(splittable)
        if not len(split):
            return {"signs": finish}
        halves = {name: np.tile(values[split], (2, *[1] * (values.ndim - 1))) for name, values in parts.items()}
        first, second = np.arange(len(split)), np.arange(len(split)) + len(split)
        column, partner = column[split], partner[split]
        for half, sign in ((first, 1), (second, -1)):
            halves["signs"][half, column] = sign
            halves["slopes"][half, partner] = max(sign, 0)
        choices = self._choices(halves)
        return {"pairs": self._bounded(search, np.tile(bound[split], 2), halves, choices, STEPS), "signs": finish}

    def _handed_on(self, bound: np.ndarray, parts: dict, rest: np.ndarray) -> Children:
        """Parts to be finished by :class:`.relu_splitting.ReluSplitting`, once an objective."""
        box, members = self.question.input_set.box, [self.groups[group].objectives for group in parts["group"][rest]]
        rest = np.repeat(rest, [len(m) for m in members])
        fields = {
            "lower": np.tile(box.lower, (len(rest), 1)),
            "upper": np.tile(box.upper, (len(rest), 1)),
            "objective": np.concatenate([np.zeros(0, dtype=int), *members]),
            "signs": parts["signs"][rest],
        }
        return Children(bound[rest], fields)

    def _bounded(self, search: Search, bound, fields, choices, steps) -> Children | None:
        """Prove bounds of parts, offer the points they suggest, close what can be closed."""
        (term, is_goal), signs = self._terms(fields["group"]), self.pair.signs_of(fields["signs"])
        lines, empty = self.pair.lines_of(fields["signs"])
        search.nodes += len(bound)
        rows = self.cf[term], self.cg[term], self.constant[term]
        target = np.where(is_goal, search.target, 0.0)
        found = sharpen(self.pair, *rows, lines, choices, signs, target, steps)
        stored = self._stored(found.choices)
        done = self.pair.backward(*rows, lines, self._choices(stored), signs)
        slack = self.pair.slack(done, rows[2]) + self.rounding[term]
        upper = done.value + slack * (1 + gamma(8)) + 4 * UNIT * np.abs(done.value)
        failing = ~is_goal & (upper < 0)
        upper = np.where(is_goal & (upper < bound), upper, bound)  # a guard that may hold says nothing, nor does NaN
        upper[failing] = -np.inf
        upper[empty] = -np.inf
        points = found.points.reshape(-1, found.points.shape[2])
        search.best.offer(points)
        self._polish(search, points)
        alive = upper > search.target
        search.close(upper[~alive])
        if search.decided:
            search.give_up(upper[alive])
            return None
        kept = {name: values[alive] for name, values in (fields | stored).items()}
        return Children(upper[alive], kept)

    def _select(self, term, lines, choices, signs):
        """Per part: the neuron to split (of 2 N), its partner's lower slope (of 2 N), and whether there is one."""
        done = self.pair.backward(self.cf[term], self.cg[term], self.constant[term], lines, choices, signs)
        steps = done.steps[::-1]
        # A guard is about one network: the other's neurons do not matter.
        f_free = np.hstack([line.f_free for line in lines]) & self.cf[term].any(axis=1)[:, None]
        g_free = np.hstack([line.g_free for line in lines]) & self.cg[term].any(axis=1)[:, None]
        free = f_free | g_free
        f_cost = np.hstack([step.f_rest * step.f_line[1] for step in steps])
        g_cost = np.hstack([step.g_rest * step.g_line[1] for step in steps])
        moved = np.hstack([step.moved for step in steps])
        cost = f_cost + g_cost + np.hstack([step.moved * step.d_line[1] for step in steps])
        worst = np.where(free, cost, -1.0).argmax(axis=1)
        part = np.arange(len(worst))
        t = moved[part, worst]
        take_f = f_free[part, worst] & (~g_free[part, worst] | (t > 0) | ((t == 0) & (f_cost >= g_cost)[part, worst]))
        column = np.where(take_f, worst, worst + self.neurons)
        few = free.sum(axis=1) <= (FEW if self.question.input_set.box.dimension <= SMALL else 0)
        return column, np.where(take_f, worst + self.neurons, worst), ~few

    def _polish(self, search: Search, points: np.ndarray) -> None:
        """Climb from the best of the suggested points, in short steps."""
        values, lower = search.question.values(points).max(axis=1), search.best.lower
        order = np.argsort(-values)[:8]
        order = order[values[order] > lower - (1 - PROMISING) * abs(lower)]
        if len(order) and not self.question.guards.shape[1]:
            self._climb(search, points[order], 0.1)

    def _climb(self, search: Search, points: np.ndarray, first: float) -> None:
        box = self.question.input_set.box
        goals = np.array([objective.goal[0] for objective in self.question.objectives])
        mine = goals[self.question.values(box.clip(points)).argmax(axis=1)]
        rows = np.split(mine, [self.question.networks[0].n_outputs], axis=1)
        search.best.offer(climb(self.question.networks, rows, box.lower, box.upper, points, first))

    def _look_for_flips(self, search: Search, rng: np.random.Generator) -> None:
        """Climb against the terms that could close the objectives, and look for a disagreement on the way there."""
        question, box = self.question, self.question.input_set.box
        term = np.array([group.term for group in self.groups])
        goals = np.repeat(question.sign[term, None] * question.rows[question.row[term]], 3, axis=0)
        rows = np.split(goals, [question.networks[0].n_outputs], axis=1)
        starts = np.where(np.arange(len(goals))[:, None] % 3, box.sample(rng, len(goals)), box.center)
        ends = climb(question.networks, rows, box.lower, box.upper, starts)
        search.best.offer(best_on_segments(lambda x: question.values(x).max(axis=1), box.center, ends))

    def _stored(self, choices: list[Choice]) -> dict[str, np.ndarray]:
        """Choices as fields of a part, in few bytes: any rounding of them is another choice."""
        slopes = [np.hstack([getattr(c, name) for c in choices]) for name in ("f_slope", "g_slope", "share")]
        weights = [np.hstack([getattr(c, name) for c in choices]) for name in ("f_weight", "g_weight")]
        return {"slopes": np.hstack(slopes).astype(np.float16), "weights": np.hstack(weights).astype(np.float32)}

    def _choices(self, fields: dict[str, np.ndarray]) -> list[Choice]:
        slopes = np.split(fields["slopes"].astype(np.float64), 3, axis=1)
        weights = np.split(fields["weights"].astype(np.float64), 2, axis=1)
        return [Choice(*layer) for layer in zip(*(self.pair.by_layer(v) for v in (*slopes, *weights)), strict=True)]
