"""The table of a sweep, and what Snakemake makes of it."""

import importlib.util
import sys
from pathlib import Path

import pytest

from simprune import studies
from simprune.experiment import PROFILES

WORKFLOW = Path(__file__).resolve().parent.parent / "workflow"


@pytest.fixture(scope="module")
def runs():
    """The module workflow/runs.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("sweep_runs", WORKFLOW / "runs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["sweep_runs"] = module
    spec.loader.exec_module(module)
    return module


def test_every_seed_of_every_study_of_the_book_is_a_run(runs):
    expected = {(study, seed) for study in studies.read() for seed in study.seeds}
    made = runs.read()
    assert {(run.study, run.seed) for run in made.values()} == expected and len(made) == len(expected)
    for name, run in made.items():
        assert name.endswith(f"-seed_{run.seed}")
        assert run.arguments[2:4] == ["--seeds", str(run.seed)]


def test_every_profile_says_what_a_run_needs(runs, tmp_path):
    assert set(PROFILES) <= set(runs.NEEDS)
    table = tmp_path / "table.csv"
    table.write_text(f"architecture,dataset,profile,seeds\nlenet5 vgg,cifar10,{' '.join(PROFILES)},0\n")
    for run in runs.read(table).values():
        assert set(run.needs) == {"mem_mb", "runtime", "gpu"}
        assert run.needs["gpu"] == (run.study["profile"] == "paper" and run.study["architecture"] == "vgg")
