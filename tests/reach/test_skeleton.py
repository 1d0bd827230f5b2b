"""The skeleton engine: known answers on real networks, degenerate pairs, many boxes, parts, interruptions."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.merge import pad_depth
from nnequiv.network import Network
from nnequiv.reach.engine import attained
from nnequiv.reach.skeleton.cells import cells
from nnequiv.reach.skeleton.complex import Degenerate
from nnequiv.reach.skeleton.engine import Skeleton, _jobs
from nnequiv.reach.skeleton.exploration import Exploration
from nnequiv.reach.skeleton.faces import Faces
from nnequiv.reach.skeleton.plan import SHIFTS
from nnequiv.reach.star import Star
from nnequiv.reach.vertices import Vertices
from nnequiv.relations import Order, Top1, TopK, discrepancy_objectives, output_objectives
from nnequiv.rounding import evaluate_exact
from nnequiv.sets import Box, Polytope
from tests.oracles.brute_force import brute_force
from tests.oracles.random_pairs import KINDS, random_pair
from tests.oracles.real_pairs import ORIGINAL, acas, real_box, real_network

SMALL = 0.5  # MB: so little that parts are bisected many times


def discrepancy(pair, input_set, engine=None, **options):
    engine = engine or Skeleton()
    return engine.maximise(pair, input_set, discrepancy_objectives(pair[0].n_outputs), 1e-6, Control(), **options)


def random_network(rng, *widths):
    return Network(
        (rng.normal(size=(m, n)) * 1.4 / np.sqrt(n), rng.normal(size=m) * 0.4)
        for n, m in zip(widths, widths[1:], strict=False)
    )


def middling_pair(seed):
    """A few thousand pieces in three dimensions: enough to be bisected under SMALL."""
    rng = np.random.default_rng(seed)
    return (random_network(rng, 3, 12, 10, 2), random_network(rng, 3, 9, 2)), Box(-np.ones(3), np.ones(3))


# -- known answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prop, pieces, lower, upper",
    [
        (
            4,
            19_143,
            [0.1575686508062808, 0.1511581951767309, 0.13589379982872796, 0.08464335476236373, 0.07508090277461088],
            [0.26529085131321417, 0.29123059332012524, 0.29564112969927137, 0.2802786192881366, 0.2958885538504914],
        ),
        (
            3,
            71_930,
            [0.11823782058808247, 0.10710406456265087, 0.11277723886273494, 0.050968706174942424, 0.06950041252038683],
            [0.16322901755173258, 0.17227824080814447, 0.17571800663922538, 0.14062369028329513, 0.17091523026364186],
        ),
    ],
)
def test_pieces_and_ranges_of_one_acas_network(prop, pieces, lower, upper):
    network, box = real_network(ORIGINAL), real_box(f"acasxu/prop_{prop}.vnnlib")
    found, low, high = Skeleton().survey((network,), box, Control())
    assert found == pieces
    np.testing.assert_allclose(low, lower, rtol=0, atol=5e-9)
    np.testing.assert_allclose(high, upper, rtol=0, atol=5e-9)
    assert (low <= lower).all() and (high >= upper).all()  # proved bounds lie outside


@pytest.mark.parametrize(
    "kind, prop, pieces, value, output",
    [
        ("retrain", 4, 252_474, 0.314442846714308, 2),
        ("student", 4, 81_247, 0.325180845814014, 3),
        pytest.param("retrain", 3, 817_376, 0.187909049367835, 2, marks=pytest.mark.slow),
        pytest.param("student", 3, 555_046, 0.223509243581231, 3, marks=pytest.mark.slow),
        pytest.param("retrain", 5, 270_519, 0.892791251607514, 3, marks=pytest.mark.slow),
        pytest.param("student", 5, 180_114, 0.891595936699417, 3, marks=pytest.mark.slow),
        pytest.param("retrain", 1, 854_192, 0.004096696589684, 3, marks=pytest.mark.slow),
        pytest.param("student", 1, 1_302_735, 0.004870032022103, 3, marks=pytest.mark.slow),
        pytest.param("retrain", 9, 1_255_096, 0.636421495150495, 4, marks=pytest.mark.slow),
        pytest.param("student", 9, 975_509, 0.578317565572378, 2, marks=pytest.mark.slow),
        pytest.param("retrain", 10, 1_527_386, 0.013336714152517, 2, marks=pytest.mark.slow),
        pytest.param("student", 10, 919_083, 0.081788001929154, 2, marks=pytest.mark.slow),
    ],
)
def test_known_discrepancies_of_acas_pairs(kind, prop, pieces, value, output):
    pair, box = acas(kind, prop)
    found = discrepancy(pair, box)
    assert abs(found.pieces - pieces) <= 3  # pieces thinner than 1e-9 come and go
    outputs = [a - b for a, b in zip(*(evaluate_exact(net, found.witness) for net in pair), strict=True)]
    assert found.lower <= max(map(abs, outputs)) <= found.upper  # rationals; the value is known to about 1e-11 only
    assert found.lower == pytest.approx(value, abs=1e-9)
    assert value <= found.upper <= value + 1e-7
    assert discrepancy_objectives(5)[found.objective].output == output
    assert box.contains(found.witness)


@pytest.mark.parametrize(
    "prop, pieces, value",
    [
        pytest.param(4, 248_573, 0.00196287266, marks=pytest.mark.slow),
        pytest.param(3, 1_536_368, 0.0017548318, marks=pytest.mark.slow),
    ],
)
def test_half_precision_copy_of_an_acas_network(prop, pieces, value):
    f, box = real_network(ORIGINAL), real_box(f"acasxu/prop_{prop}.vnnlib")
    half = Network([(l.weight.astype(np.float16), l.bias.astype(np.float16)) for l in f.layers])
    found = discrepancy((f, half), box)
    assert abs(found.pieces - pieces) <= 5
    assert found.lower == pytest.approx(value, abs=1e-9) and found.upper == pytest.approx(value, abs=1e-7)


# -- the pair check ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(50))
def test_pairs_of_equal_names(seed):
    """Against a dictionary; many names differ only in bits that the fast sort does not look at."""
    rng = np.random.default_rng(seed)
    d, cut = int(rng.integers(2, 6)), int(rng.integers(1, 40))
    faces = Faces(d, cut)
    faces.names[:] = rng.integers(0, 2**64, size=faces.names.shape, dtype=np.uint64)  # padding holds anything
    slots = rng.permutation(np.arange(faces.names.size).reshape(faces.names.shape)[:, :, :cut].ravel())
    slots = slots[: 2 * int(rng.integers(1, len(slots) // 2 + 1))]
    names = rng.integers(0, 2**64, size=len(slots) // 2, dtype=np.uint64)
    if seed % 2:
        names = names[0] ^ np.arange(len(names), dtype=np.uint64)  # equal leading bits
    faces.names.reshape(-1)[slots], faces.exists.reshape(-1)[slots] = np.tile(names, 2), True
    first, second = faces.pairs()
    expected = {frozenset(pair) for pair in slots.reshape(2, -1).T.tolist()}
    assert {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)} == expected
    planes = [rng.integers(0, 99, size=cut).astype(np.int16) for _ in range(d - 1)]
    left_out, _, edge = np.unravel_index(first, faces.names.shape)
    assert (faces.edge(first) == edge).all()
    rest = np.array(list(faces.without_one(planes, first))).reshape(d - 2, len(first)).T
    assert rest.tolist() == [np.delete(np.array(planes)[:, e], j).tolist() for j, e in zip(left_out, edge, strict=True)]


@pytest.mark.parametrize("spoil", ["one edge", "three edges", "four edges", "last bit"])
@pytest.mark.parametrize("close", [False, True])
def test_names_that_do_not_come_in_pairs_are_refused(spoil, close):
    for seed in range(20):
        rng, faces = np.random.default_rng(seed), Faces(4, 10)
        names = (
            rng.integers(0, 2**64, size=30, dtype=np.uint64) if not close else np.arange(2, 32, dtype=np.uint64) << 1
        )
        slots = np.arange(faces.names.size).reshape(faces.names.shape)[:, :, :10].ravel()
        faces.names.reshape(-1)[slots], faces.exists.reshape(-1)[slots] = rng.permutation(np.tile(names, 2)), True
        flat = faces.names.reshape(-1)
        twins = slots[flat[slots] == names[0]]
        if spoil == "one edge":
            faces.exists.reshape(-1)[twins[0]] = False
        elif spoil == "three edges":
            flat[twins[0]] = names[1]
        elif spoil == "four edges":
            flat[twins] = names[1]
        else:
            flat[twins[0]] ^= np.uint64(1)
        assert faces.pairs() is None, f"seed {seed}"


# -- small pairs, most of them degenerate ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_brute_force_agrees(seed):
    f, g, input_set, kind = random_pair(seed)
    if len(input_set.free) > 3:
        pytest.skip("brute force takes too long in four dimensions: the exact engine judges those")
    value, pieces = brute_force(f, g, input_set)
    found = discrepancy((f, g), input_set)
    message = f"seed {seed} ({kind}): {found}"
    if value > -np.inf:  # brute force sees no piece in a flat set
        assert found.lower == pytest.approx(value, abs=1e-8), message
        assert found.upper == pytest.approx(value, abs=1e-7), message
        assert pieces in (None, found.pieces), message


def check_against_vertices(seed, judge):
    f, g, input_set, kind = random_pair(seed)
    objectives = discrepancy_objectives(f.n_outputs)
    expected = judge.maximise((f, g), input_set, objectives, 1e-6, Control())
    found = discrepancy((f, g), input_set)
    message = f"seed {seed} ({kind}): {found} but {expected}"
    assert found.upper >= expected.lower and found.lower <= expected.upper, message
    if found.witness is not None:
        assert input_set.contains(found.witness), message
        assert found.upper - found.lower <= 1e-8 * max(1.0, abs(found.upper)), message
        reached = attained((f, g), objectives[found.objective], found.witness)[0]
        assert found.lower == pytest.approx(reached, rel=1e-13, abs=1e-15), message
    else:
        assert kind == "face of a box" or expected.witness is None, message


@pytest.mark.parametrize("first", [*range(0, 110, 10), 340])  # 349: cells thin as rounding at the best vertex
def test_vertices_engine_agrees(first):
    for seed in range(first, first + 10):
        check_against_vertices(seed, Vertices())


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2000, 50))
def test_exact_vertices_agree_on_two_thousand_pairs(first):
    for seed in range(first, first + 50):
        check_against_vertices(seed, Vertices(arithmetic="exact"))


@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-8, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15])
def test_a_nearly_equal_copy(size):
    """Planes that differ by about the rounding: skipped, cut apart, or left to another engine; never a wrong number."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        f = random_network(rng, 3, 6, 5, 2)
        g = Network([(l.weight + size * rng.normal(size=l.weight.shape), l.bias) for l in f.layers])
        box = Box(-np.ones(3), np.ones(3))
        found = discrepancy((f, g), box)
        points = box.sample(rng, 2000)
        seen = np.abs(f(points) - g(points)).max()
        message = f"seed {seed}, noise {size}: {found}"
        assert found.upper >= seen - 1e-15, message
        assert found.upper - found.lower <= 1e-8, message


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.0, *10.0 ** np.arange(-15, -5)])
def test_noise_on_copies_with_identity_lanes_and_duplicated_neurons(size, monkeypatch):
    """Exact to 1e-9 whatever the noise; of 72 pairs a few may need another shift, hardly any another engine."""
    retries, stars = [], 0
    again = Exploration._again
    monkeypatch.setattr(Exploration, "_again", lambda self, job: (retries.append(job.attempt), again(self, job)))
    for seed in range(12):
        for kind, d in itertools.product(("copy", "lanes", "duplicated"), (2, 3)):
            rng = np.random.default_rng([seed, d])
            f = random_network(rng, d, 5, 4, 2)
            g, box = noisy(rng, f, kind, size), Box(-np.ones(d), np.ones(d))
            expected, found = discrepancy((f, g), box, Vertices("exact")), discrepancy((f, g), box)
            message = f"seed {seed}, {kind}, d = {d}, noise {size}: {found} but {expected}"
            assert found.upper >= expected.lower and found.lower <= expected.upper, message
            assert found.upper - expected.lower <= 1e-9 and expected.upper - found.lower <= 1e-9, message
            stars += "star" in found.proof
    assert len(retries) <= 4 and stars <= 1, f"noise {size}: {len(retries)} other shifts, {stars} times star"


def noisy(rng, f, kind, size):
    """A copy of ``f`` with a layer more or with equal neurons, and noise of this size on all weights."""
    layers = [
        (l.weight.copy(), l.bias.copy()) for l in (pad_depth(f, len(f.layers) + 1) if kind == "lanes" else f).layers
    ]
    if kind == "duplicated":
        for weight, bias in layers[:-1]:
            weight[-1], bias[-1] = weight[0], bias[0]
    return Network([(w + size * rng.normal(size=w.shape), b + size * rng.normal(size=b.shape)) for w, b in layers])


def test_depth_seven_and_width_one():
    rng = np.random.default_rng(5)
    deep, narrow = random_network(rng, 2, 5, 4, 5, 4, 5, 4, 1), random_network(rng, 2, 1, 1)
    box = Box([-1.0, -1.0], [1.0, 1.0])
    found, expected = discrepancy((deep, narrow), box), discrepancy((deep, narrow), box, Vertices())
    assert found.pieces == expected.pieces
    assert found.upper == pytest.approx(expected.upper, abs=1e-9)


def test_many_planes_through_one_point_in_each_dimension():
    for d in (1, 2, 3, 4):
        rows = np.array([[(k >> i & 1) * 2 - 1 for i in range(d)] for k in range(1 << d)], dtype=float)
        f = Network([(rows, np.zeros(1 << d)), (np.ones((1, 1 << d)), [0.0])])
        g = Network([(np.zeros((1, d)), [0.0])])
        found = discrepancy((f, g), Box(-np.ones(d), np.ones(d)))
        expected = np.maximum(rows @ np.ones(d), 0).sum()
        assert found.lower == pytest.approx(expected, abs=1e-9) == found.upper, f"d = {d}: {found}"


# -- objectives with guards and several goals -----------------------------------------------------------------------


@pytest.mark.parametrize("relation", [Top1(), Top1(0.1), TopK(2), Order(0, 1)], ids=repr)
def test_relations_agree_with_star(relation):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        pair = random_network(rng, 2, 5, 4, 3), random_network(rng, 2, 4, 3)
        box, objectives = Box([-1.0, -1.0], [1.0, 1.0]), relation.objectives(3)
        expected = Star(lp="highspy").maximise(pair, box, objectives, 1e-6, Control())
        found = Skeleton().maximise(pair, box, objectives, 1e-6, Control())
        message = f"seed {seed}: {found} but {expected}"
        assert found.upper >= expected.lower and found.lower <= expected.upper, message
        assert found.upper == pytest.approx(expected.upper, abs=1e-7), message
        assert found.lower == pytest.approx(found.upper, abs=1e-6), message


def test_parts_bisected_within_the_question_change_nothing():
    """Many guards: the question alone multiplies the vertices, and parts are bisected between its planes."""
    rng = np.random.default_rng(8)
    pair = random_network(rng, 3, 7, 6, 6), random_network(rng, 3, 6, 6)
    box, objectives = Box(-np.ones(3), np.ones(3)), TopK(2).objectives(6)
    whole = Skeleton().maximise(pair, box, objectives, 1e-6, Control())
    parts = Skeleton(memory=1.0).maximise(pair, box, objectives, 1e-6, Control())
    assert whole.nodes == 1 and parts.nodes > 4
    assert parts.pieces == whole.pieces
    assert parts.upper == pytest.approx(whole.upper, abs=1e-8)
    assert parts.lower == pytest.approx(whole.lower, abs=1e-8)


def test_a_threshold_stops_the_search():
    pair, box = middling_pair(1)
    full = discrepancy(pair, box, Skeleton(memory=SMALL))
    early = discrepancy(pair, box, Skeleton(memory=SMALL), threshold=0.1 * full.lower)
    assert early.lower > 0.1 * full.lower
    assert early.nodes < full.nodes and early.upper >= full.upper


# -- input sets -----------------------------------------------------------------------------------------------------


def test_polytopes_agree_with_star():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        pair = random_network(rng, 3, 5, 4, 2), random_network(rng, 3, 5, 2)
        rows = np.vstack([np.eye(3), -np.eye(3), rng.normal(size=(3, 3))])
        polytope = Polytope(rows, np.concatenate([np.ones(6), [0.5, 0.6, 0.7]]))
        expected = discrepancy(pair, polytope, Star(lp="highspy"))
        found = discrepancy(pair, polytope)
        assert polytope.contains(found.witness), f"seed {seed}"
        assert found.lower == pytest.approx(expected.upper, abs=1e-8) == found.upper, f"seed {seed}: {found}"


def test_an_input_set_without_free_inputs():
    pair, _ = middling_pair(2)
    point = np.array([0.3, -0.2, 0.1])
    found = discrepancy(pair, Box(point, point))
    expected = np.abs(pair[0](point) - pair[1](point)).max()
    assert found.pieces == 1 and found.lower <= expected <= found.upper <= found.lower + 1e-12


def test_many_boxes_in_one_run_equal_one_by_one():
    rng = np.random.default_rng(0)
    pair = random_network(rng, 12, 8, 6, 3), random_network(rng, 12, 5, 3)
    boxes = []
    for _ in range(30):
        free = rng.choice(12, size=int(rng.integers(0, 4)), replace=False)
        boxes.append(Box.around(rng.normal(size=12), 0.8, free=free))
    objectives = discrepancy_objectives(3)
    together = Skeleton().maximise_each(pair, boxes, objectives, 1e-6, Control())
    for k, (box, found) in enumerate(zip(boxes, together, strict=True)):
        alone = Skeleton().maximise(pair, box, objectives, 1e-6, Control())
        assert found.pieces == alone.pieces, f"box {k}"
        assert found.lower == pytest.approx(alone.lower, abs=1e-9), f"box {k}"
        assert found.lower <= found.upper <= found.lower + 1e-8, f"box {k}"
        assert box.contains(found.witness)


def test_two_networks_of_different_depth_or_none():
    rng = np.random.default_rng(3)
    affine, deep = random_network(rng, 2, 2), random_network(rng, 2, 4, 3, 3, 2)
    box = Box([-1.0, 0.0], [1.0, 2.0])
    for pair in ((affine, deep), (deep, affine), (affine, affine)):
        found, expected = discrepancy(pair, box), discrepancy(pair, box, Vertices())
        assert found.pieces == expected.pieces
        assert found.upper == pytest.approx(expected.upper, abs=1e-9)


# -- parts, processes, interruptions --------------------------------------------------------------------------------


def test_bisected_parts_change_nothing():
    for seed in range(3):
        pair, box = middling_pair(seed)
        whole, parts = discrepancy(pair, box), discrepancy(pair, box, Skeleton(memory=SMALL))
        assert whole.nodes == 1 and parts.nodes > 4, f"seed {seed}"
        assert parts.pieces == whole.pieces, f"seed {seed}"
        assert parts.lower == pytest.approx(whole.lower, abs=1e-10), f"seed {seed}"
        assert whole.lower <= parts.upper <= whole.lower + 1e-8, f"seed {seed}"


def test_an_executor_changes_nothing():
    pair, box = middling_pair(4)
    alone = discrepancy(pair, box)
    with ThreadPoolExecutor(2) as executor:
        shared = discrepancy(pair, box, Skeleton(executor=executor, parts=5))
    assert shared.nodes == 5
    assert shared.pieces == alone.pieces
    assert shared.lower == pytest.approx(alone.lower, abs=1e-10)
    assert alone.lower <= shared.upper <= alone.lower + 1e-8


@pytest.mark.parametrize("engine", [Skeleton(memory=SMALL), "executor"])
def test_a_time_limit_leaves_what_is_proved(engine):
    pair, box = middling_pair(0)
    full = discrepancy(pair, box)
    objectives = discrepancy_objectives(2)
    with ThreadPoolExecutor(1) as executor:
        engine = Skeleton(executor=executor, parts=5) if engine == "executor" else engine
        found = engine.maximise(pair, box, objectives, 1e-6, Control(time_limit=0.0))
    assert found.reason == "time limit of 0 s reached"
    assert found.upper >= full.upper - 1e-9


def test_ctrl_c_leaves_what_is_proved():
    pair, box = middling_pair(0)
    full = discrepancy(pair, box)
    calls = []

    def interrupt(**state):
        calls.append(state)
        if len(calls) == 20:
            raise KeyboardInterrupt

    control = Control(progress=interrupt, interval=0.0)
    found = Skeleton(memory=SMALL).maximise(pair, box, discrepancy_objectives(2), 1e-6, control)
    assert found.reason == "interrupted"
    assert found.lower <= full.upper and found.upper >= full.lower
    if found.witness is not None:
        assert box.contains(found.witness)


def test_degenerate_parts_are_tried_again_and_then_left_to_star(monkeypatch):
    pair = (Network([([[1.0, 0.5], [0.3, -1.0]], [0.1, 0.0]), ([[1.0, -1.0]], [0.0])]),) * 2
    pair = (pair[0], Network([([[1.0, 1.0]], [0.0])]))
    box, attempts = Box([-1.0, -1.0], [1.0, 1.0]), []
    honest = discrepancy(pair, box)

    def refuse(self, columns, ids, near, limit=np.inf):
        attempts.append(len(columns))
        raise Degenerate("made up")

    monkeypatch.setattr("nnequiv.reach.skeleton.complex.Complex.cut", refuse)
    found = discrepancy(pair, box)
    assert len(attempts) == len(SHIFTS)
    assert "star" in found.proof and found.lps > 0
    assert found.upper == pytest.approx(honest.upper, abs=1e-8)
    assert len(list(Skeleton().pieces(pair, box, Control()))) == honest.pieces
    assert Skeleton().survey(pair, box, Control())[0] == honest.pieces


# -- pieces ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [500.0, 0.3])
def test_pieces_partition_the_box_and_carry_their_maps(memory):
    rng = np.random.default_rng(7)
    pair = random_network(rng, 2, 9, 8, 2), random_network(rng, 2, 10, 2)
    box = Box([-1.0, -1.0], [1.0, 1.5])
    pieces = list(Skeleton(memory=memory).pieces(pair, box, Control()))
    assert len({piece.pattern.tobytes() for piece in pieces}) == len(pieces)  # no piece comes in parts
    assert len(pieces) == discrepancy(pair, box).pieces
    points = box.sample(rng, 500)
    inside = np.array(
        [(piece.polytope.matrix @ points.T <= piece.polytope.bound[:, None]).all(axis=0) for piece in pieces]
    )
    assert (inside.sum(axis=0) == 1).all()
    for piece, mine in zip(pieces, inside, strict=True):
        for where in (points[mine], piece.vertices):
            outputs = np.hstack([network(where) for network in pair])
            error = np.abs(outputs - where @ piece.matrix.T - piece.offset)
            assert (error <= piece.error + 1e-14).all()
            assert (piece.error < 1e-10).all()


def test_cells_are_the_counted_pieces():
    pair, box = middling_pair(6)
    search = Exploration(pair, Skeleton()._search(pair, box).questions, 500.0, 0, _jobs([box]))
    for leaf, _ in search.leaves(Control()):
        assert len(cells(leaf.complex)[0]) == leaf.pieces.sum()


def test_survey_of_a_pair_is_of_the_difference():
    pair, box = middling_pair(3)
    pieces, lower, upper = Skeleton().survey(pair, box, Control())
    found = discrepancy(pair, box)
    assert pieces == found.pieces
    assert max(upper.max(), -lower.min()) == pytest.approx(found.upper, abs=1e-12)
    points = box.sample(np.random.default_rng(0), 1000)
    difference = pair[0](points) - pair[1](points)
    assert (lower <= difference.min(axis=0)).all() and (difference.max(axis=0) <= upper).all()
    assert len(output_objectives(2, pair=True)) == 4


def test_too_many_free_inputs_are_refused():
    network = Network([(np.ones((1, 20)), [0.0])])
    with pytest.raises(ValueError, match="20 inputs are free"):
        Skeleton().survey((network,), Box(np.zeros(20), np.ones(20)), Control())


def test_an_empty_polytope_is_refused_or_bounded_by_nothing():
    pair, _ = middling_pair(0)
    rows = np.vstack([np.eye(3), -np.eye(3), [[1.0, 1.0, 1.0]]])
    empty = Polytope(rows, np.array([1.0, 1, 1, 1, 1, 1, -4]))
    found = discrepancy(pair, empty)
    assert found.upper == -np.inf and found.witness is None and found.pieces == 0


def test_networks_that_overflow_prove_nothing():
    big = Network([([[1e200]], [0.0]), ([[1e200]], [0.0])])
    zero = Network([([[0.0]], [0.0])])
    with np.errstate(all="ignore"):
        found = discrepancy((big, zero), Box([1.0], [2.0]))
    assert found.upper == np.inf


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="memory is 0"):
        Skeleton(memory=0.0)
    with pytest.raises(ValueError, match="parts is 0"):
        Skeleton(parts=0)
