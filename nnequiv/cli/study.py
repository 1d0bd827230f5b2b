"""The command ``study``."""

from __future__ import annotations

import argparse

from nnequiv.cli.shared import DONE, add_command

#: Kept here too, so that ``--help`` need not import what a study needs; a test holds it to the package's.
NAMES = ("ratios", "methods", "depth", "alpha", "sets")


def add_study(commands) -> None:
    help = "what compression and repair do as one thing varies, over seeds, against controls: CSV, figure, page"
    parser = add_command(commands, "study", _run_study, help, "nnequiv study ratios --seeds 3 --out study")
    parser.add_argument("study", choices=(*NAMES, "all"), metavar="STUDY", help=f"{', '.join(NAMES)}, or all")
    parser.add_argument("--data", choices=("digits", "mnist"), default="digits", help="default digits")
    parser.add_argument("--data-dir", metavar="DIR", help="where MNIST's files are")
    parser.add_argument("--seeds", type=_count, default=3, metavar="N", help="how many: 0, 1, …; default 3")
    parser.add_argument("--out", default="nnequiv-study", metavar="DIR", help="default nnequiv-study")
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="processes, default 1; a stopped study writes nothing"
    )


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number, at least 1")
    return int(text)


def _run_study(arguments) -> int:
    from nnequiv.study import run_study

    where = dict(data_dir=arguments.data_dir, workers=arguments.workers)
    for study in NAMES if arguments.study == "all" else (arguments.study,):
        run_study(
            study, arguments.out, arguments.data, arguments.seeds, **where, say=lambda line: print(line, flush=True)
        )
        print(f"{arguments.out}/{study}.md", flush=True)
    return DONE
