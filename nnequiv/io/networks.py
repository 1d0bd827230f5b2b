"""``load`` and ``save``: networks by the suffix of their file."""

from __future__ import annotations

from pathlib import Path

from nnequiv.io.nnet import load_nnet, save_nnet
from nnequiv.io.npz import load_npz, save_npz
from nnequiv.io.onnx import load_onnx
from nnequiv.io.onnx_write import save_onnx
from nnequiv.network import Network

_LOADERS = {".npz": load_npz, ".nnet": load_nnet, ".onnx": load_onnx}
_SAVERS = {".npz": save_npz, ".nnet": save_nnet, ".onnx": save_onnx}


def _by_suffix(table: dict, path):
    suffix = Path(path).suffix.lower()
    if suffix not in table:
        raise ValueError(f"{path}: suffix {suffix!r} is not one of {', '.join(table)}")
    return table[suffix]


def load(path, **options) -> Network:
    """Read a network from a ``.npz``, ``.nnet`` or ``.onnx`` file.

    Parameters
    ----------
    path : str or path
    options
        Passed on to :func:`~nnequiv.io.npz.load_npz`, :func:`~nnequiv.io.nnet.load_nnet` or
        :func:`~nnequiv.io.onnx.load_onnx`.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        One line that names the file and what is wrong with it.

    Examples
    --------
    >>> load("missing.npz")
    Traceback (most recent call last):
    ...
    ValueError: missing.npz: cannot be read (No such file or directory)
    """
    return _by_suffix(_LOADERS, path)(path, **options)


def save(network: Network, path, **options) -> None:
    """Write a network to a ``.npz``, ``.nnet`` or ``.onnx`` file; a half-written file never stands there.

    Parameters
    ----------
    network : Network
    path : str or path
        Its suffix decides the format. ``.npz`` keeps every bit; ``.onnx`` has ``dtype="float32"``.
    options
        Passed on to the format's own function.

    Raises
    ------
    ValueError
        One line that names the file, if it cannot be written or the format cannot hold the network.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Network([([[0.1]], [0.0])]), folder + "/net.npz")
    ...     load(folder + "/net.npz").widths
    (1, 1)
    """
    _by_suffix(_SAVERS, path)(network, path, **options)
