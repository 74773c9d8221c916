"""The defect of the released code, computed slowly from its definition, and where it shows."""

import itertools

import numpy as np
import pytest
import torch

from simprune.comparison import compare
from simprune.measures import MEASURES, released
from simprune.measures.released import linear_kernel, released_centring, released_cka


def slow_centring(kernel):
    """Entry by entry: the mean of its column twice, plus the mean of all."""
    out = np.empty_like(kernel)
    for row in range(len(kernel)):
        for column in range(len(kernel)):
            out[row, column] = kernel[row, column] - 2 * kernel[:, column].sum() / len(kernel) + kernel.mean()
    return out


def slow_cka(x, y):
    K, L = slow_centring(x @ x.T), slow_centring(y @ y.T)
    return np.trace(K @ L) / (np.sqrt((K**2).sum()) * np.sqrt((L**2).sum()))


def cka(x, y, columns_first=False):
    return released_cka(linear_kernel(x, columns_first), linear_kernel(y, columns_first))


def relu_like(inputs, units, mean=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(inputs, units, generator=generator, dtype=torch.float64) + mean).relu()


@pytest.fixture
def pair():
    x = relu_like(60, 20)
    return x, (x[:, :15] + 0.5 * relu_like(60, 15, seed=1)).relu()


@pytest.mark.parametrize("columns_first", [False, True])
def test_the_released_score_is_that_of_its_definition(pair, columns_first):
    x, y = (side.numpy() - (side.numpy().mean(0) if columns_first else 0) for side in pair)
    assert cka(*pair, columns_first).value == pytest.approx(slow_cka(x, y), abs=1e-12)


def test_with_centred_columns_the_released_cka_is_right(pair):
    right = compare(*pair, ["linear_cka"])["value"]["linear_cka"]
    assert cka(*pair, columns_first=True).value == pytest.approx(right, abs=1e-12)


def test_on_activations_as_they_are_a_representation_is_not_like_itself():
    x = relu_like(100, 50)
    assert 0.1 < cka(x, x).value < 0.25
    assert cka(x, x, columns_first=True).value == pytest.approx(1, abs=1e-12)


def test_with_larger_means_a_representation_is_the_opposite_of_itself():
    values = [cka(x, x).value for x in (relu_like(100, 50, mean) for mean in (0, 0.5, 1, 2))]
    assert values == sorted(values, reverse=True) and values[-1] < -0.5


def test_the_released_centring_leaves_a_kernel_of_centred_columns_as_it_is(pair):
    kernel = linear_kernel(pair[0], columns_first=True)
    assert torch.allclose(released_centring(kernel), kernel, atol=1e-12)


def test_maps_are_flattened(pair):
    maps = torch.stack([pair[0], pair[0] ** 2], 2)[..., None]
    assert torch.allclose(linear_kernel(maps), maps.flatten(1) @ maps.flatten(1).T)


def test_a_constant_representation_is_undefined(pair):
    for columns_first, level in itertools.product((False, True), (0, 0.1)):
        score = cka(torch.full((60, 3), level), pair[0], columns_first)
        assert score[1:] == ("undefined", "constant representation")


def test_no_measure_of_the_registry_is_the_released_one():
    assert released.__name__ not in {measure.score.__module__ for measure in MEASURES.values()}
