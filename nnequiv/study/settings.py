"""What each study varies, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nnequiv.compression import Narrow, Prune, Quantize
from nnequiv.pipeline import RECIPES, Recipe

#: What can be studied, with what the study asks.
STUDIES = {
    "ratios": "how much of f can be pruned away",
    "methods": "pruning, quantisation and narrowing, from weak to strong",
    "depth": "two to six hidden layers",
    "alpha": "repair's targets, 1 / alpha of the way from g to f",
    "sets": "how many input sets, how wide, and with how many free pixels",
}

#: Every network of a row: g as compressed, and five ways to train it on.
METHODS = ("compressed", "labels", "distillation", "random corners", "witnesses", "witnesses + last layer")


@dataclass(frozen=True)
class Setting:
    """One place on the axis of a study.

    Attributes
    ----------
    group : str
        What varies: the axis it belongs to.
    value : float
        The place on that axis.
    recipe : Recipe
    how : Prune, Quantize, Narrow or str
        The compression, or the kind of one that costs the recipe's ``drop`` of training accuracy.
    alpha : float
        Of repair.
    controls : bool
        Whether it trains the controls: they do not know alpha.
    heldout : int
        Held-out sets: as many at every place on an axis, so that their worst can be compared.
    """

    group: str
    value: float
    recipe: Recipe
    how: Prune | Quantize | Narrow | str
    alpha: float = 1.0
    controls: bool = True
    heldout: int = 60


def study_recipe(data: str) -> Recipe:
    """The demo's recipe with fewer input sets and fewer steps: a study trains hundreds of networks."""
    recipe = RECIPES[data]
    return replace(recipe, sets=60, rounds=6, round_steps=recipe.round_steps * 5 // 6)


def settings(study: str, recipe: Recipe) -> list[Setting]:
    """The settings of a study, in the order of its axes.

    >>> [setting.value for setting in settings("alpha", Recipe())]
    [1.0, 2.0, 5.0, 10.0]
    """
    if study not in STUDIES:
        raise ValueError(f"study is {study!r}: choose one of {', '.join(STUDIES)}")
    made = {"ratios": _ratios, "methods": _methods, "depth": _depth, "alpha": _alpha, "sets": _sets}[study](recipe)
    return [replace(setting, heldout=recipe.sets) for setting in made]


def _ratios(recipe: Recipe) -> list[Setting]:
    return [Setting("weights pruned (%)", p, recipe, Prune(p / 100)) for p in range(10, 100, 10)]


def _methods(recipe: Recipe) -> list[Setting]:
    pruned = [Setting("pruning: weights pruned (%)", p, recipe, Prune(p / 100)) for p in (30, 50, 70, 90)]
    bits = [Setting("quantisation: bits a weight", bits, recipe, Quantize(bits)) for bits in range(8, 1, -1)]
    return (
        pruned
        + bits
        + [
            Setting("narrowing: hidden neurons removed (%)", p, recipe, Narrow(_kept(recipe.hidden, p)))
            for p in (20, 40, 60, 80)
        ]
    )


def _kept(hidden: tuple[int, ...], percent: int) -> tuple[int, ...]:
    return tuple(max(1, round(width * (100 - percent) / 100)) for width in hidden)


def _depth(recipe: Recipe) -> list[Setting]:
    """Equal widths, and a rate at which the deepest trains too."""
    width = max(1, recipe.hidden[0] // 2)
    deep = [replace(recipe, hidden=(width,) * depth, rate=0.03) for depth in range(2, 7)]
    return [Setting("hidden layers", len(one.hidden), one, "prune") for one in deep]


def _alpha(recipe: Recipe) -> list[Setting]:
    return [Setting("alpha", a, recipe, "narrow", alpha=a, controls=a == 1) for a in (1.0, 2.0, 5.0, 10.0)]


def _sets(recipe: Recipe) -> list[Setting]:
    counts = [max(1, recipe.sets * share // 4) for share in (1, 2, 4, 8)]
    return [
        *(Setting("input sets", n, replace(recipe, sets=n), "narrow") for n in counts),
        *(Setting("radius of a free pixel", r, replace(recipe, radius=r), "narrow") for r in (0.1, 0.2, 0.35, 0.5)),
        *(Setting("free pixels", k, replace(recipe, free=k), "narrow") for k in (1, 2, 4, 6)),
    ]
