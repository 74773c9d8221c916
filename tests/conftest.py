import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simprune import data, experiment  # before torch, so that its threads wait as simprune sets them to
from simprune.data import DATASETS, readers

import torch  # isort: skip
from synthetic import draw_images  # isort: skip

# On networks this small a second thread costs more than it brings, most of all on a busy machine.
torch.set_num_threads(1)

# Tests change the working directory; a relative data root must still be found.
if os.environ.get("SIMPRUNE_DATA"):
    os.environ["SIMPRUNE_DATA"] = str(Path(os.environ["SIMPRUNE_DATA"]).resolve())


def pytest_collection_modifyitems(items):
    """The longest files come first, so that no process waits for one at the end."""
    longest = ("test_book.py", "test_study.py", "test_measures.py", "test_book_making.py", "test_faults.py")
    ranks = {name: rank for rank, name in enumerate(longest)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(longest)))


@pytest.fixture(autouse=True)
def own_store(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's store."""
    monkeypatch.setenv("SIMPRUNE_STORE", str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="session")
def tiny():
    """A few embedded images: a dataset on which training takes a fraction of a second."""
    return data.load("fashion_mnist_mini").subset(500)


@pytest.fixture(scope="module")
def few_images(tmp_path_factory):
    """In a module that uses it the embedded dataset has a few of its images: a run takes a fraction of a second."""
    sizes = {"train": 1000, "test": 500}
    file = tmp_path_factory.mktemp("few-images") / "few.npz"
    with np.load(readers.EMBEDDED_FILE) as whole:
        np.savez(file, **{name: whole[name][: sizes[name.partition("_")[0]]] for name in whole})
    spec = replace(DATASETS["fashion_mnist_mini"], train_size=sizes["train"], test_size=sizes["test"])
    quick = {**experiment.PROFILES["quick"], "train_size": sizes["train"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "EMBEDDED_FILE", file)
        patch.setitem(DATASETS, "fashion_mnist_mini", spec)
        patch.setattr(experiment, "PROFILES", {**experiment.PROFILES, "quick": quick})
        yield


@pytest.fixture
def few_positions_drawn(monkeypatch):
    """So few positions are drawn that small maps have more."""
    monkeypatch.setattr("simprune.representations.DRAWN_POSITIONS", 500)


@pytest.fixture
def my_images(tmp_path):
    """A folder that holds one of images, my-images, as `book/rerun.md` lays it out."""
    draw_images(tmp_path / "my-images", 0, side=16, count=600, classes=("cat", "dog"))
    return tmp_path


@pytest.fixture
def command(capsys):
    """A call of the command in this process: exit status, standard output and standard error."""
    from simprune.cli import main

    def call(*arguments, main=main):
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        return exit.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def untouched_random_state():
    """Fail if a test changes the global random state of PyTorch."""
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(before, torch.random.get_rng_state())
