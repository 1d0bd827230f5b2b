"""The stages of an experiment: train f, compress it to g, choose input sets, train controls, measure.

:mod:`nnequiv.demo` strings them together, :mod:`nnequiv.study` varies them. Every number that was chosen by hand is in
:class:`Recipe`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnequiv.batches import Batch, joined, shuffled
from nnequiv.compression import Compressed, Narrow, Prune, Quantize, Size, compress, size
from nnequiv.datasets import Dataset, digits
from nnequiv.equivalence import check_equivalence, max_discrepancies
from nnequiv.io.mnist import mnist
from nnequiv.losses import CrossEntropy, MeanSquare
from nnequiv.network import Network
from nnequiv.reach.engine import Engine
from nnequiv.relations import Top1
from nnequiv.repair.loop import default_sgd, output_scale
from nnequiv.repair.target import Labelled, largest_violations
from nnequiv.results import Discrepancy, Verdict
from nnequiv.sets import Box
from nnequiv.tolerances import TOLERANCE
from nnequiv.training import SGD, TrainingState, WarmupCosine, accuracy, he_network

#: Ways to make g from f.
KINDS = ("narrow", "prune", "quantize")

#: Each stage has its own random stream, so that changing one leaves the others as they were.
SPLIT, TRAIN, CHOOSE, REPAIR, CONTROL = range(5)

#: What g is trained on besides witnesses, at the same number of steps.
CONTROLS = ("labels", "distillation", "random corners")


@dataclass(frozen=True)
class Recipe:
    """Every choice of an experiment.

    Attributes
    ----------
    hidden : hidden widths of the original
    steps, batch, rate, decay, noise : how the original is trained
        SGD steps, images a batch, peak rate, weight decay, standard deviation of the noise on its pixels.
    drop, judged : float, int
        Accuracy that compression may cost, and should, on the first ``judged`` training images.
    sets, free, radius : input sets
        How many (and as many held-out ones), free pixels of each, how far a free pixel may move.
    rounds, round_steps, target : repair
        The target is the one to reach if no other is asked for.
    """

    hidden: tuple[int, ...] = (32, 16)
    steps: int = 6000
    batch: int = 64
    rate: float = 0.1
    decay: float = 1e-3
    noise: float = 0.1
    drop: float = 0.07
    judged: int = 5000
    sets: int = 150
    free: int = 4
    radius: float = 0.2
    rounds: int = 10
    round_steps: int = 300
    target: float = 2.0


#: One for each data set. MNIST's was chosen on 10,000 of its training images, kept out of training meanwhile.
RECIPES = {
    "digits": Recipe(),
    "mnist": Recipe(
        hidden=(128, 64), steps=4690, batch=128, decay=5e-4, noise=0.2, drop=0.06, round_steps=900, target=0.5
    ),
}


def train_original(data: Dataset, recipe: Recipe, rng: np.random.Generator) -> Network:
    """A network for the data, by SGD on cross-entropy, with noise on its inputs."""
    widths = [data.train_points.shape[1], *recipe.hidden, int(data.train_labels.max()) + 1]
    state = TrainingState(he_network(widths, rng))
    batches = shuffled(data.train_points, data.train_labels, recipe.batch, rng, noise=recipe.noise)
    sgd = SGD(WarmupCosine(recipe.rate, recipe.steps), decay=recipe.decay)
    sgd.run(state, batches, recipe.steps, CrossEntropy())
    return state.network


def strengths(f: Network, kind: str) -> Iterator[Narrow | Prune | Quantize]:
    """The compressions of a kind that are tried, weakest first.

    >>> [how.bits for how in strengths(he_network([2, 2], np.random.default_rng(0)), "quantize")]
    [8, 7, 6, 5, 4, 3, 2]
    """
    if kind == "narrow":
        return map(Narrow, narrowings([layer.n_out for layer in f.hidden]))
    if kind == "prune":
        return map(Prune, (percent / 100 for percent in range(2, 98, 2)))
    if kind == "quantize":
        return (Quantize(bits) for bits in range(8, 1, -1))
    raise ValueError(f"compression is {kind!r}: choose one of {', '.join(KINDS)}")


def narrowings(hidden: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Hidden widths with fewer neurons, one less at a time, always in the layer that has kept the largest share.

    >>> list(narrowings([4, 2]))
    [(3, 2), (3, 1), (2, 1), (1, 1)]
    """
    widths = list(hidden)
    while max(widths) > 1:
        layer = max(range(len(hidden)), key=lambda k: widths[k] / hidden[k] if widths[k] > 1 else 0.0)
        widths[layer] -= 1
        yield tuple(widths)


def compress_to(
    f: Network, kind: str, data: Dataset, drop: float, judged: int | None = None
) -> tuple[Compressed, Narrow | Prune | Quantize]:
    """The compression of a kind whose accuracy on (the first ``judged``) *training* images falls by nearest to
    ``drop``."""
    points, labels = data.train_points[:judged], data.train_labels[:judged]
    goal = accuracy(f, points, labels) - drop
    tried = [(compress(f, how), how) for how in strengths(f, kind)]
    return min(tried, key=lambda pair: abs(accuracy(pair[0], points, labels) - goal))


def stream(seed: int, stage: int) -> np.random.Generator:
    """The random stream of a stage."""
    return np.random.default_rng([seed, stage])


def images_of(data: str, data_dir, seed: int) -> Dataset:
    """The digits, split by the seed, or MNIST."""
    return digits(stream(seed, SPLIT)) if data == "digits" else mnist(data_dir)


def choose_sets(f: Network, g: Network, data: Dataset, recipe: Recipe, seed: int, heldout: int):
    """The training images repair works on, boxes around them, and boxes around ``heldout`` test images."""
    rng = stream(seed, CHOOSE)
    images = data.train_points[rng.permutation(len(data.train_points))[: recipe.sets]]
    kept_out = data.test_points[rng.permutation(len(data.test_points))[:heldout]]
    return images, *(sensitive_boxes(f, g, points, recipe.free, recipe.radius) for points in (images, kept_out))


def sensitive_boxes(f: Network, g: Network, images: np.ndarray, free: int, radius: float) -> list[Box]:
    """A box around each image: ± radius, within [0, 1], on the pixels where ``f − g`` is steepest; the others
    are fixed.

    Steepest: the largest sum over outputs of ``|∂(f_i − g_i)/∂pixel|`` at the image.
    """
    slope = np.zeros(images.shape)
    for output in range(f.n_outputs):
        chosen = np.zeros((len(images), f.n_outputs))
        chosen[:, output] = 1.0
        slope += np.abs(f.gradients(images, chosen)[2] - g.gradients(images, chosen)[2])
    pixels = np.argsort(-slope, axis=1, kind="stable")[:, :free]
    return [Box.around(image, radius, row, limits=(0.0, 1.0)) for image, row in zip(images, pixels, strict=True)]


def corners(boxes: Sequence[Box], f: Network, count: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Endless batches of random corners of random boxes, with f's outputs."""
    lower, upper = np.array([box.lower for box in boxes]), np.array([box.upper for box in boxes])
    while True:
        which = rng.integers(0, len(boxes), count)
        points = np.where(rng.random((count, lower.shape[1])) < 0.5, lower[which], upper[which])
        yield points, f.evaluate(points)


def train_control(
    name: str, f: Network, g0: Compressed, boxes: Sequence[Box], data: Dataset, recipe: Recipe, rng: np.random.Generator
) -> Compressed:
    """g retrained on its constraint in as many steps as repair takes, but without witnesses.

    ``labels``: on the training labels, with the rate and decay that trained f. The others are trained as repair is.
    ``distillation``: on f's outputs on the training images. ``random corners``: half of each batch those, half random
    corners of the input sets, where repair has witnesses.
    """
    steps = recipe.rounds * recipe.round_steps
    points, outputs = data.train_points, f.evaluate(data.train_points)
    sgd, loss = default_sgd(g0, steps), MeanSquare(output_scale(f, points))
    half = recipe.batch // 2
    if name == "labels":
        sgd, loss = SGD(WarmupCosine(recipe.rate, steps), clip=sgd.clip, decay=recipe.decay), CrossEntropy()
        batches = shuffled(points, data.train_labels, recipe.batch, rng)
    elif name == "distillation":
        batches = shuffled(points, outputs, recipe.batch, rng)
    elif name == "random corners":
        images = shuffled(points, outputs, recipe.batch - half, rng)
        batches = joined(corners(boxes, f, half, rng), images)
    else:
        raise ValueError(f"control is {name!r}: choose one of {', '.join(CONTROLS)}")
    state = TrainingState(g0, g0.constraint)
    sgd.run(state, batches, steps, loss)
    return Compressed(state.network.layers, g0.constraint)


@dataclass(frozen=True, eq=False)
class Measured:
    """One network against f.

    Attributes
    ----------
    accuracy : float
        On the test images.
    size : Size
    sets, heldout : tuple of Discrepancy
        One an input set.
    """

    network: Network
    accuracy: float
    size: Size
    sets: tuple[Discrepancy, ...]
    heldout: tuple[Discrepancy, ...]


def worst(discrepancies: Sequence[Discrepancy]) -> tuple[float, float]:
    """The discrepancy over many input sets together, as ``lower, upper``."""
    return max(d.lower for d in discrepancies), max(d.upper for d in discrepancies)


def measure(
    f: Network,
    g: Network,
    sets: Sequence[Box],
    heldout: Sequence[Box],
    data: Dataset,
    engine: str | Engine,
    known: Sequence[Discrepancy] = (),
) -> Measured:
    """All that the report says of a network; ``known``: its discrepancies on ``sets``, if they are proved already."""
    return Measured(
        g,
        accuracy(g, data.test_points, data.test_labels),
        size(g),
        tuple(known or max_discrepancies(f, g, sets, engine)),
        tuple(max_discrepancies(f, g, heldout, engine)),
    )


def agreement(f: Network, g: Network, sets: Sequence[Box], engine: str | Engine) -> float:
    """Share of the sets in which g provably has f's largest output all over.

    Most sets have one class: where f's is strictly ahead all over, it is enough to ask whether g has it too. That is
    nine linear questions a network, for all sets of a class in one run; the other sets are asked for the relation
    itself, at many times the cost. Sound: yes.
    """
    middles = np.array([(box.lower + box.upper) / 2 for box in sets])
    kept = Labelled(tuple(f.evaluate(middles).argmax(axis=1).tolist()), 0.0, f.n_outputs)
    search = dict(engine=engine, tolerance=TOLERANCE, executor=None)
    of_f, of_g = (largest_violations(kept, net, sets, search, None) for net in (f, g)) if f.n_outputs > 1 else ((), ())
    agreed = 0
    for k, box in enumerate(sets):
        strict = f.n_outputs > 1 and of_f[k].upper < 0
        if strict and (of_g[k].upper <= 0 or of_g[k].lower > 0):
            agreed += of_g[k].upper <= 0
        else:
            agreed += check_equivalence(f, g, box, Top1(), engine).verdict is Verdict.EQUIVALENT
    return agreed / len(sets)
