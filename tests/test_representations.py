import numpy as np
import pytest
import torch

from simprune import representations
from simprune.comparison import compare
from simprune.errors import InputError
from simprune.representations import VIEWS, decompose, view_matrix

# Views --------------------------------------------------------------------------------------------------------------


def test_views_of_a_conv_activation():
    activations = torch.arange(2 * 3 * 2 * 2, dtype=torch.float32).reshape(2, 3, 2, 2)
    assert view_matrix(activations, "flatten").tolist() == activations.reshape(2, 12).tolist()
    channels = view_matrix(activations, "channels")
    assert channels.shape == (8, 3)
    assert channels[5].tolist() == activations[1, :, 0, 1].tolist()
    assert view_matrix(activations, "pooled").tolist() == activations.mean((2, 3)).tolist()


@pytest.mark.parametrize("view", VIEWS)
def test_a_2_d_activation_is_its_own_matrix_in_each_view(view):
    activations = torch.randn(5, 3)
    assert view_matrix(activations, view) is activations


def test_an_unknown_view_and_other_dimensions_are_refused():
    with pytest.raises(InputError, match="did you mean 'channels'"):
        view_matrix(torch.randn(5, 3), "channel")
    with pytest.raises(InputError, match=r"\(5, 3, 2, 2, 2\) is none of"):
        view_matrix(torch.randn(5, 3, 2, 2, 2), "flatten")
    for view in ("token[5]", "token[-6]", "token[x]"):
        with pytest.raises(InputError, match="view"):
            view_matrix(torch.randn(4, 5, 3), view)
    with pytest.raises(InputError, match="maps of 2 x 2 positions have no tokens"):
        view_matrix(torch.randn(5, 3, 2, 2), "token")


def test_tokens_are_positions_and_one_of_them_is_a_view():
    tokens = torch.randn(6, 5, 3)
    assert torch.equal(view_matrix(tokens, "flatten"), tokens.reshape(6, 15))
    assert torch.equal(view_matrix(tokens, "channels"), tokens.reshape(30, 3))
    assert torch.equal(view_matrix(tokens, "pooled"), tokens.double().mean(1))
    for view, place in (("token", 0), ("token[2]", 2), ("token[-1]", 4)):
        assert torch.equal(view_matrix(tokens, view), tokens[:, place])


@pytest.mark.parametrize("view", [*VIEWS, "token", "token[2]"])
def test_tokens_are_compared_as_the_matrix_of_their_view(view):
    first, second = random(9, 5, 3, seed=1), random(9, 5, 3, seed=2)
    measures = ["linear_cka", "mean_cca", "nbs"]
    found = compare(first, second, measures, view=view)
    assert np.allclose(found["value"], compare(*(view_matrix(x, view) for x in (first, second)), measures)["value"])


# Decomposition ------------------------------------------------------------------------------------------------------


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def graded(rows, columns, decades):
    """A matrix whose singular values fall over some decades, steadily."""
    size = min(rows, columns)
    U, V = torch.linalg.qr(random(rows, size))[0], torch.linalg.qr(random(columns, size, seed=1))[0]
    return U * torch.logspace(0, -decades, size, dtype=torch.float64) @ V.T


@pytest.mark.parametrize("shape", [(30, 8), (30, 29), (30, 30), (30, 100)])
def test_the_decomposition_is_the_thin_svd_of_the_centred_matrix(shape):
    matrix = random(*shape) + 3
    found = decompose(matrix)
    U, s, _ = torch.linalg.svd(matrix - matrix.mean(0), full_matrices=False)
    assert found.rank == min(shape[0] - 1, shape[1])
    assert torch.allclose(found.singular_values * found.scale, s[: found.rank])
    projection = found.left @ found.left.T
    assert torch.allclose(projection, U[:, : found.rank] @ U[:, : found.rank].T)
    if found.loadings is not None:
        assert torch.allclose(found.left @ found.loadings * found.scale, matrix - matrix.mean(0))
    gram = (matrix - matrix.mean(0)) @ (matrix - matrix.mean(0)).T
    assert torch.allclose(found.centred_gram() * found.scale**2, gram)
    found.forget_gram()
    assert torch.allclose(found.centred_gram() * found.scale**2, gram)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
@pytest.mark.parametrize("decades", [6, 9, 12])
def test_directions_far_below_the_largest_are_found(shape, decades):
    """Squares alone, of the Gram matrix or the covariance, see nothing below 1e-8 of the largest."""
    matrix = graded(*shape, decades)
    found = decompose(matrix)
    s = torch.linalg.svdvals(matrix - matrix.mean(0))
    assert found.rank == (19 if shape[0] == 20 else 20)
    assert torch.allclose(found.singular_values * found.scale, s[: found.rank], rtol=1e-2, atol=0)
    unit = found.left.T @ found.left
    assert torch.allclose(unit, torch.eye(found.rank, dtype=torch.float64), atol=1e-3 * 10.0 ** (decades - 12))


@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_dead_and_duplicated_columns_lower_the_rank_and_nothing_else(shape):
    matrix = random(*shape) + 1e3
    matrix[:, 5:] = matrix[:, :5].repeat(1, shape[1] // 5 - 1)
    matrix[:, 7] = 0.1
    matrix[:, 11] = 0
    found = decompose(matrix)
    assert (found.rank, found.dead) == (5, 2)


@pytest.mark.parametrize("factor", [1e-300, 1e-12, 1e12, 1e300])
@pytest.mark.parametrize("columns", [5, 50])
def test_scale_changes_nothing_but_the_scale(factor, columns):
    matrix = random(20, columns)
    one, other = decompose(matrix), decompose(matrix * factor)
    spectra = [found.singular_values / found.singular_values[0] for found in (one, other)]
    assert torch.allclose(*spectra)


def test_a_constant_representation_has_rank_0():
    found = decompose(torch.full((10, 4), 0.1))
    assert (found.rank, found.dead) == (0, 4)


@pytest.mark.parametrize("columns", [6, 40])
def test_an_eigensolver_that_does_not_converge_is_replaced(monkeypatch, columns):
    def fail(matrix):
        raise torch.linalg.LinAlgError("the algorithm failed to converge")

    matrix = random(20, columns)
    expected = decompose(matrix)
    monkeypatch.setattr(torch.linalg, "eigh", fail)
    found = decompose(matrix)
    assert torch.allclose(found.singular_values, expected.singular_values)
    assert torch.allclose(found.left @ found.left.T, expected.left @ expected.left.T)


@pytest.mark.parametrize("block", [1, 50, 2**20])
@pytest.mark.parametrize("shape", [(30, 4, 2, 2), (30, 4, 5, 5), (30, 7), (30, 70)])
def test_the_size_of_blocks_changes_nothing(monkeypatch, block, shape):
    maps = random(*shape).relu()
    whole = decompose(maps)
    monkeypatch.setattr(representations, "BLOCK", block)
    blocked = decompose(maps)
    assert torch.allclose(whole.singular_values, blocked.singular_values)
    assert torch.allclose(whole.centred_gram(), blocked.centred_gram())


@pytest.mark.parametrize("block", [40, 2**20])
def test_the_streamed_channels_view_is_the_decomposition_of_its_matrix(monkeypatch, block):
    maps = random(60, 5, 7, 7).relu() + 100
    maps[:, 2] = maps[:, 1]
    maps[:, 4] = 7
    matrix = decompose(view_matrix(maps, "channels"))
    monkeypatch.setattr(representations, "BLOCK", block)
    streamed = decompose(maps, "channels")
    assert streamed.left is None
    assert (streamed.rows, streamed.columns, streamed.dead, streamed.rank) == (60 * 49, 5, 1, 3)
    assert torch.allclose(streamed.singular_values, matrix.singular_values)
    assert torch.allclose(streamed.left_vectors().abs(), matrix.left.abs(), atol=1e-9)
    assert torch.allclose(streamed.loadings[:, :4].abs(), matrix.loadings.abs(), atol=1e-7)


def test_many_rows_are_drawn_with_a_seed_and_never_on_a_stride(monkeypatch):
    maps = random(60, 3, 7, 7)
    matrix = view_matrix(maps, "channels")
    drawn = decompose(maps, "channels", seed=3).drawn
    assert drawn.rows == representations.DRAWN_POSITIONS
    assert torch.equal(drawn.matrix, decompose(maps, "channels", seed=3).drawn.matrix)
    assert not torch.equal(drawn.matrix, decompose(maps, "channels", seed=4).drawn.matrix)
    places = [int((matrix == row).all(1).nonzero()) for row in drawn.matrix[:100]]
    assert places == sorted(set(places)) and len(set(np.diff(places))) > 2
    monkeypatch.setattr(representations, "DRAWN_INPUTS", 20)
    assert decompose(random(30, 4)).drawn.rows == 20
    assert decompose(random(20, 4)).drawn is None
