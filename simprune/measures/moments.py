"""Representations of which only sums over rows are at hand, added up block by block: what measures tell from those."""

from functools import cached_property

import torch
from torch import Tensor

from simprune.measures.core import Pair, PairSums
from simprune.measures.matching import Units, units
from simprune.representations import Representation, outer_gram


class Moments:
    """A matrix, rows x p, of which blocks of rows are added up and let go, in float64.

    Kept are sums of the products of its extended columns: the p columns less a common centre, the squared length of a
    row, and 1. With those every centred product and every sum over the diagonal of the Gram matrix is told.
    """

    def __init__(self) -> None:
        self.centre: Tensor | None = None
        self.products: Tensor | float = 0.0

    def add(self, rows: Tensor) -> Tensor:
        """Add rows, n x p, and return them extended, n x (p + 2), for products with another matrix."""
        rows = rows.double()
        low, high = rows.amin(0), rows.amax(0)
        if self.centre is None:
            self.centre = torch.where(low == high, low, rows.mean(0))
            self.low, self.high = low, high
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        centred = rows - self.centre
        extended = torch.cat([centred, (centred**2).sum(1, keepdim=True), torch.ones_like(centred[:, :1])], 1)
        self.products += outer_gram(extended.T)
        return extended

    @property
    def rows(self) -> int:
        return int(self.products[-1, -1])

    @cached_property
    def means(self) -> Tensor:
        """Of the columns less the centre; exactly 0 for a constant column."""
        return torch.where(self.low == self.high, 0.0, self.products[:-2, -1] / self.rows)

    @cached_property
    def weights(self) -> Tensor:
        """What makes of an extended row the squared length of the centred one."""
        return torch.cat([-2 * self.means, self.means.new_tensor([1.0, float(self.means @ self.means)])])

    def centred(self, products: Tensor, other: "Moments") -> Tensor:
        """Xc' Yc, from the products of extended columns of this matrix with those of another."""
        return products[:-2, :-2] - self.rows * torch.outer(self.means, other.means)

    def representation(self, view: str) -> Representation:
        """What is known of the matrix."""
        covariance = self.centred(self.products, self)
        columns = len(covariance)
        representation = Representation(
            view=view,
            activations=torch.empty((self.rows, columns), dtype=covariance.dtype, device="meta"),
            rows=self.rows,
            columns=columns,
            dead=int((self.low == self.high).sum()),
            scale=1.0,
            covariance=covariance,
            centre=self.centre + self.means,
        )
        lengths = torch.where(self.low == self.high, 0.0, covariance.diagonal().clamp(min=0).sqrt())
        representation.features[(units,)] = Units(representation.centre, lengths)
        return representation


def moments_pair(x: Moments, y: Moments, products: Tensor, sides: tuple[Representation, Representation]) -> Pair:
    """The pair of two matrices with the same rows, from the products of their extended columns."""
    pair = Pair(*sides)
    own = (x.weights @ x.products @ x.weights, y.weights @ y.products @ y.weights)
    traces = (x.weights @ x.products[:, -1], y.weights @ y.products[:, -1])
    diagonals = (x.weights @ products @ y.weights, *own, *traces)
    pair.sums = PairSums(x.centred(products, y), tuple(float(value) for value in diagonals))
    return pair
