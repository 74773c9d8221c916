"""A seeded sample of random input for every public interface; the slow lane takes a thousand times as much."""

import tempfile
from pathlib import Path

import fuzzing
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

# The same sample everywhere, so that a change of the code and not of the dice makes these fail.
sample = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
few = settings(sample, max_examples=25)


def scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="fuzz-")


@sample
@given(st.one_of(fuzzing.experiments, fuzzing.likely_experiments))
def test_any_fields_make_an_experiment_or_are_refused(fields):
    fuzzing.check_experiment(fields)


@sample
@given(fuzzing.comparisons)
def test_any_arrays_are_compared_or_refused(arguments):
    fuzzing.check_comparison(arguments)


@few
@given(fuzzing.npy_files)
def test_any_file_of_an_array_is_compared_or_refused(content):
    with scratch() as place:
        fuzzing.check_npy_file(content, Path(place))


@few
@given(fuzzing.command_lines)
def test_any_command_line_runs_or_ends_with_status_two(arguments):
    fuzzing.check_command_line(arguments)


@few
@given(fuzzing.damages(7))
def test_any_damage_to_a_store_is_noticed(damage):
    with scratch() as place:
        fuzzing.check_store(Path(place), *damage)


@few
@given(st.lists(fuzzing.image_files, min_size=2, max_size=5), st.sampled_from([".png", ".jpg", ".TIFF", ".txt"]))
def test_any_folder_of_images_is_read_or_refused(images, ending):
    with scratch() as place:
        fuzzing.check_folder(images, ending, Path(place))


@few
@given(fuzzing.parquet_files, fuzzing.parquet_files)
def test_any_parquet_files_are_read_or_refused(train, test):
    with scratch() as place:
        fuzzing.check_parquet(train, test, Path(place))


@few
@given(st.sampled_from(["mnist", "cifar10", "cifar100", "svhn"]), st.lists(fuzzing.idx_files, min_size=1, max_size=4))
def test_any_files_of_torchvision_are_read_or_refused(name, contents):
    with scratch() as place:
        fuzzing.check_torchvision(name, contents, Path(place))
