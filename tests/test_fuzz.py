"""A seeded sample of random input for every public interface; the slow lane takes at least a thousand of each."""

import fuzzing
import pytest


@pytest.mark.parametrize("name", fuzzing.INTERFACES)
def test_any_input_gives_a_result_or_one_clear_sentence(name):
    # The same sample everywhere, so that a change of the code and not of the dice makes this fail.
    interface = fuzzing.INTERFACES[name]
    fuzzing.give(interface, interface.sample, derandomize=True)
