"""What the README prints works as printed."""

import re
from pathlib import Path

from typer.testing import CliRunner

import simprune
from simprune import analysis
from simprune.analysis import effects
from simprune.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RERUN = (ROOT / "book" / "rerun.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_comparing_ones_own_networks_works_as_printed(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    printed = capsys.readouterr().out
    assert "layer4.1" in printed and "nan" not in printed.lower() and (tmp_path / "layers.png").exists()


def test_every_option_that_is_printed_exists():
    commands = re.findall(r"\.venv/bin/simprune (\w+)([^\n`]*)", (README + RERUN).replace("\\\n", " "))
    assert {command for command, _ in commands} >= {"run", "list", "compare"}
    for command, rest in commands:
        help_text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
        for option in re.findall(r"--[\w-]+", rest):
            assert option in help_text, (command, option)


def test_every_make_target_and_file_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (install|book|test\w*|clean)", README + CONTRIBUTING):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_numbers_under_the_figure_are_those_of_the_shipped_results():
    """The figure is that of the front page: means over seeds of where networks lie in the last pooling layer."""
    pruned = simprune.load(simprune.Experiment("lenet5", "fashion_mnist", profile="overnight", seeds=(0, 1, 2)))
    twin = simprune.load(pruned.experiment.replace(criterion="none"))
    level = analysis.nearest_level(pruned, 0.1)
    text = " ".join(README.split())
    assert f"pruned to {analysis.densities(pruned)[level]:.1%} of its weights".replace("%", " %") in text
    layerwise = simprune.load(pruned.experiment.replace(scope="layerwise"))
    for run, farther, sentence in (
        (pruned, "twin", "measures say that the twin moved farther"),
        (layerwise, "pruned", "say that the pruned network did"),
    ):
        places = effects.positions({"pruned": run, "twin": twin})
        places = places.query("level == @level and view == 'flatten' and layer == 'pool2'")
        means = places.groupby(["measure", "network"])["position"].mean().unstack("network").dropna()
        assert (means.idxmin(axis=1) == farther).all()
        assert f"all {len(means)} {sentence}" in text
