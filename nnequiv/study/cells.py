"""One setting with one seed: train, compress, train on in every way, measure; a row for each network."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import astuple, dataclass, fields
from functools import lru_cache

from nnequiv.compression import Compressed, compress
from nnequiv.control import Stopped
from nnequiv.network import Network
from nnequiv.pipeline import (
    CONTROL,
    CONTROLS,
    REPAIR,
    TRAIN,
    Recipe,
    agreement,
    choose_sets,
    compress_to,
    images_of,
    measure,
    stream,
    train_control,
    train_original,
    worst,
)
from nnequiv.reach.engine import Engine
from nnequiv.repair import best_last_layer, repair
from nnequiv.sets import Box
from nnequiv.study.settings import Setting
from nnequiv.training import accuracy


@dataclass(frozen=True)
class Row:
    """One network of one setting and seed.

    Attributes
    ----------
    accuracy, original_accuracy : float
        Of this network and of f, on the test images.
    delta_lower, delta_upper, heldout_lower, heldout_upper : float
        The exact discrepancy from f over all input sets, and over all held-out ones: proved intervals.
    agreement, heldout_agreement : float
        Share of the sets on which the class is proved to be f's all over.
    seconds : float
        Wall time to make the network, without measuring it.
    """

    study: str
    group: str
    value: float
    seed: int
    compression: str
    method: str
    accuracy: float
    original_accuracy: float
    delta_lower: float
    delta_upper: float
    heldout_lower: float
    heldout_upper: float
    agreement: float
    heldout_agreement: float
    nonzeros: int
    bits: int
    seconds: float


def to_csv(rows: list[Row]) -> str:
    """The rows as a table with a header; every number is written so that it reads back the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()


def from_csv(text: str) -> list[Row]:
    """What :func:`to_csv` wrote."""
    kinds = {"str": str, "int": int, "float": float}
    wanted = {field.name: kinds[str(field.type)] for field in fields(Row)}
    return [
        Row(**{name: wanted[name](value) for name, value in line.items()}) for line in csv.DictReader(text.splitlines())
    ]


@dataclass(frozen=True, eq=False)
class Cell:
    """The rows of one setting and seed, with all it takes to prove them again."""

    rows: tuple[Row, ...]
    original: Network
    networks: dict[str, Compressed]
    sets: tuple[Box, ...]
    heldout: tuple[Box, ...]


def run_cell(
    study: str, setting: Setting, seed: int, data: str = "digits", data_dir=None, engine: str | Engine = "auto"
) -> Cell:
    """Everything about one setting with one seed."""
    recipe, images = setting.recipe, _images(data, data_dir, seed)
    f = _original(data, data_dir, seed, recipe)
    if isinstance(setting.how, str):
        g0, how = compress_to(f, setting.how, images, recipe.drop, recipe.judged)
    else:
        g0, how = compress(f, setting.how), setting.how
    _, sets, heldout = choose_sets(f, g0, images, recipe, seed, setting.heldout)
    networks, seconds = _networks(f, g0, sets, images, setting, seed, engine)
    rows, right = [], accuracy(f, images.test_points, images.test_labels)
    for method, g in networks.items():
        measured = measure(f, g, sets, heldout, images, engine)
        if any(answer.reason for answer in (*measured.sets, *measured.heldout)):
            raise Stopped("a measurement was stopped: nothing is written")
        shares = agreement(f, g, sets, engine), agreement(f, g, heldout, engine)
        numbers = (measured.accuracy, right, *worst(measured.sets), *worst(measured.heldout), *shares)
        size = measured.size.nonzeros, measured.size.bits
        place = study, setting.group, float(setting.value), seed, repr(how), method
        rows.append(Row(*place, *numbers, *size, round(seconds[method], 3)))
    return Cell(tuple(rows), f, networks, tuple(sets), tuple(heldout))


#: A study comes back to the same images and the same f in most of its settings.
_images = lru_cache(maxsize=4)(images_of)


@lru_cache(maxsize=8)
def _trained(data: str, data_dir, seed: int, choice: tuple) -> Network:
    return train_original(_images(data, data_dir, seed), Recipe(**dict(choice)), stream(seed, TRAIN))


def _original(data: str, data_dir, seed: int, recipe: Recipe) -> Network:
    """f, trained once for all settings that train it alike."""
    chosen = {name: getattr(recipe, name) for name in ("hidden", "steps", "batch", "rate", "decay", "noise")}
    return _trained(data, data_dir, seed, tuple(chosen.items()))


def _networks(f, g0, sets, images, setting: Setting, seed: int, engine) -> tuple[dict, dict]:
    """Every method's network, and the seconds it took."""
    networks, seconds, recipe = {"compressed": g0}, {"compressed": 0.0}, setting.recipe

    def add(method: str, made, since: float) -> None:
        networks[method], seconds[method] = made, time.perf_counter() - since

    for number, name in enumerate(CONTROLS if setting.controls else ()):
        start = time.perf_counter()
        add(name, train_control(name, f, g0, sets, images, recipe, stream(seed, CONTROL + number)), start)
    start = time.perf_counter()
    schedule = dict(rounds=recipe.rounds, steps=recipe.round_steps, batch=recipe.batch, stop_early=False)
    rng = stream(seed, REPAIR)
    out = repair(f, g0, sets, images, recipe.target, rng=rng, alpha=setting.alpha, engine=engine, **schedule)
    if not out.discrepancies:
        raise Stopped(f"repair was stopped: {out.reason}")
    add("witnesses", out.network, start)
    last = best_last_layer(f, out.network, sets, engine=engine)
    if not last.discrepancies or last.reason == "interrupted":
        raise Stopped(f"the best last layer was not found: {last.reason}")
    add("witnesses + last layer", last.network, start)
    return networks, seconds
