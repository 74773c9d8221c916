import dataclasses
import importlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch
from synthetic import draw_images
from typer.testing import CliRunner

import simprune
from simprune import Experiment, InputError
from simprune.cli import app, main
from simprune.models import ARCHITECTURES

pytestmark = pytest.mark.usefixtures("few_images")
SMALL = ["--levels", "1", "--rate", "0.5", "--epochs", "1", "--train-size", "300", "--probe-size", "100"]


def test_run_prints_what_came_out_and_where_it_is_and_reads_it_the_next_time(tmp_path, command):
    words = ["run", "lenet5", "fashion_mnist_mini", *SMALL, "--store", tmp_path]
    status, out, err = command(*words)
    assert status == 0
    assert "2 networks" in out and "50.0%" in out
    scores = simprune.load(out.strip().splitlines()[-1], store=tmp_path).similarity.query("level == 1")
    for measure, score in scores.groupby("measure")["value"].mean().items():
        assert re.search(rf"^{measure} +{score:.3f}$", out, re.MULTILINE), out
    directory = Path(out.strip().splitlines()[-1])
    assert (directory / "seed-0" / "similarity.parquet").exists()
    assert "level 1: density 50.0%" in err
    start = time.process_time()
    status, again, err = command(*words)
    assert time.process_time() - start < 2
    assert (status, again) == (0, out) and "read from" in err


def test_a_run_with_measures_of_outputs_alone_ends_as_one_with_others(tmp_path, command):
    status, out, err = command(
        "run", "lenet5", "fashion_mnist_mini", *SMALL, "--measures", "prediction_agreement", "--store", tmp_path
    )
    assert status == 0 and "2 networks" in out, err


def test_every_option_of_run_is_a_field_of_the_experiment_or_an_argument_of_run():
    from simprune import cli

    options = set(inspect.signature(cli.run).parameters)
    fields = {field.name for field in dataclasses.fields(simprune.Experiment)}
    assert options == fields | set(inspect.signature(simprune.run).parameters) - {"experiment"}


def test_the_command_as_a_module_says_in_one_line_each_which_files_are_left_out_and_what_is_refused(tmp_path):
    draw_images(tmp_path / "own", 0, side=28)
    (tmp_path / "own" / "train" / "a" / "0.gif").write_bytes(b"")
    command = [sys.executable, "-m", "simprune", "run", "lenet5", f"folder:{tmp_path / 'own'}", "--probe-size", "9"]
    done = subprocess.run(command, capture_output=True, text=True)
    said, refused = done.stderr.splitlines()
    assert said == f"simprune: folder:{tmp_path / 'own'}: 4 training and 4 test images are used; left out: 1 .gif"
    assert done.returncode == 2 and refused == "simprune: probe_size: 9 is more than the 4 test images"


def test_list_names_everything_that_can_be_chosen_and_what_is_stored(tmp_path, command):
    command("run", "lenet5", "fashion_mnist_mini", *SMALL, "--store", tmp_path)
    status, out, _ = command("list", "--store", tmp_path)
    assert status == 0
    for name in (
        "lenet5",
        "resnet20",
        "fashion_mnist_mini",
        "cifar10",
        "linear_cka",
        "nbs",
        "quick",
        "paper",
    ):
        assert name in out
    [stored] = re.findall(rf"^Results in {tmp_path}\n  (.*)", out, re.MULTILINE)
    assert re.match(r"lenet5-fashion_mnist_mini-quick-\w{12}  seeds 0 --rate 0.5 --levels 1 --epochs 1 ", stored)
    assert re.search(r"^  lenet5-mnist-paper-\w{12} +seeds 0 --criterion none$", out, re.MULTILINE | re.ASCII)


def test_results_on_own_images_and_of_own_architectures_are_listed_where_neither_is_at_hand(
    my_images, monkeypatch, command
):
    monkeypatch.chdir(my_images)
    monkeypatch.setitem(ARCHITECTURES, "mine", dataclasses.replace(ARCHITECTURES["lenet5"], title="Mine"))
    experiment = Experiment("mine", "folder:my-images", levels=1, epochs=1, probe_size=4, measures=["nbs"])
    results = simprune.run(experiment, progress=False)
    scaled = simprune.run(experiment.replace(dataset="folder:my-images:size=20"), progress=False)
    monkeypatch.delitem(ARCHITECTURES, "mine")
    (my_images / "my-images").rename(my_images / "elsewhere")
    _, out, _ = command("list")
    said = {re.sub("^.*images of ", "", line) for line in out.splitlines() if "mine-folder_my-images-quick" in line}
    marks = [re.sub("^.*#(.{6}).*$", r"\1", name) for name in (results.experiment.dataset, scaled.experiment.dataset)]
    assert said == {f"my-images, {marks[0]}", f"my-images, scaled to 20 × 20, {marks[1]}"}
    assert not re.search("^  mine ", out, re.MULTILINE)
    assert simprune.load(results.directory).similarity.equals(results.similarity)
    status, _, err = command("run", "mine", "fashion_mnist_mini")
    assert status == 2 and "architecture: of 'mine' there are results, but not the code" in err


@pytest.mark.parametrize("columns", ["0", "20"])
def test_a_narrow_terminal_gets_what_a_wide_one_gets(columns, command, monkeypatch):
    """It breaks the lines itself."""
    wide = command("list")
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.delitem(sys.modules, "simprune.cli")  # it looks at the terminal when it is loaded
    narrow = importlib.import_module("simprune.cli").main
    assert command("list", main=narrow) == wide and wide[1]
    narrow, wide = (CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": n}).output for n in (columns, "200"))
    assert narrow.split() == wide.split() != []


def test_compare_prints_the_scores_of_two_files(tmp_path, command):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 8))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", 3 * x @ np.linalg.qr(rng.standard_normal((8, 8)))[0])
    files = [tmp_path / "x.npy", tmp_path / "y.npy"]
    status, out, _ = command("compare", *files, "--measures", "linear_cka,nbs")
    assert status == 0
    rows = [line.split() for line in out.splitlines()[1:]]
    assert rows == [["linear_cka", "1.000000", "ok"], ["nbs", "1.000000", "ok"]]


@pytest.fixture
def folders(tmp_path):
    """Two networks, a file for each layer."""
    random = np.random.default_rng(0)
    for name in ("dense", "pruned"):
        (tmp_path / name).mkdir()
        for layer, shape in {"layer2": (40, 6), "layer10": (40, 3, 4, 4)}.items():
            np.save(tmp_path / name / f"{layer}.npy", random.random(shape))
    return tmp_path / "dense", tmp_path / "pruned"


def test_compare_writes_tables_and_a_figure(folders, command):
    place = folders[0].parent
    files = [folder / "layer2.npy" for folder in folders]
    options = ["--csv", place / "x.csv", "--json", place / "x.json", "--plot", place / "x.svg"]
    assert command("compare", *files, *options)[0] == 0
    wanted = simprune.compare(*map(np.load, files))
    for found in (pd.read_csv(place / "x.csv"), pd.read_json(place / "x.json", precise_float=True)):
        assert np.allclose(found.set_index("measure")["value"], wanted["value"], rtol=1e-12, equal_nan=True)
    assert (place / "x.svg").read_text().count("<svg") == 1
    status, out, _ = command("compare", *files, "--csv", "-")
    assert status == 0 and len(pd.read_csv(io.StringIO(out))) == len(wanted)


def test_compare_scores_every_layer_in_one_folder_against_every_one_in_another(folders, command):
    table = folders[0].parent / "x.csv"
    status, out, _ = command("compare", *folders, "--measures", "nbs,linear_cka", "--csv", table)
    assert status == 0 and "nbs" in out and "linear_cka" in out
    found = pd.read_csv(table)
    assert found["layer"].drop_duplicates().tolist() == ["layer2", "layer10"] and len(found) == 8
    wanted = simprune.compare(np.load(folders[0] / "layer10.npy"), np.load(folders[1] / "layer2.npy"), ["nbs"])
    chosen = found.query("layer == 'layer10' and other_layer == 'layer2' and measure == 'nbs'")
    assert chosen["value"].item() == pytest.approx(wanted["value"].item())


def test_compare_refuses_what_are_no_two_networks_in_a_sentence(folders, command):
    dense, pruned = folders
    (dense.parent / "empty").mkdir()
    np.save(pruned / "layer2.npy", np.zeros((39, 6)))
    for arguments, message in (
        ((dense, pruned / "layer2.npy"), "layer2.npy' is none; give two of a kind"),
        ((dense, dense.parent / "empty"), "there is no .npy file in"),
        ((dense, pruned), "the same number of inputs; there are 40 in dense: layer2, 39 in pruned: layer2"),
        ((dense, dense, "--measures", ""), "measures: none given"),
        ((dense, dense, "--seed", "-1"), "seed: -1 is not a whole number"),
        ((dense, dense, "--seed", str(2**63)), "seed: "),
        ((dense, dense, "--plot", dense / "x.foo"), "x.foo' can't be written (Format 'foo' is not supported"),
        ((dense, dense, "--csv", dense / "none" / "x.csv"), "can't be written"),
    ):
        status, _, err = command("compare", *arguments)
        assert status == 2 and message in " ".join(err.split()), err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "lenet", "mnist"], "architecture: 'lenet' is not one of"),
        (["run", "lenet5", "mnst"], "did you mean 'mnist'"),
        (["run", "lenet5", "mnist", "--data", "nowhere"], "nowhere"),
        (["run", "lenet5", "fashion_mnist_mini", "--rate", "2"], "rate: 2.0 is not a number above 0 and below 1"),
        (["run", "lenet5", "fashion_mnist_mini", "--rate", "x"], "Invalid value for '--rate'"),
        (
            ["run", "lenet5", "fashion_mnist_mini", "--seeds", "a,b"],
            "seeds: 'a,b' is not a list of whole numbers",
        ),
        (["run", "lenet5", "fashion_mnist_mini", "--seeds", ""], "seeds: none given"),
        (["run", "lenet5", "fashion_mnist_mini", "--measures", "cka"], "measures: 'cka' is not one of"),
        (["run", "lenet5", "fashion_mnist_mini", "--train-size", "many"], "train_size: 'many' is not"),
        (["run", "lenet5", "fashion_mnist_mini", "--diagnostics", ","], "diagnostics: none given"),
        (["run", "lenet5", "fashion_mnist_mini", "--store", ""], "store: '' is not a path"),
        (["list", "--store", ""], "store: '' is not a path"),
        (["page", "--profile", "nosuch"], "profile: 'nosuch' goes with an architecture and a dataset"),
        (["page", "some-results", "--profile", "paper"], "profile: 'paper' goes with an architecture and a dataset"),
        (["run", "lenet5"], "Missing argument"),
        (["run", "lenet5", "mnist", "--speed", "9"], "No such option: --speed"),
        (["walk"], "No such command 'walk'"),
        (["compare", "none.npy", "none.npy"], "X: 'none.npy' can't be read (No such file or directory)"),
        (["book", "--root", "nowhere"], "_config.yml"),
        (["book", "--profile", "fast"], "profile: 'fast' is not one of quick, laptop, overnight, paper"),
        *(
            (words, "can't be used (File name too long)")
            for words in (
                ["run", "lenet5", "fashion_mnist_mini", "--store", "x" * 3000],
                ["run", "lenet5", "mnist", "--data", "x" * 3000],
                ["run", "lenet5", "folder:" + "x" * 3000],
                ["compare", "x" * 3000, "y.npy"],
                ["compare", "tests", "x" * 3000],
                ["book", "--root", "x" * 3000],
                ["page", "lenet5", "mnist", "--root", "x" * 3000],
            )
        ),
        (["run", "lenet5", "mnist", "--data", "~nobody-of-this-name"], "(nobody has that home directory)"),
    ],
)
def test_wrong_arguments_end_with_status_two_in_a_line_or_two_and_write_nothing(arguments, message, tmp_path, command):
    status, _, err = command(*arguments)
    assert status == 2
    assert message in err and err.startswith("simprune: ")
    assert err.count("\n") <= 2 and "Traceback" not in err
    assert not any(Path(os.environ["SIMPRUNE_STORE"]).iterdir())


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_array_is_refused(content, tmp_path, command):
    file = tmp_path / "x.npy"
    file.write_bytes(content)
    status, _, err = command("compare", file, file)
    assert status == 2 and "is not a .npy file of numbers" in err


@pytest.mark.parametrize("ending", [".npz", ".pt", ".csv", ".parquet", ".mat"])
def test_files_of_other_kinds_are_refused_with_what_makes_an_array_of_them(ending, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).standard_normal((30, 5))
    {
        ".npz": lambda file: np.savez(file, layer=values),
        ".pt": lambda file: torch.save(torch.tensor(values), file),
        ".csv": lambda file: pd.DataFrame(values).to_csv(file),
        ".parquet": lambda file: pd.DataFrame(values).to_parquet(file),
        ".mat": lambda file: scipy.io.savemat(file, {"layer": values}),
    }[ending]("x" + ending)
    status, _, err = command("compare", "x" + ending, "x" + ending)
    assert status == 2 and "is not a .npy file of numbers; make one with " in err
    names = {"numpy": np, "pandas": pd, "torch": torch, "scipy": scipy}
    exec(err.partition("make one with ")[2], names)
    assert np.allclose(np.load("x.npy"), values)
    assert command("compare", "x.npy", "x.npy", "--measures", "nbs")[0] == 0
    status, _, err = command("compare", "x.npy", "x.npy", "--measures", "")
    assert status == 2 and "measures: none given" in err


def test_an_array_of_objects_is_not_unpickled(tmp_path, command):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}]), allow_pickle=True)
    status, _, err = command("compare", tmp_path / "x.npy", tmp_path / "x.npy")
    assert status == 2 and "is not a .npy file of numbers" in err


def test_a_failed_run_ends_with_status_one_and_shows_its_traceback_only_when_asked(monkeypatch, command):
    def fail(*arguments, **options):
        raise FloatingPointError("training diverged in epoch 1")

    monkeypatch.setattr("simprune.study.run", fail)
    status, _, err = command("run", "lenet5", "fashion_mnist_mini")
    assert status == 1 and err.startswith("simprune: failed: FloatingPointError: training diverged")
    with pytest.raises(FloatingPointError):
        main(["run", "lenet5", "fashion_mnist_mini", "--debug"])


def test_what_a_terminal_can_not_show_is_replaced_there(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    with pytest.raises(SystemExit) as exit:
        main(["list"])
    shown.flush()
    assert not exit.value.code and b"linear_cka" in shown.buffer.getvalue()


def test_an_interrupted_run_ends_with_status_130(monkeypatch, command):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("simprune.study.run", interrupt)
    status, _, err = command("run", "lenet5", "fashion_mnist_mini")
    assert status == 130 and "interrupted; what was finished is kept" in err


def test_ctrl_c_while_the_command_is_being_loaded_ends_with_status_130_and_no_traceback():
    code = (
        "import runpy, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'simprune.cli':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "runpy.run_module('simprune', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130 and done.stderr == ""


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"architecture": "vgg", "dataset": "cifar10", "profile": "overnight", "seeds": (3, 1)},
        {"dataset": "mnist", "profile": "overnight", "nesterov": False},
        {"dataset": "folder", "levels": 2, "rate": 0.5, "probe_size": 50, "measures": ["nbs", "gulp"]},
        {"one_shot": True, "keep_output": True, "retraining": "finetune", "schedule": "cosine", "nesterov": True},
        {
            "dataset": "mnist",
            "profile": "paper",
            "references": ["dense"],
            "views": ["pooled"],
            "weight_decay": 1e-4,
            "augmentation": "crop",
        },
    ],
)
def test_the_command_that_a_page_prints_makes_the_experiment_again(fields, my_images, monkeypatch):
    """Whatever the path of one's own images holds."""
    if fields.get("dataset") == "folder":
        folder = my_images / ("of <mine>, 'all' & more" if os.name == "posix" else "of mine, 'all' & more")
        (my_images / "my-images").rename(folder)
        fields = {**fields, "dataset": f"folder:{folder}"}
    experiment, asked = Experiment(**fields), []

    def run(experiment, **options):
        asked.append(experiment)
        raise InputError("enough")

    monkeypatch.setattr("simprune.study.run", run)
    with pytest.raises(SystemExit):
        main(shlex.split(experiment.command)[1:])
    [again] = asked
    same = {field: set for field in ("measures", "views", "references")}  # the profile's where they are among those
    for field in dataclasses.fields(Experiment):
        value, known = getattr(again, field.name), getattr(experiment, field.name)
        assert set(known) <= set(value) if field.name in same else value == known, field.name


def test_without_a_command_the_help_is_shown(command):
    status, out, _ = command()
    assert status == 0 and "Train, prune and compare" in out
