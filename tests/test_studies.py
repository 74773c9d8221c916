"""The table of studies."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from simprune import studies
from simprune.cli import app
from simprune.cli import run as run_command
from simprune.errors import InputError

CHECKOUT = Path(__file__).resolve().parent.parent


def table(tmp_path, *rows, heading="architecture,dataset,profile,seeds,retraining,levels"):
    file = tmp_path / "table.csv"
    file.write_text("\n".join(["# a comment", heading, *rows]) + "\n")
    return file


def test_a_row_is_one_study_of_its_seeds_and_of_each_combination_of_its_other_values(tmp_path):
    file = table(tmp_path, "lenet5 vgg,mnist,quick,0 1 2,lr_rewind finetune,", "lenet5,mnist,quick,0 1 2,lr_rewind,")
    read = studies.read(file)
    assert len(read) == 4 and {study.seeds for study in read} == {(0, 1, 2)}
    assert {(study["architecture"], study["retraining"]) for study in read} == {
        (architecture, mode) for architecture in ("lenet5", "vgg") for mode in ("lr_rewind", "finetune")
    }


def test_an_empty_cell_is_as_in_the_profile_and_others_have_the_type_of_their_field(tmp_path):
    heading = "architecture,dataset,profile,seeds,levels,rate,measures,one_shot,train_size"
    [study] = studies.read(table(tmp_path, 'lenet5,mnist,paper,3,,0.25,"nbs,svcca",True,200', heading=heading))
    experiment = study.experiment
    assert (experiment.levels, experiment.rate, experiment.one_shot, experiment.train_size) == (12, 0.25, True, 200)
    assert set(experiment.measures) == {"svcca", "nbs"} and experiment.seeds == (3,)


def test_the_arguments_of_a_study_are_those_of_the_command(tmp_path):
    import inspect

    heading = "architecture,dataset,profile,seeds,levels,one_shot,keep_output,nesterov,retraining"
    [study] = studies.read(table(tmp_path, "lenet5,mnist,quick,0 1,2,True,False,False,none", heading=heading))
    arguments = study.arguments([1])
    assert arguments[:4] == ["lenet5", "mnist", "--seeds", "1"]
    assert arguments[4:8] == ["--profile", "quick", "--levels", "2"]
    assert arguments[8:] == ["--one-shot", "--no-keep-output", "--no-nesterov", "--retraining", "none"]
    typer.main.get_command(app).commands["run"].make_context("run", arguments)  # raises for options that there are not
    options = {
        argument[2:].removeprefix("no-").replace("-", "_") for argument in arguments if argument.startswith("--")
    }
    assert options <= set(inspect.signature(run_command).parameters)


def test_names_tell_studies_apart_and_are_file_names(tmp_path):
    rows = [
        f'lenet5,"{data}",quick,0,lr_rewind,{levels}'
        for data in ("folder:a/own", "folder:b/own", "folder:ö", "mnist")
        for levels in ("", 3, 4)
    ]
    names = [study.name for study in studies.read(table(tmp_path, *rows))]
    assert len(set(names)) == 12
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no row"),
        (["lenet5,mnist,quick,0,lr_rewind"], "row 1 has not one cell for each column"),
        (["lenet5,mnist,quick,0,lr_rewind,,"], "row 1 has not one cell for each column"),
        (["lenet5,mnist,quick,0,,", "lenet5,mnist,quick,,,"], "row 2: the cell of seeds is empty"),
        (["lenet5,mnist,quick,0 1.5,,"], "row 1: the seed '1.5' is not a whole number"),
        (['lenet5,"mnist,quick,0,,'], "it can't be read as a CSV file"),
    ],
)
def test_a_table_that_can_not_be_read_is_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        studies.read(table(tmp_path, *rows))


def test_a_table_that_is_not_there_or_lacks_a_column_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere.csv: the table of studies is not there"):
        studies.read(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="the column profile is missing"):
        studies.read(table(tmp_path, "lenet5,mnist", heading="architecture,dataset"))


def test_reading_takes_nothing_but_python():
    """Snakemake reads the table in an environment of its own."""
    code = "from simprune import studies; assert studies.read()"
    subprocess.run([sys.executable, "-S", "-c", code], check=True, cwd=CHECKOUT)
