"""Matrices over pairs of inputs, which kernel, distance and neighbour measures share."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from simprune.representations import EPS, Representation, outer_gram


def upper(matrix: Tensor) -> Tensor:
    """The strict upper triangle of a matrix n x n, row by row, as a vector of length n (n - 1) / 2."""
    return torch.cat([row[index + 1 :] for index, row in enumerate(matrix)])


def upper_position(first: Tensor, second: Tensor, rows: int) -> Tensor:
    """Where the entry of two different rows stands in `upper` of a symmetric matrix."""
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    return low * (2 * rows - low - 1) // 2 + high - low - 1


@dataclass(frozen=True)
class Symmetric:
    """A symmetric matrix n x n as its strict upper triangle and its diagonal: half of the memory."""

    triangle: Tensor
    diagonal: Tensor

    @classmethod
    def of(cls, matrix: Tensor) -> "Symmetric":
        return cls(upper(matrix), matrix.diagonal().clone())

    def inner(self, other: "Symmetric") -> float:
        """Sum of the products of all entries."""
        return float(2 * (self.triangle @ other.triangle) + self.diagonal @ other.diagonal)

    @cached_property
    def norm(self) -> float:
        """Frobenius norm."""
        return self.inner(self) ** 0.5

    def shuffled(self, order: Tensor) -> "Symmetric":
        """The matrix with rows and columns in another order."""
        return Symmetric(shuffled_triangle(self.triangle, order), self.diagonal[order])


def shuffled_triangle(triangle: Tensor, order: Tensor) -> Tensor:
    """`upper` of a symmetric matrix with rows and columns in another order."""
    return triangle[_positions(order)]


@lru_cache(maxsize=1)  # all triangles of a representation are put in the same order, the same tensor
def _positions(order: Tensor) -> Tensor:
    """Where the entries of `upper` of a symmetric matrix with rows and columns in another order come from."""
    rows = len(order)
    return torch.cat([upper_position(order[index], order[index + 1 :], rows) for index in range(rows)])


def centred_twice(matrix: Tensor) -> Tensor:
    """Subtract row means and column means and add the mean of a symmetric matrix, in place."""
    means = matrix.mean(0)
    return matrix.sub_(means).sub_(means[:, None]).add_(means.mean())


def squared_distances(representation: Representation) -> Tensor:
    """Squared Euclidean distances between rows, n x n; what rounding leaves of equal rows is 0."""
    gram = representation.centred_gram()
    lengths = gram.diagonal().clone()
    squares = (gram * -2).add_(lengths).add_(lengths[:, None])
    return squares.masked_fill_(squares < 8 * EPS * lengths[:, None], 0).fill_diagonal_(0)


def constant_rows(representation: Representation) -> Tensor:
    """Rows whose entries are all equal, exactly; bool, n."""
    low, high = _row_range(representation)
    return low == high


def zero_rows(representation: Representation) -> Tensor:
    """Rows whose entries are all 0; bool, n."""
    low, high = _row_range(representation)
    return (low == 0) & (high == 0)


def _row_range(representation: Representation) -> tuple[Tensor, Tensor]:
    matrix = representation.matrix
    entries = tuple(range(1, matrix.ndim))
    return matrix.amin(entries), matrix.amax(entries)


def row_cosines(representation: Representation) -> Tensor:
    """Cosines between the uncentred rows, n x n; 0 with a row that is all 0."""
    empty = zero_rows(representation)
    if representation.sides is None:
        return _products_of_units(representation.matrix.flatten(1).double() / representation.scale, empty)
    sides = representation.sides
    common = sides.level * sides.sums
    products = _level_products(representation).add_(common).add_(common[:, None])
    return _over_lengths(products.add_(representation.columns * sides.level**2), empty)


def row_correlations(representation: Representation) -> Tensor:
    """Pearson's correlations between the rows, n x n; 0 with a constant row, which has none."""
    constant = constant_rows(representation)
    if representation.sides is None:
        rows = representation.matrix.flatten(1).double() / representation.scale
        rows = rows - rows.mean(1, keepdim=True)
        return _products_of_units(rows - rows.mean(1, keepdim=True), constant)
    sums = representation.sides.sums
    covariances = _level_products(representation).addr_(sums, sums / representation.columns, alpha=-1)
    return _over_lengths(covariances, constant)


def _products_of_units(rows: Tensor, empty: Tensor) -> Tensor:
    """Products of the rows at length 1: small rows keep their digits, which a Gram matrix would take from them."""
    rows = torch.where(empty[:, None], 0.0, rows)
    rows = rows / torch.where(empty, 1.0, rows.abs().amax(1))[:, None]
    rows = rows / torch.where(empty, 1.0, rows.norm(dim=1))[:, None]
    return outer_gram(rows)


def _level_products(representation: Representation) -> Tensor:
    """Inner products of the rows / scale less the common level, n x n, from the Gram matrix; see `Sides`."""
    sides = representation.sides
    return (representation.centred_gram() + sides.spread).add_(sides.along).add_(sides.along[:, None])


def _over_lengths(products: Tensor, empty: Tensor) -> Tensor:
    """Products over the lengths of the rows, in place."""
    squares = products.diagonal()
    inverse = torch.where(empty | (squares <= 0), 0.0, squares.clamp(min=torch.finfo(squares.dtype).tiny).rsqrt())
    return products.mul_(inverse).mul_(inverse[:, None])
