"""NumPy archives: the library's own file format, ``weight_0, bias_0, weight_1, ...``, bit for bit."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from nnequiv.io.files import MAX_FILE_BYTES, read_bytes, write_atomically
from nnequiv.network import Network


def load_npz(path) -> Network:
    """Read a network from an archive with arrays ``weight_i`` (n_out, n_in) and ``bias_i`` (n_out,), i = 0, 1, ...

    Float16 and float32 arrays keep their exact values. Nothing in the file is executed (no pickles).

    Raises
    ------
    ValueError
        Names the file and what is wrong with it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_npz(Network([([[2.0]], [0.1])]), folder + "/net.npz")
    ...     load_npz(folder + "/net.npz").layers[0].bias
    array([0.1])
    """
    data = read_bytes(path)
    if data[:2] != b"PK":
        raise ValueError(f"{path}: not a .npz archive")
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
        if len({member.filename.removesuffix(".npy") for member in members}) < len(members):
            raise ValueError("it holds two arrays of one name")
        size = sum(member.file_size for member in members)
        if size > MAX_FILE_BYTES:
            raise ValueError(f"it unpacks to {size} bytes, the limit is {MAX_FILE_BYTES}")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds on damaged archives
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path}: damaged or unsupported .npz archive ({first_line})") from None
    if not arrays or len(arrays) % 2:
        raise ValueError(f"{path}: holds {len(arrays)} arrays, but a network is pairs weight_i, bias_i")
    names = [(f"weight_{i}", f"bias_{i}") for i in range(len(arrays) // 2)]
    for name in (name for pair in names for name in pair):
        if name not in arrays:
            raise ValueError(f"{path}: no array {name} among {', '.join(map(repr, sorted(arrays)[:9]))}")
        if not isinstance(arrays[name], np.ndarray):  # np.load gives the bytes of what does not begin as an array
            raise ValueError(f"{path}: {name} is not an array")
        if arrays[name].dtype.kind not in "fiu":
            raise ValueError(f"{path}: {name} has type {arrays[name].dtype}, but weights are real numbers")
        if not _fits(arrays[name]):
            raise ValueError(f"{path}: {name} has type {arrays[name].dtype} and a number that float64 cannot hold")
    try:
        return Network([(arrays[weight], arrays[bias]) for weight, bias in names])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _fits(array: np.ndarray) -> bool:
    """Whether float64 holds every finite number of the array; whole numbers beyond 2**53 are refused, even or not."""
    if array.dtype.kind in "iu":
        return not ((array > 2**53) | (array < -(2**53))).any()
    with np.errstate(over="ignore", under="ignore"):
        return bool((array.astype(np.float64) == array)[np.isfinite(array)].all())


def save_npz(network: Network, path) -> None:
    """Write a network; :func:`load_npz` gives it back bit for bit. See there for an example."""
    arrays = {}
    for i, layer in enumerate(network.layers):
        arrays[f"weight_{i}"], arrays[f"bias_{i}"] = layer.weight, layer.bias
    content = io.BytesIO()  # not into the file: where the disk is full, zipfile would complain a second time
    np.savez(content, **arrays)
    write_atomically(path, lambda file: file.write(content.getbuffer()))
