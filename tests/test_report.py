"""The report's page: whole, self-contained, escaped, its numbers those of the record; nothing half-written."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nnequiv.demo import run_demo
from nnequiv.pipeline import Recipe
from nnequiv.reach.skeleton import Skeleton
from nnequiv.report import demo_page, record, write_files
from nnequiv.report.page import banner, bullets, code, facts, figures, heading, page, paragraph, table

VOID = {"meta", "br", "img"}
HOSTILE = '<b onload="x">&.npz'


class Reader(HTMLParser):
    """Tags must nest; collects the words and the addresses of everything that is loaded or linked."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.addresses, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    recipe = Recipe(hidden=(10,), steps=800, sets=3, free=2, radius=0.1, rounds=2, round_steps=60)
    run_demo(folder, target=6.0, seed=3, recipe=recipe, engine=Skeleton())
    return folder, json.loads((folder / "report.json").read_text())


def test_the_page_is_whole_and_loads_nothing(demo):
    html = (demo[0] / "report.html").read_text()
    reader = read(html)
    assert {"script", "link", "iframe"}.isdisjoint(reader.tags)
    assert len(reader.addresses) == 7 and all(a.startswith("data:image/png;base64,") for a in reader.addresses)
    assert "http:" not in html and "https:" not in html and "url(" not in html and "@import" not in html
    words = " ".join(reader.words)
    for wanted in ("The question", "The answer", "Where the worst point is", "Controls", "History", "make it again"):
        assert wanted in words
    assert str(demo[0]) not in html


def leaves(value) -> list:
    if isinstance(value, dict):
        return [leaf for entry in value.values() for leaf in leaves(entry)]
    return [leaf for entry in value for leaf in leaves(entry)] if isinstance(value, list) else [value]


def test_every_number_of_the_page_is_in_the_record(demo):
    folder, record = demo
    known = [leaf for leaf in leaves(record) if isinstance(leaf, (int, float)) and not isinstance(leaf, bool)]
    known += [record["recipe"]["rounds"] * record["recipe"]["round_steps"], *range(10)]  # steps; outputs' names
    texts = " ".join(leaf for leaf in leaves(record) if isinstance(leaf, str))
    known = np.array([*known, *(100 * np.array(known, dtype=float))], dtype=float)
    words = " ".join(read((folder / "report.html").read_text()).words).replace(texts, "")
    numbers = re.findall(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e-?\d+)?(?![\w])", words)
    assert len(numbers) > 80
    for token in numbers:
        plain = token.rstrip(",.").replace(",", "")
        decimals = len(plain.split("e")[0].partition(".")[2])
        step = 10.0 ** (int(plain.partition("e")[2] or 0) - decimals)
        near = np.abs(known - float(plain)).min() <= step  # rounded outwards: up to a unit in the last place
        assert near or plain in texts or f"SHA-{plain}" == "SHA-256" or plain == "-256", token


def test_everything_is_escaped(demo):
    parts = [heading(HOSTILE), paragraph(HOSTILE), banner("bad", HOSTILE, HOSTILE), code(HOSTILE), bullets([HOSTILE])]
    parts += [facts({HOSTILE: HOSTILE}), table([HOSTILE], [[HOSTILE]]), figures([(b"", HOSTILE, True)])]
    reader = read(page(HOSTILE, parts))
    assert "b" not in reader.tags and reader.words.count(HOSTILE) == 12
    changed = demo[1] | {"command": HOSTILE, "reason": HOSTILE, "data": HOSTILE, "proved": False, "engine": HOSTILE}
    names = ("accuracy", "gaps", "image", "witness", "outputs", "sets", "rounds")
    reader = read(demo_page(changed, dict.fromkeys(names, b"")))
    assert "b" not in reader.tags and " ".join(reader.words).count(HOSTILE) == 5


def test_a_write_that_fails_leaves_no_half_file_and_no_record(tmp_path, monkeypatch):
    write_files(tmp_path, {"old": 1}, [("report.html", b"old")])
    real = record.write_atomically

    def failing(path, write):
        def broken(file):
            file.write(b"half")
            raise OSError(28, "No space left on device")

        real(path, broken if path.name == "report.html" else write)

    monkeypatch.setattr(record, "write_atomically", failing)
    with pytest.raises(ValueError, match="report.html: cannot be written .No space left"):
        write_files(tmp_path, {"new": 1}, [("a.png", b"new"), ("report.html", b"new")])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"report.html": b"old", "a.png": b"new"}
