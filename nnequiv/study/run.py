"""A study from its name to its three files."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from nnequiv.io.files import made_folder, write_atomically
from nnequiv.io.mnist import mnist
from nnequiv.pipeline import RECIPES, Recipe
from nnequiv.plot.style import png
from nnequiv.reach.engine import Engine
from nnequiv.study.cells import Row, run_cell, to_csv
from nnequiv.study.figure import study_figure
from nnequiv.study.settings import STUDIES, settings, study_recipe
from nnequiv.study.text import study_page
from nnequiv.worker import end_with_parent


def run_study(
    study: str,
    folder,
    data: str = "digits",
    seeds: int = 3,
    *,
    data_dir=None,
    workers: int = 1,
    recipe: Recipe | None = None,
    engine: str | Engine = "auto",
    say: Callable[[str], None] | None = None,
) -> list[Row]:
    """Run a study over seeds 0, 1, …, and write ``<study>.csv``, ``<study>.png`` and ``<study>.md`` into a folder.

    Parameters
    ----------
    study : {"ratios", "methods", "depth", "alpha", "sets"}
    folder : str or path
        Made if it is missing. The files are written when all is done: a run that is stopped writes nothing.
    data : {"digits", "mnist"}
    seeds : int
        How many.
    data_dir : str or path, optional
        Where MNIST's files are.
    workers : int
        Processes.
    recipe : Recipe, optional
        What the study does not vary; by default the demo's with fewer sets and steps.
    engine : str or engine
    say : callable, optional
        Gets a line for each setting and seed.

    Returns
    -------
    list of Row
        Setting by setting, seed by seed, method by method.

    Raises
    ------
    ValueError
        If an argument is bad or the folder cannot be written; before anything is computed.
    """
    say, started = say or (lambda line: None), time.perf_counter()
    if data not in RECIPES:
        raise ValueError(f"data is {data!r}: choose one of {', '.join(RECIPES)}")
    if seeds < 1 or workers < 1:
        raise ValueError(f"seeds is {seeds} and workers {workers}: both must be at least 1")
    recipe = recipe or study_recipe(data)
    planned = [(study, setting, seed) for setting in settings(study, recipe) for seed in range(seeds)]
    folder = made_folder(folder)
    if data == "mnist":
        mnist(data_dir)  # refused now, not in a worker
    say(f"{study}: {STUDIES[study]}. {len(planned)} runs, {recipe}")
    rows: list[Row] = []
    with _mapped(workers) as mapped:
        jobs = [(*job, data, data_dir, engine) for job in planned]
        for number, made in enumerate(mapped(_rows, jobs), 1):
            rows += made
            first = made[0]
            say(f"  {number}/{len(jobs)}: {first.group} {first.value:g}, seed {first.seed}")
    seconds = time.perf_counter() - started
    command = f"nnequiv study {study} --data {data} --seeds {seeds}"
    caption = (
        f"{data}; mean and range over {seeds} seeds; δ: largest |f − g| on any set, proved (logit units, log scale)"
    )
    picture = png(study_figure("", rows, caption))
    page = study_page(study, rows, recipe, data, seconds, command)
    # The page last: where it is, all it speaks of is there too.
    for name, content in (("csv", to_csv(rows).encode()), ("png", picture), ("md", page.encode())):
        write_atomically(folder / f"{study}.{name}", lambda file, content=content: file.write(content))
    return rows


def _rows(job) -> tuple[Row, ...]:
    return run_cell(*job).rows


@contextmanager
def _mapped(workers: int):
    """``map``, over processes if there are several; what has not begun when the caller stops is never begun."""
    if workers == 1:
        yield map
        return
    # A forked copy of a process with threads may hang; a fresh one does not.
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=fresh, initializer=end_with_parent)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
