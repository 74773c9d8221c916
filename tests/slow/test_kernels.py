"""Notebooks run from any program, and where processes can't be forked."""

import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

SCRIPT = "from simprune import book\nprint('once')\nbook.execute(['notebooks/a.ipynb'], 'out')\n"
SPAWNED = """\
import multiprocessing
from simprune import kernels
kernels.FORKS, kernels._CONTEXT = False, multiprocessing.get_context("spawn")
"""


@pytest.mark.parametrize("script", [SCRIPT, SPAWNED + SCRIPT], ids=["forked", "spawned"])
@pytest.mark.parametrize("given", ["file", "standard input"])
def test_a_script_without_a_guard_runs_notebooks_and_is_run_once(script, given, tmp_path):
    (tmp_path / "notebooks").mkdir()
    cells = [new_markdown_cell("# A page"), new_code_cell("1 + 1")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "a.ipynb")
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "script.py" if given == "file" else "-"]
    done = subprocess.run(command, cwd=tmp_path, input=script, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["once"]
    [cell] = nbformat.read(tmp_path / "out" / "a.ipynb", as_version=4).cells[1:]
    assert cell.outputs[0].data["text/plain"] == "2"
