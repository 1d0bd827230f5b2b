"""Some hundred inputs of the fuzzer; as many as fit into NNEQUIV_FUZZ_SECONDS where that is set."""

import os

import pytest

from tests.fuzz.commands import Commands
from tests.fuzz.readers import Readers
from tests.fuzz.run import fuzz, limited

SECONDS = float(os.environ.get("NNEQUIV_FUZZ_SECONDS", 0.0))


@pytest.mark.parametrize(("kind", "rounds"), [(Readers, 700), (Commands, 300)])
def test_nothing_but_answers_and_refusals(kind, rounds, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("vnnlib")
    folder = tmp_path / "a blank and é"
    folder.mkdir()
    result = fuzz([kind(folder)], SECONDS / 2, rounds)
    print(result.table())
    assert not result.failures, result.table()
    assert sum(result.refused.values()) > rounds / 4 and sum(result.accepted.values()) > rounds / 20


def test_a_hang_is_a_failure():
    class Endless:
        name, kind = "endless", staticmethod(str)

        def run(self, number):
            while True:
                pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.fuzz.run.LIMIT", 1)
        result = fuzz([Endless()], rounds=1)
    assert result.failures == ["endless 0: TooLong "]
    with limited(1):
        pass


def test_the_originals_are_accepted(tmp_path):
    for name, (data, reader) in Readers(tmp_path).files.items():
        (tmp_path / name).write_bytes(data)
        reader(tmp_path / name)
