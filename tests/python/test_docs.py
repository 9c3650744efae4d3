"""Every block of docs/python.md, and the notebooks, run as they stand."""
import importlib.util
import json
import os
import re
from pathlib import Path

import pytest

ROOT = Path(os.path.dirname(__file__)).parent.parent
LONG = bool(os.environ.get("HELRM_TEST_LONG"))


def there(name):
    return importlib.util.find_spec(name) is not None


def test_the_tutorial(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(), re.M | re.S)
    assert len(blocks) >= 8
    space = {}
    for number, block in enumerate(blocks, 1):
        needs = re.match(r"# needs: (.*)", block)
        if needs and not all(there(n) for n in needs.group(1).split()):
            continue
        at = tmp_path / f"block{number}.py"  # torch.fx looks for lines
        at.write_text(block)
        exec(compile(block, str(at), "exec"), space)
    said = capsys.readouterr().out
    assert "ring N = 2^" in said and "opera" not in said.split("ring")[0]
    if there("torch"):
        assert "LayerNorm" in said


@pytest.mark.parametrize("notebook", sorted((ROOT / "examples/notebooks").glob("*.ipynb")),
                         ids=lambda p: p.stem)
def test_notebooks(notebook, tmp_path, monkeypatch):
    """As scripts; no output is kept in the repository."""
    monkeypatch.chdir(tmp_path)
    cells = json.loads(notebook.read_text())["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    assert code and all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    space = {}
    for number, cell in enumerate(code, 1):
        exec(compile("".join(cell["source"]), f"{notebook.stem}, cell {number}", "exec"), space)
