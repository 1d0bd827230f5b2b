"""NNet files, the text format of the ACAS Xu networks, with the normalisation its header carries.

The header gives a minimum, maximum, mean and range for every input, and one mean and range for all outputs. The
network proper works on normalised values, ``(x − mean) / range``; users of the original tool give raw inputs (feet,
radians) and get raw outputs. Clipping inputs to [minimum, maximum] is not part of the network here.
Source: Julian 2016, https://github.com/sisl/NNet.
"""

from __future__ import annotations

import re

import numpy as np

from nnequiv.io.files import read_text, write_atomically
from nnequiv.network import Network
from nnequiv.sets import Box

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
#: No layer of a .nnet file may be wider.
MAX_WIDTH = 2**20
#: Written as minimum and maximum where the inputs have no box: the largest float32.
_UNBOUNDED = float(np.finfo(np.float32).max)


class _Lines:
    """The file's lines after the comments, read one by one, with their numbers."""

    def __init__(self, text: str):
        lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1)]
        self.lines = [(i, line) for i, line in lines if line.strip() and not line.lstrip().startswith("//")]
        self.at = 0

    def numbers(self, count: int, what: str, or_more: bool = False) -> np.ndarray:
        """The next line as ``count`` numbers, or at least as many."""
        if self.at == len(self.lines):
            raise ValueError(f"the file ends where {what} should be")
        line, text = self.lines[self.at]
        self.at += 1
        cells = [cell.strip() for cell in text.strip().removesuffix(",").split(",")]
        bad = [cell for cell in cells if not _NUMBER.fullmatch(cell)]
        if bad:
            raise ValueError(f"line {line}: {bad[0]!r} in {what} is not a number")
        if len(cells) < count or (len(cells) > count and not or_more):
            raise ValueError(f"line {line}: {what}: {len(cells)} numbers, but {count} are needed")
        values = np.array([float(cell) for cell in cells])
        if not np.isfinite(values).all():
            raise ValueError(f"line {line}: a number in {what} is too large for float64")
        return values

    def integers(self, count: int, what: str, or_more: bool = False) -> list[int]:
        values = self.numbers(count, what, or_more)
        if (values != np.round(values)).any() or (values < 1).any() or (values > MAX_WIDTH).any():
            raise ValueError(f"line {self.lines[self.at - 1][0]}: {what} must be whole numbers from 1 to {MAX_WIDTH}")
        return [int(v) for v in values]


def load_nnet(path, normalize: bool = False) -> Network:
    """Read a network from a ``.nnet`` file.

    Parameters
    ----------
    path : str or path
    normalize : bool, default False
        False: the network on normalised inputs and outputs, as in the ``.onnx`` files and ``.vnnlib`` properties of
        the ACAS Xu benchmark; the header's means and ranges are left out. True: they are folded into the first and
        the last layer, so inputs and outputs are in their own units (rounded to float64).

    Raises
    ------
    ValueError
        Names the file, the line, and what is wrong.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_nnet(Network([([[2.0]], [0.1])]), folder + "/net.nnet")
    ...     load_nnet(folder + "/net.nnet").layers[0].bias
    array([0.1])
    """
    text = read_text(path)
    try:
        return _parse(text, normalize)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _parse(text: str, normalize: bool) -> Network:
    lines = _Lines(text)
    n_layers, n_inputs, n_outputs, _ = lines.integers(4, "the header")
    widths = lines.integers(2, "the layer sizes", or_more=True)
    if len(widths) != n_layers + 1 or (widths[0], widths[-1]) != (n_inputs, n_outputs):
        raise ValueError(
            f"the layer sizes {widths} do not fit {n_layers} layers, {n_inputs} inputs, {n_outputs} outputs"
        )
    lines.numbers(1, "the unused flag", or_more=True)
    # ACAS Xu files list two more inputs, which choose among its 45 networks, between the inputs and the output.
    lines.numbers(n_inputs, "the minima", or_more=True)
    lines.numbers(n_inputs, "the maxima", or_more=True)
    means = lines.numbers(n_inputs + 1, "the means", or_more=True)
    ranges = lines.numbers(n_inputs + 1, "the ranges", or_more=True)
    layers = []
    for k, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        weight = [lines.numbers(before, f"row {i} of weight {k}") for i in range(after)]
        bias = [lines.numbers(1, f"entry {i} of bias {k}")[0] for i in range(after)]
        layers.append((np.array(weight), np.array(bias)))
    if lines.at != len(lines.lines):
        raise ValueError(f"line {lines.lines[lines.at][0]}: more lines than {n_layers} layers of widths {widths} need")
    return Network(_folded(layers, means, ranges) if normalize else layers)


def _folded(layers: list, means: np.ndarray, ranges: np.ndarray) -> list:
    """Layers with ``(x − mean) / range`` before the first and ``y · range + mean`` after the last."""
    weight, bias = layers[0]
    mean, spread = means[: weight.shape[1]], ranges[: weight.shape[1]]
    if (spread == 0).any():
        raise ValueError(f"range {int(np.argmax(spread == 0))} is 0: the normalisation cannot be folded in")
    layers[0] = (weight / spread, bias - weight @ (mean / spread))
    weight, bias = layers[-1]
    layers[-1] = (weight * ranges[-1], bias * ranges[-1] + means[-1])
    return layers


def save_nnet(network: Network, path, box: Box | None = None) -> None:
    """Write a network; :func:`load_nnet` gives it back bit for bit. See there for an example.

    Parameters
    ----------
    network : Network
    path : str or path
    box : Box, optional
        Written as the inputs' minima and maxima (to which other tools clip). Default: no bound.

    Notes
    -----
    The header's means are 0 and its ranges 1: the network is written as it is.
    """
    n = network.n_inputs
    if box is not None and box.dimension != n:
        raise ValueError(f"{path}: the box has {box.dimension} inputs, but the network has {n}")
    header = [
        [len(network.layers), n, network.n_outputs, max(network.widths)],
        network.widths,
        [0],
        [-_UNBOUNDED] * n if box is None else box.lower.tolist(),
        [_UNBOUNDED] * n if box is None else box.upper.tolist(),
        [0.0] * (n + 1),
        [1.0] * (n + 1),
    ]
    rows = [row for layer in network.layers for part in (layer.weight, layer.bias[:, None]) for row in part.tolist()]
    lines = ["// Neural network file, written by nnequiv"]
    lines += [",".join(repr(value) for value in row) + "," for row in [*header, *rows]]
    write_atomically(path, lambda file: file.write(("\n".join(lines) + "\n").encode("ascii")))
