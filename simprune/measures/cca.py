"""Canonical correlations and subspaces: which directions two representations share, whatever their variance.

The canonical correlations are the singular values of M = U_x' U_y. No covariance is inverted, and sums run over
numerical ranks, so that dead and duplicated units do no harm.
"""

import torch

from simprune.errors import check_number
from simprune.measures.core import SHAPE, SUBSPACE, UNIT_SCALE, Measure, Option, Pair, Score, noted, rank_notes

VARIANCE_KEPT = 0.99
# Correlations this near to 1 are 1.
TIED = 1e-9


def _reading(pair: Pair, x_directions: int, y_directions: int) -> tuple[str, str]:
    """Status and note: where numbers of directions alone force correlations to be 1."""
    room = pair.rows - 1
    forced = x_directions + y_directions - room
    if forced > 0 and pair.wide:
        return "degenerate", noted("p >= n", *rank_notes(pair))
    if max(x_directions, y_directions) >= room:
        return "degenerate", noted("rank = n - 1", *rank_notes(pair))
    count = min(x_directions, y_directions)
    note = f"{forced} of {count} correlations are 1 by dimension alone" if forced > 0 else ""
    return "ok", noted(note, *rank_notes(pair))


def full_reading(pair: Pair) -> tuple[str, str]:
    return _reading(pair, pair.x.rank, pair.y.rank)


def _saturated(pair: Pair) -> bool:
    """Whether one side spans everything, so that all min(r_x, r_y) correlations are exactly 1."""
    return pair.x.saturated or pair.y.saturated


def mean_cca(pair: Pair) -> Score:
    """Sum of the canonical correlations / min(r_x, r_y)."""
    value = 1.0 if _saturated(pair) else float(pair.canonical[0].mean())
    return Score(value, *full_reading(pair))


def mean_squared_cca(pair: Pair) -> Score:
    """Sum of the squared canonical correlations / min(r_x, r_y)."""
    value = 1.0 if _saturated(pair) else float(pair.squared.sum()) / min(pair.squared.shape)
    return Score(value, *full_reading(pair))


def svcca(pair: Pair, share: float = VARIANCE_KEPT) -> Score:
    """Mean canonical correlation of the fewest principal components that keep a `share` of the variance of each.

    Of the variance, the squared singular values (Raghu et al. 2017), and the mean over the smaller of both numbers.
    """
    kept = [_components(side.variances, share) for side in (pair.x, pair.y)]
    values = torch.linalg.svdvals(pair.overlap[: kept[0], : kept[1]])
    return Score(float(values.mean()), *_reading(pair, *kept))


def _components(variances: torch.Tensor, share: float) -> int:
    shares = variances.cumsum(0) / variances.sum()
    return min(int((shares < share).sum()) + 1, len(variances))


def pwcca(pair: Pair) -> Score:
    """Canonical correlations weighted by how much their variates project on the columns of X.

    The variates are h_i = U_x A_i with A the left singular vectors of M, the weights the sums over columns of
    |<h_i, x_j>|: they need X itself where it has more columns than rows. Variates of correlations that are all 1
    are unique but for a rotation, which these weights would see: they are taken along the principal axes of X.
    """
    if _saturated(pair):
        return Score(1.0, *full_reading(pair))
    correlations, vectors = pair.canonical
    tied = int((correlations > 1 - TIED).sum())
    if tied > 1:
        scores = vectors[:, :tied].T * pair.x.singular_values
        vectors = torch.cat([vectors[:, :tied] @ torch.linalg.eigh(scores @ scores.T)[1], vectors[:, tied:]], 1)
    if pair.x.loadings is not None:
        weights = (vectors.T @ pair.x.loadings).abs().sum(1)
    else:
        variates = pair.x.left @ vectors
        weights = sum((variates.T @ block).abs().sum(1) for block in pair.x.centred_columns())
    return Score(float(weights @ correlations / weights.sum()), *full_reading(pair))


def eigenspace_overlap(pair: Pair) -> Score:
    """Squared Frobenius norm of U_x' U_y / max(r_x, r_y): the share of the larger space in the other.

    Of centred representations, and over the greater rank; May et al. (2019), who compare embeddings of words, neither
    centre nor count ranks, but columns.
    """
    ranks = pair.x.rank, pair.y.rank
    shared = min(ranks) if _saturated(pair) else float(pair.squared.sum())
    return Score(shared / max(ranks), *full_reading(pair))


MEASURES = (
    Measure(
        id="mean_cca",
        title="Mean CCA",
        family="cca",
        invariances=SUBSPACE,
        reference="Hotelling 1936; Raghu et al. 2017",
        score=mean_cca,
        from_sums=True,
    ),
    Measure(
        id="mean_squared_cca",
        title="Mean squared CCA",
        family="cca",
        invariances=SUBSPACE,
        reference="Kornblith et al. 2019",
        score=mean_squared_cca,
        from_sums=True,
    ),
    Measure(
        id="svcca",
        title="SVCCA",
        family="cca",
        invariances=SHAPE,
        reference="Raghu et al. 2017",
        score=svcca,
        from_sums=True,
        options={"share": Option(VARIANCE_KEPT, lambda field, value: check_number(field, value, "(0, 1]"))},
    ),
    Measure(
        id="pwcca",
        title="PWCCA",
        family="cca",
        symmetric=False,
        invariances=UNIT_SCALE | {"permutation"},
        reference="Morcos et al. 2018",
        score=pwcca,
        from_sums=True,
        needs_activations=lambda side: side.loadings is None and not side.saturated,
    ),
    Measure(
        id="eigenspace_overlap",
        title="Eigenspace overlap",
        family="cca",
        invariances=SUBSPACE,
        reference="May et al. 2019",
        score=eigenspace_overlap,
        from_sums=True,
    ),
)
