"""The whole pipeline on real digits: train, compress, find the exact discrepancy, repair, prove, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from nnequiv.certificate import check_certificate
from nnequiv.compression import Compressed, size
from nnequiv.control import Stopped
from nnequiv.datasets import Dataset
from nnequiv.io.files import made_folder
from nnequiv.io.npz import save_npz
from nnequiv.network import Network
from nnequiv.pipeline import (
    CONTROL,
    CONTROLS,
    KINDS,
    RECIPES,
    REPAIR,
    TRAIN,
    Measured,
    Recipe,
    agreement,
    choose_sets,
    compress_to,
    images_of,
    measure,
    stream,
    train_control,
    train_original,
)
from nnequiv.reach.engine import Engine
from nnequiv.repair import LastLayer, Repair, best_last_layer, repair
from nnequiv.repair.loop import check_target
from nnequiv.report import (
    control_record,
    demo_figures,
    demo_page,
    demo_pictures,
    interval,
    markdown,
    sha256,
    summary_table,
    write_files,
)
from nnequiv.sets import Box
from nnequiv.training import accuracy
from nnequiv.version import VERSION

#: The certificate of the repair, in the report's folder.
PROOF = "proof.json.gz"


@dataclass(frozen=True, eq=False)
class Demo:
    """What :func:`run_demo` made; ``record`` is the content of ``report.json``."""

    original: Network
    compressed: Compressed
    out: Repair
    last_layer: LastLayer
    images: np.ndarray
    input_sets: tuple[Box, ...]
    heldout_sets: tuple[Box, ...]
    before: Measured
    after: Measured
    controls: dict[str, Measured]
    record: dict

    @property
    def proved(self) -> bool:
        return self.out.proved


def run_demo(
    folder,
    compression: str = "narrow",
    target: float | None = None,
    seed: int = 0,
    *,
    data: str = "digits",
    data_dir=None,
    recipe: Recipe | None = None,
    engine: str | Engine = "auto",
    say: Callable[[str], None] | None = None,
) -> Demo:
    """Train f on handwritten digits, compress it, repair it, prove it, and write the report into a folder.

    Parameters
    ----------
    folder : str or path
        Made if it is missing. Gets ``report.html``, ``report.md``, ``report.json``, four figures, three networks and
        the proof.
    compression : {"narrow", "prune", "quantize"}
    target : float, optional
        Repaired means: every output within this of f's, on every input set. By default the recipe's.
    seed : int
        Decides everything random.
    data : {"digits", "mnist"}
        The 8 × 8 digits of the package, or full MNIST (:func:`nnequiv.mnist`).
    data_dir : str or path, optional
        Where MNIST's files are.
    recipe : Recipe, optional
        By default the one of the data set.
    engine : str or engine
    say : callable, optional
        Gets a line of text now and then, and the table at the end.

    Returns
    -------
    Demo
        ``proved`` says whether the target was reached, with a proof that the independent checker accepted.

    Raises
    ------
    ValueError
        If the folder cannot be written or the compression is unknown; before anything is computed.
    Stopped
        If repair was interrupted; nothing is written then.
    """
    say, started = say or (lambda line: None), time.perf_counter()
    if compression not in KINDS:
        raise ValueError(f"compression is {compression!r}: choose one of {', '.join(KINDS)}")
    if data not in RECIPES:
        raise ValueError(f"data is {data!r}: choose one of {', '.join(RECIPES)}")
    recipe = recipe or RECIPES[data]
    target = recipe.target if target is None else target
    check_target(target)
    folder = made_folder(folder)
    data = images_of(data, data_dir, seed)
    if data.note:
        say(f"{data.name}: {data.note}.")
    f = train_original(data, recipe, stream(seed, TRAIN))
    g0, how = compress_to(f, compression, data, recipe.drop, recipe.judged)
    images, sets, heldout = choose_sets(f, g0, data, recipe, seed, recipe.sets)
    say(f"f: {_name(f)}, right on {_right(f, data)} of test images. g: {how}, {_name(g0)}, {_right(g0, data)}.")
    out = _checked(_repair(f, g0, sets, data, target, recipe, seed, engine, say), folder, say)
    before = measure(f, g0, sets, heldout, data, engine, known=out.history[0].discrepancies)
    after = measure(f, out.network, sets, heldout, data, engine, known=out.discrepancies)
    say("The best last layer over the repaired hidden layers.")
    last = best_last_layer(f, out.network, sets, engine=engine)
    controls = {"repaired, best last layer": measure(f, last.network, sets, heldout, data, engine)}
    for number, name in enumerate(CONTROLS):
        say(f"Control: {name}.")
        g = train_control(name, f, g0, sets, data, recipe, stream(seed, CONTROL + number))
        controls[name] = measure(f, g, sets, heldout, data, engine)
    say("Agreement of classes.")
    agree = {
        key: {when: agreement(f, m.network, boxes, engine) for when, m in (("before", before), ("after", after))}
        for key, boxes in (("agreement", sets), ("heldout_agreement", heldout))
    }
    record = _record(data, how, seed, f, before, after, out, controls) | agree
    record["seconds"] = round(time.perf_counter() - started, 3)
    record["last_layer"] = {key: getattr(last, key) for key in ("lower", "upper", "lower_bound", "gap", "optimal")}
    record["recipe"] = asdict(recipe)
    record["worst"] = _worst(f, g0, out.network, images, sets, before)
    record["command"] = _command(compression, target, seed, data, recipe, engine)
    demo = Demo(f, g0, out, last, images, tuple(sets), tuple(heldout), before, after, controls, record)
    _write(folder, demo, data, recipe)
    say("\n" + summary_table(record) + "\n")
    say(f"Proved: within {target:g} of f on all input sets." if out.proved else f"NOT proved: {out.reason}.")
    return demo


def _repair(f, g0, sets, data, target: float, recipe: Recipe, seed: int, engine, say) -> Repair:
    """Repair over all rounds, so that its steps are those of the controls; the target may be reached long before."""

    def progress(round: int, lower: float, upper: float) -> None:
        say(f"  round {round:2d}: largest |f - g| over all input sets {upper:.3f}")

    say(f"Repair on {len(sets)} input sets:")
    schedule = dict(rounds=recipe.rounds, steps=recipe.round_steps, batch=recipe.batch, stop_early=False)
    rng = stream(seed, REPAIR)
    out = repair(f, g0, sets, data, target, rng=rng, engine=engine, progress=progress, **schedule)
    if not out.discrepancies:
        raise Stopped(f"repair was stopped before its proof: {out.reason}")
    return out


def _checked(out: Repair, folder: Path, say) -> Repair:
    """Repair's proof as a certificate in the folder, gone over by the independent checker; proved means accepted."""
    path = folder / PROOF
    path.unlink(missing_ok=True)  # of an earlier run
    if not out.proved:
        return out
    try:
        certificate = out.certificate()
    except ValueError as error:
        return replace(out, proved=False, reason=f"no certificate was found: {error}")
    certificate.save(path)
    report = check_certificate(certificate)
    if not report.accepted:
        return replace(out, proved=False, reason=f"the checker refused the certificate: {report.text}")
    say(f"The certificate {PROOF} of {len(certificate.record['claims'])} claims is checked in exact arithmetic.")
    return out


def _record(
    data: Dataset, how, seed: int, f: Network, before: Measured, after: Measured, out: Repair, controls
) -> dict:
    """The content of ``report.json``, but for the seconds."""
    g0, g = before.network, out.network
    stages = {"original": f, "compressed": g0, "repaired": g}
    reached = [entry.number for entry in out.history if entry.worst[1] <= out.target]
    return {
        "version": VERSION,
        "data": data.name,
        "seed": seed,
        "compression": repr(how),
        "networks": {name: _name(network) for name, network in stages.items()},
        "accuracy": {name: accuracy(net, data.test_points, data.test_labels) for name, net in stages.items()},
        "training_accuracy": {
            name: accuracy(net, data.train_points, data.train_labels) for name, net in stages.items()
        },
        "sha256": {name: sha256(network) for name, network in stages.items()},
        "size": {name: size(network).to_json() for name, network in stages.items()},
        "sets": len(before.sets),
        "target": out.target,
        "proved": out.proved,
        "reason": out.reason,
        "round_reached": reached[0] if reached else None,
        "discrepancy": {"before": interval(before.sets), "after": interval(after.sets)},
        "heldout": {"before": interval(before.heldout), "after": interval(after.heldout)},
        "controls": {name: control_record(measured) for name, measured in controls.items()},
        "engine": after.sets[0].engine,
        "history": [
            {
                "round": entry.number,
                "lower": entry.worst[0],
                "upper": entry.worst[1],
                "loss": entry.loss if entry.number else None,
                "accuracy": entry.accuracy,
                "seconds": round(entry.seconds, 3),
            }
            for entry in out.history
        ],
    }


def _write(folder: Path, demo: Demo, data: Dataset, recipe: Recipe) -> None:
    """Everything into the folder, the report last: where it is, all it speaks of is there too."""
    for name, network in (("original", demo.original), ("compressed", demo.compressed), ("repaired", demo.out.network)):
        save_npz(network, folder / f"{name}.npz")
    record, measured = demo.record, (demo.before, demo.after)
    before, after = (np.array([[d.lower, d.upper] for d in m.sets]) for m in measured)
    medians = [np.median(entry.intervals[:, 1]) for entry in demo.out.history]
    pictures = demo_pictures(record, before, after, medians, data.image_shape)
    files = [
        (f"{name}.png", content)
        for name, content in demo_figures(
            record, demo.out.history, measured, demo.controls, recipe, data.image_shape
        ).items()
    ]
    texts = {"report.md": markdown(record), "report.html": demo_page(record, pictures)}
    write_files(folder, record, [*files, *((name, text.encode()) for name, text in texts.items())])


def _worst(f: Network, g0: Network, g: Network, images: np.ndarray, sets: list[Box], before: Measured) -> dict:
    """The worst point of the worst input set before repair, and what the networks say there."""
    which = int(np.argmax([discrepancy.lower for discrepancy in before.sets]))
    found = before.sets[which]
    return {
        "set": which,
        "output": found.output,
        "lower": found.lower,
        "image": images[which].tolist(),
        "witness": list(found.witness),
        "free": sets[which].free.tolist(),
        "outputs": {
            name: network.evaluate(np.array(found.witness)).tolist()
            for name, network in (("f", f), ("g before", g0), ("g after", g))
        },
    }


def _command(compression: str, target: float, seed: int, data: Dataset, recipe: Recipe, engine: str | Engine) -> str:
    """What makes the report again: the command, or for other choices than its own, the call."""
    kind = data.name
    if RECIPES.get(kind) == recipe and isinstance(engine, str):
        chosen = "" if engine == "auto" else f" --engine {engine}"
        return f"nnequiv demo --data {kind} --compress {compression} --target {target!r} --seed {seed}{chosen}"
    return f"run_demo(folder, {compression!r}, {target!r}, {seed}, recipe={recipe}, engine={engine!r})"


def _name(network: Network) -> str:
    return "-".join(str(width) for width in network.widths)


def _right(network: Network, data: Dataset) -> str:
    return f"{100 * accuracy(network, data.test_points, data.test_labels):.1f} %"
