"""At least 1,000 random inputs for every public interface, others at every call; see fuzzing.py."""

import subprocess
import sys

import fuzzing
import pytest

INPUTS = 1000


@pytest.mark.parametrize("name", fuzzing.INTERFACES)
def test_any_input_gives_a_result_or_one_clear_sentence(name):
    fuzzing.give(fuzzing.INTERFACES[name], INPUTS, derandomize=False)


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
