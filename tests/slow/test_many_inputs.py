"""At least 1,000 random inputs for every public interface, others at every call; see fuzzing.py."""

import fuzzing
import pytest


@pytest.mark.parametrize("name", fuzzing.INTERFACES)
def test_any_input_gives_a_result_or_one_clear_sentence(name):
    fuzzing.give(fuzzing.INTERFACES[name], 1000, derandomize=False)
