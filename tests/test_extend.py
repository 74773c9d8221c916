"""The examples of the pages on running again and extending, run as they are printed."""

import re
import shlex
from importlib import import_module
from pathlib import Path
from unittest import mock

import pytest
from cells import run_page
from click.testing import CliRunner
from matplotlib.figure import Figure
from papermill.cli import papermill

from simprune.measures import MEASURES
from simprune.models import ARCHITECTURES

CHECKOUT = Path(__file__).resolve().parent.parent
RERUN, EXTEND = ((CHECKOUT / "book" / f"{name}.md").read_text(encoding="utf-8") for name in ("rerun", "extend"))
pytestmark = pytest.mark.usefixtures("few_images")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def section(page, title):
    [text] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, flags=re.DOTALL | re.MULTILINE)
    return text


@pytest.fixture
def run_python(tmp_path, monkeypatch, capsys):
    """Run a snippet in a folder, give what it printed, and forget what it registered."""

    def run(code, folder=tmp_path):
        monkeypatch.chdir(folder)
        exec(code, {})
        return capsys.readouterr().out

    with mock.patch.dict(MEASURES), mock.patch.dict(ARCHITECTURES):
        yield run


def arguments(command):
    """What a printed shell command gives to its program."""
    return shlex.split(command.replace("\\\n", " "))[1:]


def test_another_seed_and_rate_run_as_printed(tmp_path, monkeypatch):
    command = blocks(section(RERUN, "Another seed, another rate"), "bash")[0]
    monkeypatch.chdir(CHECKOUT)
    source, target, *given = arguments(command)
    target = tmp_path / target
    more = ["-p", "levels", "1", "-p", "epochs", "1", "--prepare-only"]  # its cells need no kernel here
    done = CliRunner().invoke(papermill, [source, str(target), *given, *more])
    assert done.exit_code == 0, done.output
    text = target.read_text(encoding="utf-8")
    assert "rate = 0.3" in text and "seeds = 1" in text
    assert sum(isinstance(value, Figure) for value in run_page(target)) == 2


def test_ones_own_images_run_as_printed(my_images, monkeypatch, command):
    [printed] = blocks(section(RERUN, "Your own images"), "bash")
    monkeypatch.chdir(my_images)
    words = [*arguments(printed), "--store", "store", "--levels", "1", "--epochs", "1", "--measures", "nbs"]
    assert command(*words)[0] == 0
    assert list((my_images / "store").glob("*/seed-0/similarity.parquet"))


def test_ones_own_network_is_compared_in_ten_lines(run_python):
    [code] = blocks(section(RERUN, "Your own network, in ten lines"), "python")
    statements = [line for line in code.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(statements) <= 10
    printed = run_python(code)
    assert "linear_cka" in printed and "permutation_matching" in printed


def test_what_is_stored_is_read_as_printed(run_python):
    [code] = blocks(section(RERUN, "Where results go"), "python")
    assert "logits" in run_python(code)


def test_every_parameter_on_the_page_exists():
    notebook = (CHECKOUT / "notebooks" / "quickstart.ipynb").read_text(encoding="utf-8")
    for parameter in re.findall(r"-p (\w+)|(?<=[{,] )(\w+):", RERUN):
        assert f"{''.join(parameter)} = " in notebook


def test_a_new_measure_is_scored_beside_the_others(run_python):
    [code] = blocks(section(EXTEND, "A new measure"), "python")
    check = """
table = simprune.compare(X, X, ["leading_alignment"])
assert abs(table.loc["leading_alignment", "value"] - 1) < 1e-9 and table.loc["leading_alignment", "status"] == "ok"
turned = simprune.compare(X, 3 * X[:, ::-1] + 1, ["leading_alignment"])
assert abs(turned.loc["leading_alignment", "value"] - 1) < 1e-9
sheared = simprune.compare(X, X * np.linspace(0.1, 1, 10), ["leading_alignment"])
assert sheared.loc["leading_alignment", "value"] < 0.9
simprune.Experiment("lenet5", "fashion_mnist_mini", measures=["leading_alignment"])
"""
    assert "leading_alignment" in run_python(code + check)


def test_a_new_architecture_is_trained_pruned_and_compared(run_python):
    [code] = blocks(section(EXTEND, "A new architecture"), "python")
    printed = run_python(code)
    accuracies = [float(line.split()[-1]) for line in printed.splitlines()[1:]]
    assert len(accuracies) == 2 and min(accuracies) > 0.3


def test_a_new_dataset_is_a_folder(my_images, run_python):
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
    things += [figure for _, figure in inspect.getmembers(plots, inspect.isfunction)]
    assert len(things) > 30
    for thing in things:
        lines = GoogleDocstring(inspect.getdoc(thing), Config(napoleon_use_ivar=True)).lines()
        publish_string("\n".join([".. default-role:: code", "", *lines]), settings_overrides={"halt_level": 2})
