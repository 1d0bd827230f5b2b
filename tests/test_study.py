"""Studies: rows that read back, means that are means, sentences that follow from the numbers, files whole or absent."""

from dataclasses import replace

import numpy as np
import pytest

from nnequiv.cli.study import NAMES
from nnequiv.compression import compress
from nnequiv.equivalence import max_discrepancies
from nnequiv.pipeline import Recipe, worst
from nnequiv.reach.skeleton import Skeleton
from nnequiv.study import STUDIES, run_study
from nnequiv.study.cells import Row, from_csv, run_cell, to_csv
from nnequiv.study.settings import METHODS, settings, study_recipe
from nnequiv.study.statistics import paired, spread
from nnequiv.study.text import paragraph, short_table, study_table

SMALL = Recipe(hidden=(10, 6), steps=200, sets=3, free=2, radius=0.1, rounds=2, round_steps=20)


def row(value=1.0, seed=0, method="compressed", delta=1.0, **others) -> Row:
    names = dict(study="ratios", group="weights pruned (%)", value=value, seed=seed, compression="", method=method)
    zeros = dict.fromkeys(("accuracy", "original_accuracy", "agreement", "heldout_agreement", "seconds"), 0.5)
    deltas = dict(delta_lower=delta, delta_upper=delta, heldout_lower=delta, heldout_upper=delta)
    return Row(**{**names, **zeros, **deltas, "nonzeros": 1, "bits": 64, **others})


@pytest.fixture(scope="module")
def cell():
    return run_cell("ratios", settings("ratios", SMALL)[4], seed=0)


def test_a_cell_has_a_row_for_every_method_and_its_numbers_prove_again(cell):
    assert [made.method for made in cell.rows] == list(METHODS)
    for made in cell.rows:
        for sets, lower, upper in (
            (cell.sets, made.delta_lower, made.delta_upper),
            (cell.heldout, made.heldout_lower, made.heldout_upper),
        ):
            again = worst(max_discrepancies(cell.original, cell.networks[made.method], sets, Skeleton()))
            np.testing.assert_allclose(again, (lower, upper), atol=2e-6)
            assert lower <= upper
        layers = cell.networks[made.method].layers
        assert made.nonzeros == sum(np.count_nonzero(w.weight) + np.count_nonzero(w.bias) for w in layers)


def test_all_methods_of_a_cell_keep_the_compression(cell):
    pruned = compress(cell.original, settings("ratios", SMALL)[4].how)
    for name, made in cell.networks.items():
        for kept, layer in zip(pruned.layers, made.layers, strict=True):
            assert not layer.weight[kept.weight == 0].any(), name


def test_rows_read_back_bit_by_bit(cell):
    assert tuple(from_csv(to_csv(list(cell.rows)))) == cell.rows


def test_files_are_those_of_the_rows_whatever_the_workers(tmp_path):
    said = []
    one = run_study("alpha", tmp_path / "one", seeds=1, recipe=SMALL, say=said.append)
    two = run_study("alpha", tmp_path / "two", seeds=1, recipe=SMALL, workers=2)
    same = [replace(made, seconds=0.0) for made in one]
    assert same == [replace(made, seconds=0.0) for made in two]
    assert from_csv((tmp_path / "one" / "alpha.csv").read_text()) == one
    page = (tmp_path / "one" / "alpha.md").read_text()
    assert (
        short_table(one) in page
        and study_table(one) in page
        and paragraph(one) in page
        and "nnequiv study alpha --data digits --seeds 1" in page
    )
    assert (tmp_path / "one" / "alpha.png").read_bytes()[:4] == b"\x89PNG"
    assert len(said) == 1 + 4


def test_a_stopped_study_writes_nothing(tmp_path):
    def stop(line):
        if "2/4" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study("alpha", tmp_path, seeds=1, recipe=SMALL, say=stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(study="width"), "study is 'width': choose one of ratios, methods, depth, alpha, sets"),
        (dict(data="cifar"), "data is 'cifar': choose one of digits, mnist"),
        (dict(seeds=0), "seeds is 0 and workers 1: both must be at least 1"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_computed(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run_study(**{"study": "ratios", "folder": tmp_path / "out", **change})
    assert not (tmp_path / "out").exists()


def test_the_command_knows_all_studies():
    assert NAMES == tuple(STUDIES)


@pytest.mark.parametrize("study", STUDIES)
def test_settings_differ_and_each_axis_is_in_order(study):
    made = settings(study, study_recipe("digits"))
    assert len({(setting.group, setting.value) for setting in made}) == len(made)
    for group in {setting.group for setting in made}:
        values = [setting.value for setting in made if setting.group == group]
        assert values in (sorted(values), sorted(values, reverse=True))
    assert len({setting.heldout for setting in made}) == 1


def test_spread_and_pairs():
    rows = [row(seed=k, delta=delta) for k, delta in enumerate((1.0, 2.0, 6.0))]
    rows += [row(seed=k, method="witnesses", delta=0.5) for k in (0, 1)]
    found = spread(rows, "weights pruned (%)", 1.0, "compressed", "delta_upper")
    assert (found.mean, found.least, found.most) == (3.0, 1.0, 6.0)
    pairs = paired(rows, "witnesses", "compressed", "delta_upper")
    assert (pairs.lower, pairs.runs) == (2, 2)
    assert pairs.ratio == pytest.approx((0.5 * 0.25) ** 0.5)


def test_the_short_table_has_a_line_a_setting():
    rows = [row(value=v, seed=s, method=m, delta=v + s) for v in (1.0, 2.0) for s in (0, 2) for m in METHODS[1:]]
    _, _, first, second = short_table(rows).splitlines()
    assert first.split("|")[1:4] == [" weights pruned (%) 1 ", f"{'':12}", " 2.00 [1.00, 3.00] "]
    assert second.count("3.00 [2.00, 4.00]") == len(METHODS) - 1 + 2


def test_sentences_follow_from_the_numbers():
    rows = [row(value=v, seed=s, delta=v + s / 10) for v in (1.0, 2.0) for s in (0, 1)]
    assert "rises from 1.05 to 2.05 at every step; the ranges over seeds are apart" in paragraph(rows)
    rows = [row(value=v, seed=s, delta=5 - v + 3 * s) for v in (1.0, 2.0) for s in (0, 1)]
    assert "falls from 5.50 to 4.50 at every step; the ranges over seeds overlap" in paragraph(rows)
    every = [row(method=method, delta=1.0 + k) for k, method in enumerate(METHODS)]
    assert "Of all methods, compressed has the least mean δ on the input sets." in paragraph(every)
    assert "Against labels, witnesses has the lower δ in 0 of 1 runs (2.50 times it" in paragraph(every)
