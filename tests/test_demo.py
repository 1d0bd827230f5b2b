"""The demo: what it writes, that a seed repeats, and that a missed target is said."""

import json
from dataclasses import replace

import numpy as np
import pytest

from nnequiv.certificate import Certificate, check_certificate
from nnequiv.demo import run_demo
from nnequiv.io.npz import load_npz
from nnequiv.pipeline import Recipe
from nnequiv.reach.skeleton import Skeleton

SMALL = Recipe(hidden=(10,), steps=800, sets=3, free=2, radius=0.1, rounds=2, round_steps=60)
ENGINE = Skeleton()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new"
    lines = []
    made = run_demo(folder, target=6.0, seed=3, recipe=SMALL, engine=ENGINE, say=lines.append)
    return folder, made, lines


def test_the_record_has_every_field(demo):
    folder, made, _ = demo
    record = json.loads((folder / "report.json").read_text())
    for key, parts in {
        "accuracy": ("original", "compressed", "repaired"),
        "size": ("original", "compressed", "repaired"),
        "discrepancy": ("before", "after"),
        "heldout": ("before", "after"),
        "agreement": ("before", "after"),
        "controls": ("repaired, best last layer", "labels", "distillation", "random corners"),
    }.items():
        assert tuple(record[key]) == parts, key
    assert set(record["size"]["repaired"]) == {"parameters", "nonzeros", "bits"}
    for part in (*record["discrepancy"].values(), *record["heldout"].values()):
        assert 0 <= part["lower"] <= part["upper"] < 100
    assert record["sets"] == 3 and record["target"] == 6.0 and record["seed"] == 3
    assert record["proved"] is True is made.proved and record["seconds"] > 0
    assert check_certificate(Certificate.load(folder / "proof.json.gz")).accepted
    assert record["size"]["repaired"]["nonzeros"] <= record["size"]["compressed"]["nonzeros"]
    assert 0 <= record["agreement"]["after"] <= 1
    assert len(record["history"]) == 3


def test_networks_figures_and_report_are_there(demo):
    folder, made, lines = demo
    names = {path.name for path in folder.iterdir()}
    pictures = {"comparison.png", "discrepancy.png", "witness.png", "history.png"}
    networks = {"original.npz", "compressed.npz", "repaired.npz"}
    assert names == {"report.html", "report.md", "report.json", "proof.json.gz"} | networks | pictures
    repaired = load_npz(folder / "repaired.npz")
    for a, b in zip(repaired.layers, made.out.network.layers, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
    text = (folder / "report.md").read_text()
    assert "**Proved**: on all 3 input sets" in text and "control: labels" in text
    for name in pictures:
        assert f"({name})" in text and (folder / name).read_bytes().startswith(b"\x89PNG")
    assert lines[-1] == "Proved: within 6 of f on all input sets."


def test_the_record_is_what_the_engine_says_again(demo):
    _, made, _ = demo
    assert made.record["discrepancy"]["after"]["upper"] == max(entry.upper for entry in made.out.discrepancies)
    assert made.record["discrepancy"]["before"]["upper"] == made.out.history[0].worst[1]
    for box, found in zip(made.input_sets, made.after.sets, strict=True):
        assert box.contains(found.witness) and len(box.free) == 2


def test_the_same_seed_gives_the_same_numbers(demo, tmp_path):
    folder, _, _ = demo
    run_demo(tmp_path, target=6.0, seed=3, recipe=SMALL, engine=ENGINE)

    def numbers(place):
        record = json.loads((place / "report.json").read_text())
        del record["seconds"]
        for entry in record["history"]:
            del entry["seconds"]
        return record

    assert numbers(tmp_path) == numbers(folder)
    for name in ("comparison.png", "repaired.npz"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("compression", ["prune", "quantize"])
def test_a_missed_target_is_said_plainly(compression, tmp_path):
    lines = []
    recipe = replace(SMALL, rounds=1, round_steps=10)
    made = run_demo(tmp_path, compression, 1e-3, 0, recipe=recipe, engine=ENGINE, say=lines.append)
    record = json.loads((tmp_path / "report.json").read_text())
    assert not made.proved and record["proved"] is False and record["round_reached"] is None
    assert "above the target 0.001" in record["reason"]
    assert "**Not proved**: the target 0.001 is missed." in (tmp_path / "report.md").read_text()
    assert lines[-1].startswith("NOT proved: the discrepancy is up to")


def test_bad_arguments_are_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file/out: cannot be made"):
        run_demo(tmp_path / "file" / "out", recipe=SMALL)
    with pytest.raises(ValueError, match="compression is 'shrink'"):
        run_demo(tmp_path, "shrink", recipe=SMALL)
    with pytest.raises(ValueError, match="target is -1"):
        run_demo(tmp_path, target=-1, recipe=SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "target"), [(0, 2.0), (1, 3.0), (2, 3.0)])
def test_the_headline_holds(seed, target, tmp_path):
    made = run_demo(tmp_path, "narrow", target, seed)
    right = made.record["accuracy"]
    assert right["original"] >= 0.975 and 0.86 <= right["compressed"] <= 0.94, f"seed {seed}: {right}"
    assert right["repaired"] >= right["original"] - 0.01, f"seed {seed}: {right}"
    assert made.proved, f"seed {seed}: {made.record['reason']}"
    assert made.record["size"]["repaired"]["nonzeros"] <= made.record["size"]["compressed"]["nonzeros"]
