"""The commands ``demo`` and ``repair``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import nnequiv as nq
from nnequiv.cli.certificate import add_certificate, write_certificate
from nnequiv.cli.interrupts import answering
from nnequiv.cli.shared import (
    DONE,
    NOT_EQUIVALENT,
    UNKNOWN,
    add_checkpoint,
    add_command,
    add_engine,
    add_report,
    json_output,
    progress_bar,
    report_lines,
    say,
    seed_value,
    writable,
)
from nnequiv.constraints import constraint_of
from nnequiv.io.files import read_text
from nnequiv.merge import check_pair
from nnequiv.pipeline import sensitive_boxes
from nnequiv.repair.loop import METHODS


def add_demo(commands) -> None:
    example = "nnequiv demo --compress prune --out report"
    help = "the whole pipeline on real handwritten digits: train, compress, measure, repair, prove; report and figures"
    parser = add_command(commands, "demo", _run_demo, help, example)
    parser.add_argument("--data", choices=("digits", "mnist"), default="digits", help="default digits")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="where MNIST's files are; default NNEQUIV_DATA, else a download"
    )
    parser.add_argument("--compress", choices=("narrow", "prune", "quantize"), default="narrow")
    target_help = "repaired means |f - g| <= E, default 2 on digits, 0.5 on mnist"
    parser.add_argument("--target", type=float, metavar="E", help=target_help)
    parser.add_argument("--out", default="nnequiv-demo", metavar="DIR", help="default nnequiv-demo")
    parser.add_argument("--seed", type=seed_value, default=0, metavar="N", help="decides everything random, default 0")
    add_engine(parser)


def _run_demo(arguments) -> int:
    from nnequiv.demo import run_demo

    choice = dict(compression=arguments.compress, target=arguments.target, seed=arguments.seed, engine=arguments.engine)
    data = dict(data=arguments.data, data_dir=arguments.data_dir)
    demo = run_demo(arguments.out, **choice, **data, say=lambda line: print(line, flush=True))
    print(f"Report: {arguments.out}/report.html, {demo.record['seconds']:.0f} s")
    return DONE if demo.proved else UNKNOWN


def add_repair(commands) -> None:
    example = "nnequiv repair f.npz g.npz --data digits --target 2 --method both --out repaired.npz"
    help = "repair g, at its size, until it is proved to be within a target of f on boxes around training images"
    parser = add_command(commands, "repair", _run_repair, help, example)
    parser.add_argument(
        "networks",
        nargs="+",
        metavar="NETWORK",
        help="F and G, the original and the compressed one; G alone with --labels",
    )
    parser.add_argument("--data", required=True, metavar="NAME|DIR", help="digits, mnist, or a folder of MNIST's files")
    parser.add_argument("--data-dir", metavar="DIR", help="where MNIST's files are")
    parser.add_argument(
        "--target",
        required=True,
        metavar="E|BOX|POLYTOPE",
        help="where f - g must lie: a largest |f_i - g_i|, lo:hi, a file as for --box, or JSON with matrix and bound",
    )
    parser.add_argument("--out", required=True, type=writable, metavar="G2", help="where the repaired network goes")
    parser.add_argument("--labels", action="store_true", help="without F: keep every box's label, by a margin --target")
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="sgd",
        help="train on witnesses (default), take the best last layer with a proof that it is, or both in turn",
    )
    parser.add_argument(
        "--near", type=float, metavar="FACTOR", help="last layer: nearest to the old one within this factor of the best"
    )
    parser.add_argument(
        "--keep",
        choices=("shape", "zeros", "grid"),
        default="zeros",
        help="what of G stays: its shape, its zero weights too (default), or the grid its weights are on",
    )
    parser.add_argument("--sets", type=int, default=150, metavar="N", help="boxes, default 150")
    parser.add_argument("--free", type=int, default=4, metavar="K", help="free pixels of a box, default 4")
    parser.add_argument("--radius", type=float, default=0.2, metavar="R", help="of a free pixel, default 0.2")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="of training at most, default 10")
    parser.add_argument("--seed", type=seed_value, default=0, metavar="N", help="default 0")
    add_engine(parser)
    parser.add_argument("--time-limit", type=float, metavar="S", help="seconds; then keep the best so far, not proved")
    add_checkpoint(parser)
    add_certificate(parser)
    add_report(parser)
    parser.add_argument("--json", type=json_output, metavar="FILE|-", help="write the history and the proof as JSON")


def _run_repair(arguments) -> int:
    f, g = _networks(arguments)
    g = nq.Compressed(g.layers, constraint_of(g, arguments.keep))
    target = _target(arguments.target, g.n_outputs)
    rng = np.random.default_rng(arguments.seed)
    data = _data(arguments, rng)
    if g.n_inputs != data.train_points.shape[1]:
        name = "g" if f is None else "f"
        raise ValueError(f"{name} has {g.n_inputs} inputs, but {data.name} have {data.train_points.shape[1]} pixels")
    chosen = rng.permutation(len(data.train_points))[: arguments.sets]
    # Without f, the pixels that move g most.
    other = f or nq.Network([(np.zeros((g.n_outputs, g.n_inputs)), np.zeros(g.n_outputs))])
    boxes = sensitive_boxes(other, g, data.train_points[chosen], arguments.free, arguments.radius)
    answer = nq.repair(
        data.train_labels[chosen] if f is None else f,
        g,
        boxes,
        data,
        target,
        rng=rng,
        method=arguments.method,
        near=arguments.near,
        rounds=arguments.rounds,
        engine=arguments.engine,
        progress=progress_bar(),
        time_limit=arguments.time_limit,
        checkpoint=arguments.checkpoint,
    )
    with answering():
        nq.save(answer.network, arguments.out)
    lines = [f"{arguments.out}: {answer.network!r}", *_result_lines(arguments, answer)]
    lines += write_certificate(arguments, answer) if answer.proved else []
    lines += _report(arguments, answer, "g" if f is None else "fg")
    say(arguments, lines, answer)
    if answer.proved:
        return DONE
    return NOT_EQUIVALENT if answer.infeasible and arguments.method == "last-layer" else UNKNOWN


def _report(arguments, answer, names: str) -> list[str]:
    def write(folder: str) -> None:
        from nnequiv.report.repair_page import write_repair

        networks = {name: (nq.load(file), file) for name, file in zip(names, arguments.networks, strict=True)}
        networks["g, repaired"] = (answer.network, arguments.out)
        write_repair(folder, answer, networks, arguments.words)

    return report_lines(arguments, write)


def _networks(arguments):
    """f (None with --labels) and g, checked against each other."""
    count = 1 if arguments.labels else 2
    if len(arguments.networks) != count:
        wanted = "G alone with --labels" if arguments.labels else "F and G"
        raise ValueError(f"{len(arguments.networks)} networks are given: give {wanted}")
    networks = [nq.load(path) for path in arguments.networks]
    if arguments.labels:
        return None, networks[0]
    check_pair(*networks)
    return networks


def _data(arguments, rng: np.random.Generator):
    if arguments.data == "digits":
        return nq.digits(rng)
    folder = arguments.data_dir if arguments.data == "mnist" else arguments.data
    if arguments.data != "mnist" and not Path(folder).is_dir():
        raise ValueError(f"--data is {arguments.data!r}: it must be digits, mnist, or a folder of MNIST's files")
    return nq.mnist(folder)


def _target(text: str, n_outputs: int) -> float | nq.Box | nq.Polytope:
    """A number, a box or a polytope of differences."""
    try:
        return float(text)
    except ValueError:
        pass
    if text.endswith(".json"):
        content = read_text(text)
        try:
            record = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{text}: not JSON ({error})") from None
        if isinstance(record, dict) and "matrix" in record:
            return nq.Polytope(record["matrix"], record.get("bound", ()))
    return nq.load_box(text, dimension=n_outputs)


def _result_lines(arguments, answer) -> list[str]:
    what = "largest |f - g|" if isinstance(answer.target, float) and answer.labels is None else "largest violation"
    lines = []
    if answer.history:
        before = answer.history[0].worst
        lines.append(f"before: {what} in [{before[0]:.6g}, {before[1]:.6g}]")
    if answer.discrepancies:
        after = answer.discrepancies
        interval = max(d.lower for d in after), max(d.upper for d in after)
        lines.append(f"after:  {what} in [{interval[0]:.6g}, {interval[1]:.6g}] over {len(after)} boxes")
    if answer.last_layer is not None:
        layer = answer.last_layer
        limit = "" if np.isinf(layer.limit) else f" with entries up to {layer.limit:.3g}"
        lines.append(f"best last layer: {layer.upper:.6g}; proved that none{limit} is below {layer.lower_bound:.6g}")
    within = {True: f"labels are kept by {answer.target}", False: f"within {arguments.target}"}[arguments.labels]
    return [*lines, f"proved: {within}" if answer.proved else f"NOT proved: {answer.reason}"]
