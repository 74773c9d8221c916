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
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_comparing_ones_own_networks_works_as_printed(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    printed = capsys.readouterr().out
    assert "layer4.1" in printed and "nan" not in printed.lower() and (tmp_path / "layers.png").exists()


def test_every_option_that_is_printed_exists():
    commands = re.findall(r"\.venv/bin/simprune (\w+)([^\n`]*)", README)
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
    pruned = simprune.load(simprune.Experiment("lenet5", "fashion_mnist", profile="paper", seeds=(0, 1, 2)))
    runs = {"pruned": pruned, "twin": simprune.load(pruned.experiment.replace(criterion="none"))}
    level = analysis.nearest_level(pruned, 0.1)
    told = effects.verdicts(effects.effects(runs)).query("level == @level and view == 'flatten'").set_index("layer")
    inner, last = told.loc["pool2"], told.loc["fc2_relu"]
    assert inner["farther"] == inner["tied"] == inner["mixed"] == last["tied"] == 0
    text = " ".join(README.split())
    assert f"with {analysis.densities(pruned)[level]:.1%} of its weights left".replace("%", " %") in text
    assert f"In this convolutional layer all {inner['nearer']} measures say that the twin moved farther." in text
    assert (
        f"{last['farther']} say that the pruned network did, {last['nearer']} that the twin did, and the other "
        f"{last['mixed']} depend on the seed." in text
    )
