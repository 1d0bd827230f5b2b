"""IDX files: read exactly, refused in one line."""

import gzip

import numpy as np
import pytest

from nnequiv.io.idx import load_idx, parse_idx


def _file(shape, entries, kind=8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + np.array(shape, ">u4").tobytes() + bytes(entries)


def test_arrays_are_read_as_they_are(tmp_path):
    (tmp_path / "a").write_bytes(_file((2, 3), range(6)))
    np.testing.assert_array_equal(load_idx(tmp_path / "a"), [[0, 1, 2], [3, 4, 5]])
    (tmp_path / "b.gz").write_bytes(gzip.compress(_file((3,), [7, 0, 255])))
    np.testing.assert_array_equal(load_idx(tmp_path / "b.gz"), [7, 0, 255])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with nothing: not an IDX file"),
        (b"\x89PNG....", "starts with 89504e47: not an IDX file"),
        (_file((2,), [1, 2], kind=13), r"entries are of type 13; only unsigned bytes \(8\) are read"),
        (_file((3,), [1, 2]), r"10 bytes, but its header \(3,\) asks for 11"),
        (_file((1,), [1, 2]), r"10 bytes, but its header \(1,\) asks for 9"),
        (b"\0\0\x08\x00", "4 bytes hold no header of 0 dimensions"),
        (b"\0\0\x08\x03\0\0\0\1", "8 bytes hold no header of 3 dimensions"),
        (_file((2**16, 2**16), []), r"shape \(65536, 65536\) has 4294967296 entries, the limit is 268435456"),
    ],
)
def test_what_is_not_an_idx_file_is_refused(data, message):
    with pytest.raises(ValueError, match=f"^labels: {message}$"):
        parse_idx(data, "labels")


def test_gzip_is_checked_to_its_end():
    packed = gzip.compress(_file((4,), [1, 2, 3, 4]))
    for data, message in [
        (packed[:-6], "a.gz: the gzip data is cut off"),
        (packed + b"x", "a.gz: the gzip data has bytes behind its end"),
        (b"plain", "a.gz: not a gzip file"),
        (packed[:-6] + b"\7\7" + packed[-4:], "a.gz: not a gzip file"),
    ]:
        with pytest.raises(ValueError, match=message):
            parse_idx(data, "a.gz")


def test_a_gzip_bomb_stops_at_the_limit(monkeypatch):
    monkeypatch.setattr("nnequiv.io.idx.MAX_ENTRIES", 1000)
    with pytest.raises(ValueError, match="bomb.gz: unpacks to over 2024 bytes"):
        parse_idx(gzip.compress(bytes(10**7)), "bomb.gz")
