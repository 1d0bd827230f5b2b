"""Files made to do harm, and places made to lose what is written: one line, and nothing is lost."""

import io
import os
import resource
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from nnequiv import Network
from nnequiv.checkpoint import open_checkpoint
from nnequiv.cli import main
from nnequiv.io import load, load_box, save

NET = Network([([[1.0, 2.0]], [0.0])])


def npy(array, pickled=False) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=pickled)
    return file.getvalue()


WEIGHT, BIAS = npy([[1.0, 2.0]]), npy([0.0])


class Runs:
    """Unpickled, it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "members, why",
    [
        ([("weight_0.npy", b"no array"), ("bias_0.npy", BIAS)], "weight_0 is not an array"),
        ([("weight_0", b"no array"), ("bias_0", b"none")], "weight_0 is not an array"),
        ([("weight_0.npy", WEIGHT)] * 2 + [("bias_0.npy", BIAS)], "two arrays of one name"),
        ([("weight_0", WEIGHT), ("weight_0.npy", WEIGHT), ("bias_0.npy", BIAS)], "two arrays of one name"),
        ([("weight_0.npy", npy([[2**53 + 1, 1]])), ("bias_0.npy", BIAS)], "a number that float64 cannot hold"),
        ([("weight_0.npy", npy(np.array([[2**64 - 1]], np.uint64))), ("bias_0.npy", BIAS)], "float64 cannot hold"),
        ([("a\nb.npy", WEIGHT), ("c.npy", BIAS)], r"no array weight_0 among 'a\\nb', 'c'"),
        ([(f"x{i}.npy", BIAS) for i in range(1000)], "no array weight_0 among 'x0', "),
    ],
)
def test_archives(tmp_path, capsys, members, why):
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=f"f.npz: .*{why}") as refusal:
        load(tmp_path / "f.npz")
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 1000
    assert main(["convert", str(tmp_path / "f.npz"), str(tmp_path / "g.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="long double is float64 here")
@pytest.mark.parametrize("value", ["1e4000", "1.0000000000000000001"])
def test_long_doubles_are_not_rounded(tmp_path, value):
    np.savez(tmp_path / "f.npz", weight_0=np.array([[np.longdouble(value)]]), bias_0=[0.0])
    with pytest.raises(ValueError, match="weight_0 has type .* and a number that float64 cannot hold"):
        load(tmp_path / "f.npz")


def test_a_pickle_is_not_run(tmp_path):
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        archive.writestr("weight_0.npy", npy(np.array([[Runs(tmp_path / "made")]], dtype=object), pickled=True))
    with pytest.raises(ValueError, match="f.npz: .*Object arrays"):
        load(tmp_path / "f.npz")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text, why",
    [
        ('{"lower": [0], "lower": [0.5], "upper": [1]}', "a key is given twice"),
        ('{"a\\nb": 1}', r"no key 'lower' among 'a\\nb'"),
        ('{"lower": [NaN], "upper": [1]}', "bounds"),
        ('{"lower": [-Infinity], "upper": [1]}', "bounds"),
        ("[" * 10**6, "not JSON"),
    ],
)
def test_boxes(tmp_path, text, why):
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(ValueError, match=f"b.json: .*{why}") as refusal:
        load_box(tmp_path / "b.json")
    assert "\n" not in str(refusal.value)


def test_a_checkpoint_of_nobody(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("nnequiv.checkpoint.VERSION", "1")
        write = open_checkpoint(tmp_path / "state", {}).write
        patch.setattr("nnequiv.checkpoint.json.dumps", _without_identity(__import__("json").dumps))
        write({}, {})
    with pytest.raises(ValueError, match="state: .*it does not say whose it is"):
        open_checkpoint(tmp_path / "state", {})


def _without_identity(dumps):
    return lambda record: dumps({**record, "identity": ["x"]} if "identity" in record else record)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "f.npz")
    with pytest.raises(ValueError, match="f.npz: cannot be read .a device or pipe"):
        load(tmp_path / "f.npz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_written_to_not_replaced(tmp_path):
    """As root, a rename to /dev/null would put a file in its place."""
    os.mkfifo(tmp_path / "out.npz")
    script = f"open({str(tmp_path / 'copy.npz')!r}, 'wb').write(open({str(tmp_path / 'out.npz')!r}, 'rb').read())"
    with subprocess.Popen([sys.executable, "-c", script]) as reader:
        save(NET, tmp_path / "out.npz")
        assert reader.wait(60) == 0
    assert (tmp_path / "out.npz").is_fifo()
    assert np.array_equal(load(tmp_path / "copy.npz").layers[0].weight, NET.layers[0].weight)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    save(NET, tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink() and load(tmp_path / "real.npz").widths == (2, 1)


FULL = """
import resource, signal, sys
from nnequiv.checkpoint import open_checkpoint
from nnequiv.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
if sys.argv[1] == "state":
    open_checkpoint("state", {}).write({"k": "x" * 99}, {})
sys.exit(main(["convert", "in.npz", sys.argv[1]]))
"""


@pytest.mark.parametrize("name", ["out.npz", "out.nnet", "out.onnx"])
def test_a_full_disk_keeps_the_old_file(tmp_path, name):
    save(NET, tmp_path / "in.npz")
    (tmp_path / name).write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", FULL, name], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "cannot be written" in done.stderr and (tmp_path / name).read_bytes() == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.npz", name]


def test_a_full_disk_leaves_no_part_of_a_checkpoint(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, "state"], cwd=tmp_path, capture_output=True, text=True)
    assert "the checkpoint state cannot be written (File too large)" in done.stderr
    assert not list(tmp_path.iterdir()) and resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50
