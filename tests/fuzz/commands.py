"""Command lines of right and wrong words: an exit code from 0 to 3, one line for bad input, never a traceback."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np

import nnequiv as nq
from nnequiv.cli import main
from tests.fuzz.files import originals

VALUES = "0|1|-1|0.5|nan|inf|-inf|1e400|| |x|0,1|1,1|0:1|1:0|a:b|=|é|--".split("|")
#: Words that belong nowhere.
STRAY = ["--", "--bx", "-", "--json=-", "\x01", "--engin", ""]
ENGINES = ["auto", "star", "vertices", "skeleton", "branch-and-bound", "milp", "stars", ""]
FLAGS = {
    "discrepancy": ["--box", "--engine", "--tolerance", "--workers", "--checkpoint", "--memory-limit", "--json",
                    "--certificate"],
    "equivalent": ["--box", "--engine", "--epsilon", "--top1", "--topk", "--order", "--margin", "--json"],
    "regions": ["--box", "--engine", "--list", "--explain", "--json", "--memory-limit"],
    "verify": ["--network", "--timeout", "--engine", "--json", "--checkpoint", "--memory-limit"],
    "audit": ["--network", "--result", "--claim", "--box", "--instances", "--results", "--out", "--json",
              "--checkpoint"],
    "check": ["--network", "--fast", "--time-limit"],
    "convert": [],
    "supports": ["--linear", "--vnnlib-versions"],
    "repair": ["--data", "--target", "--out", "--labels", "--near", "--keep", "--method"],
    "demo": ["--data", "--compress", "--target"],
    "study": ["--data", "--seeds", "--workers"],
    "discrepency": [],
    "": ["--help", "--version"],
}  # fmt: skip
BARE = {"--top1", "--list", "--explain", "--fast", "--labels", "--help", "--version", "--vnnlib-versions"}
#: These train for half a minute if all their words are right: they always get a wrong one.
LONG = {"repair": ["--target", "nan"], "demo": ["--target", "nan"], "study": ["--seeds", "0"]}


class Commands:
    """Command lines for all commands in turn, over files that are right, damaged, missing, or folders."""

    name = "commands"

    def __init__(self, folder: Path):
        self.folder, self.names = folder, sorted(FLAGS)
        for name, (data, _) in originals(folder).items():
            (folder / name).write_bytes(data)
        nq.save(nq.Network([([[1.0, 0.0], [0.5, 1.0]], [0.0, 0.1]), ([[1.0, -1.0]], [0.0])]), folder / "other.npz")
        nq.save(
            nq.Network([(1.01 * w.weight, w.bias) for w in nq.load(folder / "net.npz").layers]), folder / "near.npz"
        )
        nq.save(
            nq.Network([([[1.0, 0.5], [-1.0, 1.0]], [0.0, 0.1]), ([[1.0, 0.0], [1.0, -1.0]], [0.0, 0.0])]),
            folder / "square.npz",
        )
        (folder / "damaged.npz").write_bytes(b"PK\x03\x04 not an archive")
        (folder / "a folder").mkdir(exist_ok=True)
        self.paths = [str(path) for path in sorted(folder.iterdir())] + [str(folder / "missing.npz"), "/dev/null", ""]

    def kind(self, number: int) -> str:
        return self.names[number % len(self.names)] or "nnequiv"

    def words(self, number: int) -> list[str]:
        rng, command = np.random.default_rng([number, 2]), self.names[number % len(self.names)]
        words = [command] if command else []
        words += self._right(command) if rng.integers(2) else [self._file(rng) for _ in range(rng.integers(0, 4))]
        for flag in rng.permutation(FLAGS[command] or ["--box"])[: rng.integers(0, 4)]:
            words.append(str(flag))
            if flag not in BARE:
                words.append(self._value(str(flag), rng))
        if rng.integers(8) == 0:
            words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(STRAY)))
        limit = ["--time-limit", "0.5"] if command in ("discrepancy", "equivalent", "regions", "audit", "check") else []
        return words + limit + LONG.get(command, [])

    def _right(self, command: str) -> list[str]:
        """What the command needs, in order; the options that follow may spoil it."""
        f, g, square = (str(self.folder / name) for name in ("net.npz", "near.npz", "square.npz"))
        query, proof = str(self.folder / "one.vnnlib"), str(self.folder / "proof.json")
        return {
            "discrepancy": [f, g, "--box", "0:1"],
            "equivalent": [f, g, "--box", "-1:1", "--top1"],
            "regions": [f, "--box", "0:1"],
            "verify": [query, "--network", f"f={square}", "--timeout", "1"],
            "audit": [f, g, "--box", "0:1", "--claim", "max<=0.5"],
            "check": [proof],
            "convert": [f, str(self.folder / "new.nnet")],
            "supports": ["--vnnlib-versions"],
        }.get(command, [])

    def _file(self, rng) -> str:
        good = ["net.npz", "net.nnet", "net.onnx", "other.npz"]
        return str(self.folder / rng.choice(good)) if rng.integers(3) else str(rng.choice(self.paths))

    def _value(self, flag: str, rng) -> str:
        if flag == "--engine":
            return str(rng.choice(ENGINES))
        if flag in ("--json", "--certificate", "--checkpoint", "--out"):
            names = ["new.json", "new.json.gz", "a folder", "no/such/folder/x"]
            return "-" if rng.integers(4) == 0 else str(self.folder / rng.choice(names))
        if flag in ("--result", "--instances", "--results", "--network") and rng.integers(2):
            return ("f=" if flag == "--network" else "") + self._file(rng)
        if flag == "--box" and rng.integers(2):
            return str(rng.choice(["0:1", "-1:1", str(self.folder / "box.json"), str(self.folder / "one.vnnlib")]))
        return str(rng.choice(VALUES))

    def run(self, number: int) -> bool:
        """Whether the command found its input good."""
        words, out, err = self.words(number), io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(words)
            except SystemExit as end:
                code = end.code
            except Exception as error:
                raise AssertionError(f"{words}: {error!r}") from error
        assert code in (0, 1, 2, 3), f"{words}: exit code {code}"
        if code == 2:
            assert err.getvalue().count("\n") == 1 and not out.getvalue(), (
                f"{words}: {err.getvalue()!r} {out.getvalue()!r}"
            )
        assert not list(self.folder.glob(".*")), f"{words}: half a file was left"
        for name in ("new.json", "new.json.gz", "new.nnet"):
            (self.folder / name).unlink(missing_ok=True)
        return code != 2
