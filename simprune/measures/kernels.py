"""Centred kernel alignment: do the same inputs look alike in both representations, weighted by variance."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from simprune.measures.core import SHAPE, Measure, Pair, Score, undefined
from simprune.measures.geometry import Symmetric, centred_twice, squared_distances, upper
from simprune.representations import Representation

# Share of the median pairwise distance that is the bandwidth of the Gaussian kernel.
BANDWIDTH = 0.5
# A debiased norm below this share of the biased one is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class RowNorms:
    """Squared lengths of the centred rows: the diagonal of the centred Gram matrix."""

    values: Tensor

    def shuffled(self, order: Tensor) -> "RowNorms":
        return replace(self, values=self.values[order])


def row_norms(representation: Representation) -> RowNorms:
    """The squared length of each centred row / scale: n numbers."""
    if representation.left is not None:
        return RowNorms(((representation.left * representation.singular_values) ** 2).sum(1))
    return RowNorms(torch.cat([(block**2).sum(1) for block in representation.centred_rows()]))


def gaussian_kernel(representation: Representation) -> Symmetric:
    """exp(-d^2 / (2 sigma^2)), double-centred, sigma = half the median distance; all 0 where the median is 0."""
    squares = squared_distances(representation)
    width = BANDWIDTH * _median(upper(squares).sqrt_())
    if width == 0:
        return Symmetric.of(squares.zero_())
    kernel = squares.div_(-2 * width**2).exp_()
    return Symmetric.of(centred_twice(kernel))


def _median(values: Tensor) -> float:
    """The median; the mean of the middle two of an even number."""
    if values.device.type == "cpu":
        return float(np.median(values.numpy()))
    middle = values.sort().values[(len(values) - 1) // 2 : len(values) // 2 + 1]
    return float(middle.mean())


def linear_cka(pair: Pair) -> Score:
    """tr(KL) / (|K| |L|) of the centred Gram matrices, from the spectra and the overlap alone."""
    return Score(pair.shared_variance / float(pair.x.variances.norm() * pair.y.variances.norm()))


def debiased_linear_cka(pair: Pair) -> Score:
    """Linear CKA with the unbiased estimator of HSIC; around 0 for unrelated data, and so below 0 for half of it.

    The estimator sees no constant added to a row or column of the Gram matrix, so centred ones serve, and of
    these it needs the traces of products, the diagonals and no entry else.
    """
    if pair.rows < 4:
        return undefined("fewer than 4 rows")
    x_diagonal, y_diagonal = (side.feature(row_norms).values for side in (pair.x, pair.y))
    x_power, y_power = float((pair.x.variances**2).sum()), float((pair.y.variances**2).sum())
    x_norm = _unbiased(x_power, x_diagonal, x_diagonal)
    y_norm = _unbiased(y_power, y_diagonal, y_diagonal)
    if x_norm <= ROUNDING * x_power or y_norm <= ROUNDING * y_power:
        return undefined("a debiased norm is not positive")
    return Score(_unbiased(pair.shared_variance, x_diagonal, y_diagonal) / (x_norm * y_norm) ** 0.5)


def _unbiased(product: float, x_diagonal: Tensor, y_diagonal: Tensor) -> float:
    """n (n - 3) HSIC_1 of two centred Gram matrices with tr(KL) = product (Song et al. 2012, eq. 5).

    With zeroed diagonals, rows sum to minus the diagonal: K~ 1 = -diag(K).
    """
    rows = len(x_diagonal)
    diagonals = float(x_diagonal @ y_diagonal)
    traces = float(x_diagonal.sum()) * float(y_diagonal.sum())
    return product - diagonals + traces / ((rows - 1) * (rows - 2)) - 2 * diagonals / (rows - 2)


def rbf_cka(pair: Pair) -> Score:
    """CKA of Gaussian kernels with a bandwidth of half the median pairwise distance of each representation."""
    x, y = pair.features(gaussian_kernel)
    if x.norm == 0 or y.norm == 0:
        return undefined("the median distance between inputs is 0")
    return Score(x.inner(y) / (x.norm * y.norm), note=pair.draw_note)


MEASURES = (
    Measure(
        id="linear_cka",
        title="Linear CKA",
        family="kernel",
        kind="similarity",
        symmetric=True,
        range=(0.0, 1.0),
        invariances=SHAPE,
        reference="Kornblith et al. 2019",
        score=linear_cka,
    ),
    Measure(
        id="debiased_linear_cka",
        title="Debiased linear CKA",
        family="kernel",
        kind="similarity",
        symmetric=True,
        range=(-1.0, 1.0),
        invariances=SHAPE,
        reference="Song et al. 2012; Nguyen et al. 2021",
        score=debiased_linear_cka,
    ),
    Measure(
        id="rbf_cka",
        title="RBF CKA",
        family="kernel",
        kind="similarity",
        symmetric=True,
        range=(0.0, 1.0),
        invariances=SHAPE,
        reference="Kornblith et al. 2019",
        score=rbf_cka,
        prepare=(gaussian_kernel,),
    ),
)
