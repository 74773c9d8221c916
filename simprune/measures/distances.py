"""Dissimilarities between inputs: are the same inputs far apart in both representations."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simprune.errors import check_choice
from simprune.measures.core import SHAPE, Measure, Option, Pair, Score, noted, undefined
from simprune.measures.geometry import (
    Symmetric,
    centred_twice,
    constant_rows,
    row_correlations,
    shuffled_triangle,
    squared_distances,
    upper,
)
from simprune.representations import Representation

# Dissimilarities this close are equal: without it, rounding would put ties in some order.
TIE_DECIMALS = 12
DISSIMILARITIES = ("correlation", "euclidean")
COMPARISONS = ("spearman", "kendall")


@dataclass(frozen=True)
class Dissimilarities:
    """Ranks of the dissimilarities between rows, less their mean, as the upper triangle of n x n."""

    ranks: Tensor
    constant: Tensor  # bool: rows without a correlation; their ranks mean nothing

    def shuffled(self, order: Tensor) -> "Dissimilarities":
        return Dissimilarities(shuffled_triangle(self.ranks, order), self.constant[order])

    def restricted(self, kept: Tensor) -> "Dissimilarities":
        """Those among the `kept` rows only, ranked afresh."""
        pairs = torch.cat([kept[index] & kept[index + 1 :] for index in range(len(kept))])
        return Dissimilarities(centred_ranks(self.ranks[pairs]), self.constant[kept])


def dissimilarities(representation: Representation, dissimilarity: str) -> Dissimilarities:
    """Ranks of 1 − the correlation of every two rows, or of their distance; ties share their rank.

    Constant rows have no correlation, but distances.
    """
    if dissimilarity == "correlation":
        values, constant = 1 - upper(row_correlations(representation)), constant_rows(representation)
    else:
        values = upper(squared_distances(representation)).sqrt_()
        values /= values.max().clamp(min=torch.finfo(values.dtype).tiny)
        constant = torch.zeros(representation.rows, dtype=torch.bool, device=values.device)
    return Dissimilarities(centred_ranks(values.round_(decimals=TIE_DECIMALS)), constant)


def centred_ranks(values: Tensor) -> Tensor:
    """Ranks of a vector less their mean; equal values share the mean of their ranks."""
    # NumPy sorts float64 several times faster than PyTorch does on a CPU.
    order = torch.from_numpy(np.argsort(values.numpy())) if values.device.type == "cpu" else values.argsort()
    ordered = values.take(order)
    first = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=first[1:])
    starts = first.nonzero().flatten()
    counts = starts.diff(append=starts.new_tensor([len(values)]))
    ranks = (starts + (counts - len(values)) / 2).to(values.dtype)
    return torch.empty_like(values).scatter_(0, order, ranks.repeat_interleave(counts))


def rsa(pair: Pair, dissimilarity: str = DISSIMILARITIES[0], comparison: str = COMPARISONS[0]) -> Score:
    """Correlation of the two upper triangles of dissimilarities between inputs.

    `dissimilarity` is "correlation", 1 - Pearson between patterns, or "euclidean", the distance, which a rotation of
    the units leaves as it is. `comparison` is "spearman" or "kendall": τ-a, which does not reward ties. An input with a
    constant pattern in either representation has no correlation with any other: it is left out of both, and the note
    counts how many were.
    """
    x, y = pair.features(dissimilarities, dissimilarity)
    kept = ~(x.constant | y.constant)
    left_out = len(kept) - int(kept.sum())
    if left_out:
        if len(kept) - left_out < 3:
            return undefined("fewer than 3 inputs have patterns that are not constant")
        x, y = x.restricted(kept), y.restricted(kept)
    norms = float(x.ranks.norm() * y.ranks.norm())
    if norms == 0:
        return undefined("all dissimilarities are equal")
    note = f"{left_out} of {len(kept)} inputs left out: constant pattern" if left_out else ""
    value = float(x.ranks @ y.ranks) / norms if comparison == "spearman" else _kendall_a(x.ranks, y.ranks)
    return Score(value, note=noted(note, pair.draw_note))


def _kendall_a(x: Tensor, y: Tensor) -> float:
    """Pairs in the same order less those in the other, over all pairs; ties are neither. From SciPy's τ-b."""
    from scipy.stats import kendalltau

    pairs = len(x) * (len(x) - 1) / 2
    counts = (ranks.unique(return_counts=True)[1] for ranks in (x, y))
    x_ordered, y_ordered = (pairs - float((count * (count - 1)).sum()) / 2 for count in counts)
    return float(kendalltau(x.cpu(), y.cpu()).statistic) * (x_ordered * y_ordered) ** 0.5 / pairs


def centred_distances(representation: Representation) -> Symmetric:
    """Euclidean distances between rows, double-centred."""
    return Symmetric.of(centred_twice(squared_distances(representation).sqrt_()))


def distance_correlation(pair: Pair) -> Score:
    """Szekely's distance correlation: the root (dCor), V-statistic."""
    x, y = pair.features(centred_distances)
    norms = x.norm * y.norm
    if norms == 0:
        return undefined("all distances between inputs are equal")
    return Score(max(0.0, x.inner(y) / norms) ** 0.5, note=pair.draw_note)


MEASURES = (
    Measure(
        id="rsa",
        title="RSA",
        family="distance",
        range=(-1.0, 1.0),
        invariances=frozenset({"permutation", "isotropic_scaling"}),
        reference="Kriegeskorte et al. 2008",
        score=rsa,
        options={
            "dissimilarity": Option(DISSIMILARITIES[0], lambda name, value: check_choice(name, value, DISSIMILARITIES)),
            "comparison": Option(COMPARISONS[0], lambda name, value: check_choice(name, value, COMPARISONS)),
        },
        prepare=((dissimilarities, "dissimilarity"),),
        decomposes=False,
    ),
    Measure(
        id="distance_correlation",
        title="Distance correlation",
        family="distance",
        invariances=SHAPE,
        reference="Székely et al. 2007",
        score=distance_correlation,
        prepare=((centred_distances,),),
        decomposes=False,
    ),
)
