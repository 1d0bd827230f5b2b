"""The commands ``demo`` and ``repair``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import nnequiv as nq
from nnequiv.cli.shared import DONE, UNKNOWN, add_command, add_engine, progress_bar, say, seed_value
from nnequiv.constraints import constraint_of
from nnequiv.io.files import check_folder
from nnequiv.merge import check_pair
from nnequiv.pipeline import sensitive_boxes


def add_demo(commands) -> None:
    example = "nnequiv demo --compress prune --out report"
    help = "the whole pipeline on real handwritten digits: train, compress, measure, repair, prove; report and figures"
    parser = add_command(commands, "demo", _run_demo, help, example)
    parser.add_argument("--compress", choices=("narrow", "prune", "quantize"), default="narrow")
    parser.add_argument("--target", type=float, default=2.0, metavar="E", help="repaired means |f - g| <= E, default 2")
    parser.add_argument("--out", default="nnequiv-demo", metavar="DIR", help="default nnequiv-demo")
    parser.add_argument("--seed", type=seed_value, default=0, metavar="N", help="decides everything random, default 0")
    add_engine(parser)


def _run_demo(arguments) -> int:
    from nnequiv.demo import run_demo

    choice = dict(compression=arguments.compress, target=arguments.target, seed=arguments.seed, engine=arguments.engine)
    demo = run_demo(arguments.out, **choice, say=lambda line: print(line, flush=True))
    print(f"Report: {arguments.out}/report.md, {demo.record['seconds']:.0f} s")
    return DONE if demo.proved else UNKNOWN


def add_repair(commands) -> None:
    example = "nnequiv repair f.npz g.npz --data digits --target 2 --out repaired.npz"
    help = "retrain g, at its size, until it is proved to be within E of f on boxes around training images"
    parser = add_command(commands, "repair", _run_repair, help, example)
    parser.add_argument("f", metavar="F", help="the original network (.npz, .nnet, .onnx)")
    parser.add_argument("g", metavar="G", help="the compressed network")
    parser.add_argument("--data", required=True, choices=("digits",), help="images to put boxes around and to train on")
    parser.add_argument("--target", type=float, required=True, metavar="E", help="|f_i - g_i| <= E on every box")
    parser.add_argument("--out", required=True, metavar="G2", help="where the repaired network goes")
    parser.add_argument(
        "--keep",
        choices=("shape", "zeros", "grid"),
        default="zeros",
        help="what of G stays: its shape, its zero weights too (default), or the grid its weights are on",
    )
    parser.add_argument("--sets", type=int, default=150, metavar="N", help="boxes, default 150")
    parser.add_argument("--free", type=int, default=4, metavar="K", help="free pixels of a box, default 4")
    parser.add_argument("--radius", type=float, default=0.2, metavar="R", help="of a free pixel, default 0.2")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="at most, default 10")
    parser.add_argument("--seed", type=seed_value, default=0, metavar="N", help="default 0")
    add_engine(parser)
    parser.add_argument("--time-limit", type=float, metavar="S", help="seconds; then keep the best so far, not proved")
    parser.add_argument("--json", metavar="FILE|-", help="write the history and the proof as JSON")


def _run_repair(arguments) -> int:
    check_folder(Path(arguments.out).parent)
    f, g = nq.load(arguments.f), nq.load(arguments.g)
    g = nq.Compressed(g.layers, constraint_of(g, arguments.keep))
    rng = np.random.default_rng(arguments.seed)
    data = nq.digits(rng)
    check_pair(f, g)
    if f.n_inputs != data.train_points.shape[1]:
        raise ValueError(f"f has {f.n_inputs} inputs, but {arguments.data} have {data.train_points.shape[1]} pixels")
    images = data.train_points[rng.permutation(len(data.train_points))[: arguments.sets]]
    boxes = sensitive_boxes(f, g, images, arguments.free, arguments.radius)
    answer = nq.repair(
        f,
        g,
        boxes,
        data,
        arguments.target,
        rng=rng,
        rounds=arguments.rounds,
        engine=arguments.engine,
        progress=progress_bar(),
        time_limit=arguments.time_limit,
    )
    nq.save(answer.network, arguments.out)
    after = answer.discrepancies
    lines = [f"{arguments.out}: {answer.network!r}"]
    if answer.history:
        before = answer.history[0].worst
        lines.append(f"before: largest |f - g| in [{before[0]:.6g}, {before[1]:.6g}]")
    if after:
        interval = max(d.lower for d in after), max(d.upper for d in after)
        lines.append(f"after:  largest |f - g| in [{interval[0]:.6g}, {interval[1]:.6g}] over {len(after)} boxes")
    lines.append(f"proved: within {arguments.target:g}" if answer.proved else f"NOT proved: {answer.reason}")
    say(arguments, lines, answer)
    return DONE if answer.proved else UNKNOWN
