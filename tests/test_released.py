"""The defect of the released code, computed slowly from its definition, and where it shows."""

import itertools

import numpy as np
import pytest
import torch

from simprune.comparison import compare
from simprune.errors import InputError
from simprune.measures import MEASURES, released
from simprune.measures.released import linear_kernel, released_centring, released_scores


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


def slow_nbs(x, y):
    K, L = slow_centring(x @ x.T), slow_centring(y @ y.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(K @ L).real, 0)) / np.sqrt(np.trace(K) * np.trace(L))
    return roots.max()


def relu_like(inputs, units, mean=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(inputs, units, generator=generator, dtype=torch.float64) + mean).relu()


@pytest.fixture
def pair():
    x = relu_like(60, 20)
    return x, (x[:, :15] + 0.5 * relu_like(60, 15, seed=1)).relu()


@pytest.mark.parametrize("columns_first", [False, True])
def test_the_released_scores_are_those_of_their_definition(pair, columns_first):
    x, y = (side.numpy() - (side.numpy().mean(0) if columns_first else 0) for side in pair)
    scores = released_scores(*pair, columns_first)
    assert scores["linear_cka"].value == pytest.approx(slow_cka(x, y), abs=1e-12)
    assert scores["nbs"].value == pytest.approx(slow_nbs(x, y), abs=1e-10)


@pytest.mark.parametrize("columns_first", [False, True])
def test_the_largest_eigenvalue_is_found_without_all_of_them(pair, columns_first, monkeypatch):
    of_all = released_scores(*pair, columns_first)["nbs"].value
    monkeypatch.setattr(released, "ALL_EIGENVALUES", 0)
    assert released_scores(*pair, columns_first)["nbs"].value == pytest.approx(of_all, rel=1e-9)


def test_with_centred_columns_the_released_cka_is_right_and_its_nbs_is_not(pair):
    right = compare(*pair)["value"]
    scores = released_scores(*pair, columns_first=True)
    assert scores["linear_cka"].value == pytest.approx(right["linear_cka"], abs=1e-12)
    assert scores["nbs"].value < 0.5 * right["nbs"]


def test_with_centred_columns_the_released_nbs_is_its_largest_singular_value_alone(pair):
    x, y = (side - side.mean(0) for side in pair)
    values = torch.linalg.svdvals(x.T @ y) / (x.norm() * y.norm())
    assert released_scores(*pair, columns_first=True)["nbs"].value == pytest.approx(float(values[0]), rel=1e-9)


def test_on_activations_as_they_are_a_representation_is_not_like_itself():
    x = relu_like(100, 50)
    assert 0.1 < released_scores(x, x)["linear_cka"].value < 0.25
    assert released_scores(x, x, columns_first=True)["linear_cka"].value == pytest.approx(1, abs=1e-12)


def test_with_larger_means_a_representation_is_the_opposite_of_itself():
    values = [released_scores(x, x)["linear_cka"].value for x in (relu_like(100, 50, mean) for mean in (0, 0.5, 1, 2))]
    assert values == sorted(values, reverse=True) and values[-1] < -0.5


def test_the_released_centring_leaves_a_kernel_of_centred_columns_as_it_is(pair):
    kernel = linear_kernel(pair[0], columns_first=True)
    assert torch.allclose(released_centring(kernel), kernel, atol=1e-12)


def test_maps_are_flattened(pair):
    maps = torch.stack([pair[0], pair[0] ** 2], 2)[..., None]
    assert torch.allclose(linear_kernel(maps), maps.flatten(1) @ maps.flatten(1).T)


def test_a_constant_representation_is_undefined(pair):
    for columns_first, level in itertools.product((False, True), (0, 0.1)):
        scores = released_scores(torch.full((60, 3), level), pair[0], columns_first)
        assert {score[1:] for score in scores.values()} == {("undefined", "constant representation")}


def test_other_inputs_are_refused(pair):
    with pytest.raises(InputError, match="X and Y: 60 and 59 are not the same inputs"):
        released_scores(pair[0], pair[1][1:])


def test_no_measure_of_the_registry_is_the_released_one():
    assert released.__name__ not in {measure.score.__module__ for measure in MEASURES.values()}
