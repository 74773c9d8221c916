"""The examples of the pages on running again and extending, run as they are printed."""

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
RERUN, EXTEND = ((CHECKOUT / "book" / f"{name}.md").read_text(encoding="utf-8") for name in ("rerun", "extend"))


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def section(page, title):
    [text] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, flags=re.DOTALL | re.MULTILINE)
    return text


def run_python(code, folder):
    """Run a snippet in a fresh interpreter, in a folder; give what it printed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_command(line, folder, *more):
    """Run a printed shell command with this interpreter's programs, and with more arguments at its end."""
    program, *arguments = shlex.split(line.replace("\\\n", " "))
    program = Path(program).name
    if program == "papermill":
        arguments[0] = str(CHECKOUT / arguments[0])
        more = (*more, "--kernel", "python3", "--no-progress-bar")
    command = [sys.executable, "-m", program, *arguments, *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_another_seed_and_rate_run_as_printed(tmp_path):
    command = blocks(section(RERUN, "Another seed, another rate"), "bash")[0]
    run_command(command, tmp_path, "-p", "levels", "1", "-p", "epochs", "1", "-p", "train_size", "2000")
    text = (tmp_path / "my-run.ipynb").read_text(encoding="utf-8")
    assert "rate = 0.3" in text and "seeds = 1" in text
    assert '"output_type": "error"' not in text and "image/png" in text


def test_ones_own_images_run_as_printed(my_images):
    [command] = blocks(section(RERUN, "Your own images"), "bash")
    store = ("--store", str(my_images / "store"), "--levels", "1", "--epochs", "1")
    run_command(command, my_images, *store)
    assert list((my_images / "store").glob("*/seed-0/similarity.parquet"))


def test_ones_own_network_is_compared_in_ten_lines(tmp_path):
    [code] = blocks(section(RERUN, "Your own network, in ten lines"), "python")
    statements = [line for line in code.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(statements) <= 10
    printed = run_python(code, tmp_path)
    assert "linear_cka" in printed and "permutation_matching" in printed


def test_what_is_stored_is_read_as_printed(tmp_path):
    [code] = blocks(section(RERUN, "Where results go"), "python")
    assert "linear_cka" in run_python(code, tmp_path)


def test_every_option_and_parameter_on_the_page_exists():
    helps = {name: run_command(f"simprune {name} --help", CHECKOUT) for name in ("run", "compare", "list")}
    commands = [block for block in blocks(RERUN, "bash") if ".venv/bin/simprune" in block]
    assert len(commands) >= 3
    for command in commands:
        name, *arguments = shlex.split(command.replace("\\\n", " "))[1:]
        for option in (argument for argument in arguments if argument.startswith("--")):
            assert option in helps[name], (name, option)
    notebook = (CHECKOUT / "notebooks" / "quickstart.ipynb").read_text(encoding="utf-8")
    for parameter in re.findall(r"-p (\w+)|(?<=[{,] )(\w+):", RERUN):
        assert f"{''.join(parameter)} = " in notebook


def test_a_new_measure_is_scored_beside_the_others(tmp_path):
    [code] = blocks(section(EXTEND, "A new measure"), "python")
    check = """
import pytest
table = simprune.compare(X, X, ["leading_alignment"])
assert abs(table.loc["leading_alignment", "value"] - 1) < 1e-9 and table.loc["leading_alignment", "status"] == "ok"
turned = simprune.compare(X, 3 * X[:, ::-1] + 1, ["leading_alignment"])
assert abs(turned.loc["leading_alignment", "value"] - 1) < 1e-9
sheared = simprune.compare(X, X * np.linspace(0.1, 1, 10), ["leading_alignment"])
assert sheared.loc["leading_alignment", "value"] < 0.9
simprune.Experiment("lenet5", "fashion_mnist_mini", measures=["leading_alignment"])
"""
    assert "leading_alignment" in run_python(code + check, tmp_path)


def test_a_new_architecture_is_trained_pruned_and_compared(tmp_path):
    [code] = blocks(section(EXTEND, "A new architecture"), "python")
    printed = run_python(code, tmp_path)
    accuracies = [float(line.split()[-1]) for line in printed.splitlines()[1:]]
    assert len(accuracies) == 2 and min(accuracies) > 0.3


def test_a_new_dataset_is_a_folder(my_images):
    [code] = blocks(section(EXTEND, "A new dataset"), "python")
    assert "('cat', 'dog') torch.Size([300, 1, 16, 16])" in run_python(code, my_images)


# The API page -----------------------------------------------------------------------------------------------


def test_every_docstring_on_the_api_page_is_well_formed():
    import inspect

    from docutils.core import publish_string
    from sphinx.ext.napoleon import Config, GoogleDocstring

    from simprune import plots

    page = (CHECKOUT / "book" / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"auto(?:function|class|exception):: simprune\.(?:(\w+)\.)?(\w+)$", page, flags=re.MULTILINE)
    things = [getattr(import_module(f"simprune.{home}" if home else "simprune"), name) for home, name in named]
    things += [thing for name in plots.__all__ if callable(thing := getattr(plots, name))]
    assert len(things) > 30
    for thing in things:
        lines = GoogleDocstring(inspect.getdoc(thing), Config(napoleon_use_ivar=True)).lines()
        publish_string("\n".join([".. default-role:: code", "", *lines]), settings_overrides={"halt_level": 2})
