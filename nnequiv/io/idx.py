"""IDX files: the format of MNIST, an array of bytes behind a short header.

Two zero bytes, the type (8 is unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit number,
then the entries. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np

from nnequiv.io.files import read_bytes

#: No array is larger; a header that claims more is refused before anything is unpacked.
MAX_ENTRIES = 2**28

UNSIGNED_BYTE = 8


def load_idx(path) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, unpacked if the name ends in ``.gz``.

    Raises
    ------
    ValueError
        Naming the file, if it is not such a file, too short, too long, or larger than it may be.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = Path(folder, "labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 1]))
    ...     load_idx(Path(folder, "labels"))
    array([7, 1], dtype=uint8)
    """
    return parse_idx(read_bytes(path), path)


def parse_idx(data: bytes, path) -> np.ndarray:
    """The array in the bytes of a file; ``path`` is for messages and says whether they are gzipped."""
    if Path(path).suffix == ".gz":
        data = _unpacked(data, path)
    shape = _shape(data, path)
    start, count = 4 + 4 * len(shape), math.prod(shape)
    if len(data) != start + count:
        raise ValueError(f"{path}: {len(data)} bytes, but its header {shape} asks for {start + count}")
    return np.frombuffer(data, np.uint8, count, start).reshape(shape)


def _shape(data: bytes, path) -> tuple[int, ...]:
    if len(data) < 4 or data[:2] != b"\0\0":
        raise ValueError(f"{path}: starts with {data[:4].hex() or 'nothing'}: not an IDX file")
    if data[2] != UNSIGNED_BYTE:
        raise ValueError(f"{path}: entries are of type {data[2]}; only unsigned bytes ({UNSIGNED_BYTE}) are read")
    rank = data[3]
    if not rank or len(data) < 4 + 4 * rank:
        raise ValueError(f"{path}: {len(data)} bytes hold no header of {rank} dimensions")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", rank, 4))
    if math.prod(shape) > MAX_ENTRIES:
        raise ValueError(f"{path}: shape {shape} has {math.prod(shape)} entries, the limit is {MAX_ENTRIES}")
    return shape


def _unpacked(data: bytes, path) -> bytes:
    """Never more than the largest array: a small file can unpack to any size."""
    limit = MAX_ENTRIES + 4 + 4 * 255
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"{path}: not a gzip file ({error})") from None
    if len(content) > limit:
        raise ValueError(f"{path}: unpacks to over {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        what = "has bytes behind its end" if unpacker.eof else "is cut off"
        raise ValueError(f"{path}: the gzip data {what}")
    return content
