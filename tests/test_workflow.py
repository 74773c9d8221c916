"""The table of a sweep, and what Snakemake makes of it."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from simprune.cli import run as run_command
from simprune.experiment import PROFILES, Experiment

WORKFLOW = Path(__file__).resolve().parent.parent / "workflow"


@pytest.fixture(scope="module")
def runs():
    """The module workflow/runs.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("sweep_runs", WORKFLOW / "runs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["sweep_runs"] = module
    spec.loader.exec_module(module)
    return module


def table(tmp_path, *rows, heading="architecture,dataset,profile,seeds,retraining,criterion,options"):
    file = tmp_path / "table.csv"
    file.write_text("\n".join([heading, *rows]) + "\n")
    return file


def test_a_row_stands_for_all_combinations_of_the_values_in_its_cells(runs, tmp_path):
    file = table(
        tmp_path,
        "lenet5 vgg,mnist,quick,0 1 2,lr_rewind finetune,magnitude,",
        "lenet5,mnist,quick,0,lr_rewind,magnitude,",
    )
    read = runs.read(file)
    assert len(read) == 2 * 3 * 2
    assert {(run.architecture, run.seed, run.retraining) for run in read.values()} == {
        (architecture, seed, mode)
        for architecture in ("lenet5", "vgg")
        for seed in (0, 1, 2)
        for mode in ("lr_rewind", "finetune")
    }


def test_runs_that_differ_in_options_or_in_the_path_of_their_data_have_other_names(runs, tmp_path):
    rows = [
        f"lenet5,{data},quick,0,lr_rewind,magnitude,{options}"
        for data in ("folder:a/own", "folder:b/own", "mnist")
        for options in ("", "--levels 3", "--levels 4")
    ]
    names = list(runs.read(table(tmp_path, *rows)))
    assert len(names) == 9
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no row"),
        (["lenet5,mnist,quick,0,lr_rewind"], "row 1 has not one cell for each column"),
        (["lenet5,mnist,quick,0,lr_rewind,magnitude,,"], "row 1 has not one cell for each column"),
        (["lenet5,mnist,quick,,lr_rewind,magnitude,"], "row 1 has an empty cell"),
        (["lenet5,mnist,quick,a,lr_rewind,magnitude,"], "the seed 'a' is not a whole number"),
        (['lenet5,"mnist,quick,0,lr_rewind,magnitude,'], r"it is no CSV file \(unexpected end of data\)"),
    ],
)
def test_a_table_that_can_not_be_read_is_refused(runs, tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        runs.read(table(tmp_path, *rows))


def test_a_table_with_other_columns_is_refused(runs, tmp_path):
    with pytest.raises(ValueError, match="criterion, options are needed"):
        runs.read(table(tmp_path, "lenet5,mnist", heading="architecture,dataset"))


@pytest.mark.parametrize("name", ["runs.csv", "paper.csv"])
def test_every_run_of_the_tables_here_is_an_experiment(runs, name):
    for run in runs.read(WORKFLOW / name).values():
        assert not run.options
        experiment = Experiment(
            run.architecture,
            run.dataset,
            profile=run.profile,
            seeds=(run.seed,),
            retraining=run.retraining,
            criterion=run.criterion,
        )
        assert experiment.seeds == (run.seed,)


def test_the_arguments_of_a_run_are_those_of_the_command(runs):
    import inspect

    run = runs.Run("lenet5", "mnist", "quick", 3, "finetune", "random", "--levels 2")
    options = [argument.removeprefix("--") for argument in run.arguments if argument.startswith("--")]
    assert set(options) <= set(inspect.signature(run_command).parameters)
    assert run.arguments[:2] == ["lenet5", "mnist"] and run.arguments[-2:] == ["--levels", "2"]


def test_every_profile_says_what_a_run_needs(runs):
    assert set(runs.NEEDS) == set(PROFILES)
    for profile in PROFILES:
        needs = runs.Run("vgg", "cifar10", profile, 0, "lr_rewind", "magnitude").needs
        assert set(needs) == {"mem_mb", "runtime", "gpu"}
    assert runs.Run("lenet5", "mnist", "paper", 0, "lr_rewind", "magnitude").needs["gpu"] == 0
