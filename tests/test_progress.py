"""What a user sees while a run goes on."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from simprune.progress import Progress

CHECKOUT = Path(__file__).resolve().parent.parent
RUN = """
import simprune
small = simprune.Experiment(rate=0.5, levels=1, epochs=3, train_size=300, probe_size=50, measures=["linear_cka"])
results = simprune.run(small, store=store, resume=False)
"""


def papermill(folder, *sources):
    """The code cells of a notebook of these sources, as papermill leaves it."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    nbformat.write(notebook, folder / "given.ipynb")
    command = [sys.executable, "-m", "papermill", "given.ipynb", "made.ipynb", "--kernel", "python3"]
    command += ["--language", "python", "--no-progress-bar"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / "made.ipynb", as_version=4).cells


def test_a_run_in_a_notebook_leaves_one_line_and_without_progress_none(tmp_path):
    """Whatever kernels set, ipykernel FORCE_COLOR, a bar of a terminal would leave one for each time it is drawn."""
    store = f"store = {str(tmp_path / 'store')!r}"
    _, shown, quiet = papermill(tmp_path, store, RUN, RUN.replace("resume=", "progress=False, resume="))
    [output] = shown.outputs
    assert output.data["text/plain"] == "seed 0: comparing, level 1 of 1 (2 of 2 done)"
    assert quiet.outputs == []


def test_in_a_log_a_line_is_left_for_what_is_said_and_none_for_a_step(capsys):
    progress = Progress()
    with progress.steps("seed 3: training", 2) as steps:
        steps.begin("level 0")
        steps.advance("level [0]")
        steps.say("level 0: density [1]")
    assert capsys.readouterr().err == "seed 3, level 0: density [1]\n"


def test_on_a_terminal_the_bar_counts_the_steps(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with Progress().steps("seed 0: training", 2) as steps:
        steps.advance("level 0")
        steps.advance("level 1")
    assert "seed 0: training, level 1" in (said := capsys.readouterr().err) and "2/2" in said
