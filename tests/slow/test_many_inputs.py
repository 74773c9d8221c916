"""At least 1,000 random inputs for every public interface, others at every call; see fuzzing.py."""

import subprocess
import sys
import tempfile
from pathlib import Path

import fuzzing
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

many = settings(
    max_examples=1000,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="fuzz-")


@many
@given(st.one_of(fuzzing.experiments, fuzzing.likely_experiments))
def test_any_fields_make_an_experiment_or_are_refused(fields):
    fuzzing.check_experiment(fields)


@many
@given(fuzzing.comparisons)
def test_any_arrays_are_compared_or_refused(arguments):
    fuzzing.check_comparison(arguments)


@many
@given(fuzzing.npy_files)
def test_any_file_of_an_array_is_compared_or_refused(content):
    with scratch() as place:
        fuzzing.check_npy_file(content, Path(place))


@many
@given(fuzzing.command_lines)
def test_any_command_line_runs_or_ends_with_status_two(arguments):
    fuzzing.check_command_line(arguments)


@many
@given(fuzzing.damages(7))
def test_any_damage_to_a_store_is_noticed(damage):
    with scratch() as place:
        fuzzing.check_store(Path(place), *damage)


@many
@given(st.lists(fuzzing.image_files, min_size=2, max_size=5), st.sampled_from([".png", ".jpg", ".TIFF", ".txt"]))
def test_any_folder_of_images_is_read_or_refused(images, ending):
    with scratch() as place:
        fuzzing.check_folder(images, ending, Path(place))


@many
@given(fuzzing.parquet_files, fuzzing.parquet_files)
def test_any_parquet_files_are_read_or_refused(train, test):
    with scratch() as place:
        fuzzing.check_parquet(train, test, Path(place))


@many
@given(st.sampled_from(["mnist", "cifar10", "cifar100", "svhn"]), st.lists(fuzzing.idx_files, min_size=1, max_size=4))
def test_any_files_of_torchvision_are_read_or_refused(name, contents):
    with scratch() as place:
        fuzzing.check_torchvision(name, contents, Path(place))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["run", "lenet5", "fashion_mnist_mini", "--rate", "nan"],
        ["run", "lenet5", "folder:\x07"],
        ["run", "lenet5", "fashion_mnist_mini", "--store", "/dev/null/below"],
        ["run", "lenet5", "mnist", "--data", "/dev/null"],
        ["compare", "/dev/zero", "/dev/zero"],
        ["compare", "x" * 5000, "y"],
        ["list", "--store", "/dev/null"],
        ["[bold]"],
    ],
)
def test_a_real_process_ends_with_status_two_and_a_line_or_two(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "simprune", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert done.returncode == (2 if arguments else done.returncode) and done.returncode in (0, 2)
    assert "Traceback" not in done.stderr and (not arguments or done.stderr.count("\n") in (1, 2)), done.stderr
