"""Centred kernel alignment: do the same inputs look alike in both representations, weighted by variance."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from simprune.errors import InputError, check_number
from simprune.measures.core import FEWEST_INPUTS, SHAPE, Measure, Option, Pair, Score, undefined
from simprune.measures.geometry import Symmetric, centred_twice, squared_distances, upper
from simprune.representations import Representation

# Share of the median pairwise distance that is the bandwidth of the Gaussian kernel.
BANDWIDTH = 0.5
# A debiased norm below this share of the biased one is rounding.
ROUNDING = 1e-12


def row_norms(representation: Representation) -> Tensor:
    """The squared length of each centred row / scale, n: the diagonal of the centred Gram matrix."""
    if representation.streamed:
        return torch.cat([(block**2).sum(1) for block in representation.centred_rows()])
    if representation.decomposed is None and representation.gram is not None:
        return representation.gram.diagonal().clone()
    return (representation.factor**2).sum(1)


def gaussian_kernel(representation: Representation, bandwidth: float) -> Symmetric:
    """exp(-d^2 / (2 sigma^2)), double-centred, sigma = bandwidth * median distance; all 0 where the median is 0."""
    squares = squared_distances(representation)
    width = bandwidth * _median(upper(squares).sqrt_())
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
    return Score(pair.shared_variance / (pair.x.power * pair.y.power) ** 0.5)


def debiased_linear_cka(pair: Pair) -> Score:
    """Linear CKA with the unbiased estimator of HSIC; 0 on average for unrelated data.

    The estimator sees no constant added to a row or column of the Gram matrix, so centred ones serve, and of
    these it needs the traces of products, the diagonals and no entry else.
    """
    if pair.rows < 4:
        return undefined("fewer than 4 rows")
    shared, x_own, y_own, x_trace, y_trace = _diagonals(pair)
    x_power, y_power = pair.x.power, pair.y.power
    x_norm = _unbiased(x_power, x_own, x_trace**2, pair.rows)
    y_norm = _unbiased(y_power, y_own, y_trace**2, pair.rows)
    if x_norm <= ROUNDING * x_power or y_norm <= ROUNDING * y_power:
        return undefined("a debiased norm is not positive")
    value = _unbiased(pair.shared_variance, shared, x_trace * y_trace, pair.rows)
    return Score(value / (x_norm * y_norm) ** 0.5)


def _diagonals(pair: Pair) -> tuple[float, ...]:
    """Of the diagonals k and l of the centred Gram matrices the sums of k l, k k, l l, k and l."""
    if pair.sums is not None:
        return pair.sums.diagonals
    x, y = (side.feature(row_norms) for side in (pair.x, pair.y))
    return tuple(float(value) for value in (x @ y, x @ x, y @ y, x.sum(), y.sum()))


def _unbiased(product: float, diagonals: float, traces: float, rows: int) -> float:
    """n (n - 3) HSIC_1 of two centred Gram matrices with tr(KL) = product (Song et al. 2012, eq. 5).

    With zeroed diagonals, rows sum to minus the diagonal: K~ 1 = -diag(K). `diagonals` is the sum of products of the
    two diagonals, `traces` the product of the traces.
    """
    return product - diagonals + traces / ((rows - 1) * (rows - 2)) - 2 * diagonals / (rows - 2)


def rbf_cka(pair: Pair, bandwidth: float = BANDWIDTH) -> Score:
    """CKA of Gaussian kernels, sigma = `bandwidth` times the median pairwise distance of each representation.

    The median is over pairs of different inputs. The demo of Kornblith et al. takes it over all n^2 pairs, the n
    distances of 0 to itself among them, and finds slightly less wide kernels.
    """
    x, y = pair.features(gaussian_kernel, bandwidth)
    if x.norm == 0 or y.norm == 0:
        return undefined("the median distance between inputs is 0")
    return Score(x.inner(y) / (x.norm * y.norm), note=pair.draw_note)


class MinibatchCKA:
    """Debiased linear CKA of every layer of one network with every layer of another, from batches of inputs alone.

    HSIC_1 is unbiased on any batch, so that a ratio of sums over batches estimates that of all inputs (Nguyen et al.
    2021); nothing larger than a batch is kept. Batches weigh as much as they have inputs. The products are in float32
    unless the activations are in float64, after each column is centred: exact to about 1e-6.
    """

    def __init__(self) -> None:
        self._sums: list[tuple[Tensor, Tensor, Tensor]] = []
        self.inputs = self.left_out = 0

    def add(self, X: Sequence[Tensor], Y: Sequence[Tensor]) -> None:
        """Add one batch: the activations of each layer of both networks, n x ..., finite, n the same for all.

        A batch of fewer than 4 inputs has no HSIC_1: it is left out and counted in `left_out`.
        """
        rows = len(X[0])
        if any(len(layer) != rows for layer in (*X, *Y)):
            raise InputError(f"batch: layers have other numbers of inputs: {sorted({len(z) for z in (*X, *Y)})}")
        if rows < FEWEST_INPUTS:
            self.left_out += rows
            return
        self.inputs += rows
        x, y = (torch.stack([_u_centred(layer).flatten() for layer in layers]) for layers in (X, Y))
        # HSIC_1 is the product over n (n - 3), and n is the weight.
        self._sums.append(tuple(part.cpu() / (rows - 3) for part in (x @ y.T, (x * x).sum(1), (y * y).sum(1))))

    def finish(self) -> tuple[Tensor, Tensor]:
        """The scores, layers of X by layers of Y, and their standard errors by the jackknife over batches.

        NaN where a layer has a norm that is not positive; errors are NaN with one batch.
        """
        if not self._sums:
            raise InputError(f"batch: none has {FEWEST_INPUTS} inputs, which an estimate needs")
        cross, x_norm, y_norm = (torch.stack(parts) for parts in zip(*self._sums, strict=True))

        def ratio(cross: Tensor, x: Tensor, y: Tensor) -> Tensor:
            norms = x[..., :, None] * y[..., None, :]
            return torch.where((x > 0)[..., :, None] & (y > 0)[..., None, :], cross / norms.abs().sqrt(), torch.nan)

        count = len(cross)
        without = ratio(*(part.sum(0) - part for part in (cross, x_norm, y_norm)))
        errors = ((count - 1) * without.var(0, correction=0)).sqrt() if count > 1 else without[0] * torch.nan
        return ratio(cross.sum(0), x_norm.sum(0), y_norm.sum(0)), errors


def _u_centred(activations: Tensor) -> Tensor:
    """The Gram matrix less what U-centring takes away: its diagonal, and the means of rows and columns without it."""
    matrix = activations.detach().flatten(1)
    matrix = matrix if matrix.dtype == torch.float64 else matrix.float()
    matrix = matrix - matrix.mean(0)
    matrix = matrix - matrix.mean(0)  # once more: at a large mean the first one is short of digits
    gram = (matrix @ matrix.T).double().fill_diagonal_(0)
    rows, sums = len(gram), gram.sum(0) / (len(gram) - 2)
    gram.sub_(sums).sub_(sums[:, None]).add_(sums.sum() / (rows - 1))
    return gram.fill_diagonal_(0)


MEASURES = (
    Measure(
        id="linear_cka",
        title="Linear CKA",
        family="kernel",
        invariances=SHAPE,
        reference="Kornblith et al. 2019",
        score=linear_cka,
        from_sums=True,
        decomposes=False,
    ),
    Measure(
        id="debiased_linear_cka",
        title="Debiased linear CKA",
        family="kernel",
        range=(-1.0, 1.0),
        invariances=SHAPE,
        reference="Song et al. 2012; Nguyen et al. 2021",
        score=debiased_linear_cka,
        from_sums=True,
        decomposes=False,
    ),
    Measure(
        id="rbf_cka",
        title="RBF CKA",
        family="kernel",
        invariances=SHAPE,
        reference="Kornblith et al. 2019",
        score=rbf_cka,
        options={"bandwidth": Option(BANDWIDTH, lambda field, value: check_number(field, value, "(0, inf)"))},
        prepare=((gaussian_kernel, "bandwidth"),),
        decomposes=False,
    ),
)
