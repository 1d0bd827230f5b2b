"""The notebooks as they are kept: numbered, executed without errors, with exercises, and naming only what exists.

They are executed by ``pytest --nbmake notebooks``, not here.
"""

import json
import re
from pathlib import Path

import pytest

import nnequiv
import nnequiv.plot

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def test_they_are_numbered_without_a_gap():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{k:02d}_" for k in range(8)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_kept_executed_and_without_errors(path):
    cells = [cell for cell in read(path) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs and not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs) or path.name.startswith("06")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_end_with_three_exercises_whose_answers_are_folded(path):
    cells = read(path)
    texts = [source(cell) for cell in cells]
    start = max(k for k, text in enumerate(texts) if "## Exercises" in text)
    assert re.findall(r"^(\d)\. ", texts[start].split("## Exercises")[1], re.MULTILINE) == ["1", "2", "3"]
    told = [text for text in texts[start + 1 :] if text.startswith("<details>")]
    assert [re.search(r"<summary>Answer (\d)</summary>", text)[1] for text in told] == ["1", "2", "3"]
    answers = [cell for cell in cells[start + 1 :] if cell["cell_type"] == "code"]
    assert len(answers) == 3
    for cell in answers:
        assert cell["metadata"]["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
        assert {"hide-cell", "answer"} <= set(cell["metadata"]["tags"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_name_no_machine_and_only_what_exists(path):
    text = path.read_text(encoding="utf-8")
    prose = "\n".join(source(cell) for cell in read(path))
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|usr|work|Users)/", text) and "C:\\" not in prose
    names = set(re.findall(r"\bnq\.([A-Za-z_]\w*)", prose))
    assert names and all(hasattr(nnequiv, name) for name in names), [n for n in names if not hasattr(nnequiv, n)]
    drawn = set(re.findall(r"\bplot\.([A-Za-z_]\w*)", prose))
    assert all(hasattr(nnequiv.plot, name) for name in drawn), [n for n in drawn if not hasattr(nnequiv.plot, n)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_to_notebooks_that_are_there(path):
    linked = re.findall(r"\]\((\w+\.ipynb)\)", "\n".join(map(source, read(path))))
    assert linked and all((FOLDER / name).exists() for name in linked)
