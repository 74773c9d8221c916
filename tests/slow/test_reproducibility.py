"""The quick experiment in fresh processes: bit-identical with one number of threads, close with another."""

import pytest
from runs import run, same, tables


def quick(store, threads: int) -> dict:
    """The tables of the whole quick experiment."""
    run(store, threads=threads, size=())
    return tables(store)


@pytest.fixture(scope="module")
def two_threads(tmp_path_factory):
    return quick(tmp_path_factory.mktemp("two"), threads=2)


def test_the_quick_experiment_is_bit_identical_in_two_fresh_processes(two_threads, tmp_path):
    assert same(quick(tmp_path, threads=2), two_threads)


def test_another_number_of_threads_changes_little(two_threads, tmp_path, capsys):
    one = quick(tmp_path, threads=1)
    levels = one["performance"]["level"]
    accuracy = (one["performance"]["test_accuracy"] - two_threads["performance"]["test_accuracy"]).abs()
    scores = (one["similarity"]["value"] - two_threads["similarity"]["value"]).abs()
    worst = scores.groupby(one["similarity"]["measure"]).agg(["mean", "max"])
    assert one["performance"]["density"].equals(two_threads["performance"]["density"])
    assert accuracy.max() < 0.03 and scores.mean() < 0.03 and len(levels) == 11
    with capsys.disabled():
        print(f"\ntest accuracy, 1 and 2 threads: largest difference {accuracy.max():.4f}, mean {accuracy.mean():.4f}")
        print(f"scores, by measure:\n{worst.to_string(float_format='{:.4f}'.format)}")
