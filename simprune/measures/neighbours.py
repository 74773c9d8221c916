"""Neighbourhoods: are the inputs nearest to an input the same in both representations."""

from dataclasses import dataclass

import torch
from torch import Tensor

from simprune.errors import check_whole
from simprune.measures.core import Measure, Option, Pair, Score, noted
from simprune.measures.geometry import row_cosines, shuffled_triangle, upper, upper_position, zero_rows
from simprune.representations import Representation

# Neighbours of an input; all others where there are fewer.
NEIGHBOURS = 10
# Cosines this close are equal, and the earlier input is the nearer one: rounding must not choose.
TIE = 1e-13


@dataclass(frozen=True)
class Neighbourhood:
    """Cosines between uncentred rows (upper triangle of n x n), and the k nearest others of each row, n x k."""

    cosines: Tensor
    nearest: Tensor
    empty: Tensor  # bool: rows that are all 0 and have no direction; their cosines are 0

    def shuffled(self, order: Tensor) -> "Neighbourhood":
        place = order.argsort()
        return Neighbourhood(shuffled_triangle(self.cosines, order), place[self.nearest[order]], self.empty[order])

    def to(self, others: Tensor) -> Tensor:
        """Cosines of each row to the rows in its line of `others`, n x m; none is the row itself."""
        rows = len(others)
        own = torch.arange(rows, device=others.device)[:, None]
        return self.cosines[upper_position(own, others, rows)]


def neighbourhood(representation: Representation, neighbours: int) -> Neighbourhood:
    """The nearest rows of each row by their cosine, itself left out; of equally near ones the first."""
    cosine = row_cosines(representation)
    rows = len(cosine)
    later = torch.arange(rows, device=cosine.device)
    keys = (cosine / TIE).round_().long().mul_(rows).sub_(later)
    keys.fill_diagonal_(torch.iinfo(keys.dtype).min)
    nearest = keys.topk(min(neighbours, rows - 1), dim=1).indices
    return Neighbourhood(upper(cosine), nearest, zero_rows(representation))


def jaccard_knn(pair: Pair, neighbours: int = NEIGHBOURS) -> Score:
    """Mean over inputs of the Jaccard index of the two sets of nearest neighbours, by cosine."""
    x, y = pair.features(neighbourhood, neighbours)
    shared = _repeated(x.nearest, y.nearest).sum(1).double()
    size = x.nearest.shape[1]
    return Score(float((shared / (2 * size - shared)).mean()), note=_note(pair, x, y, neighbours))


def mutual_knn(pair: Pair, neighbours: int = NEIGHBOURS) -> Score:
    """Mean over inputs of the share of the nearest neighbours, by cosine, that both sets have in common."""
    x, y = pair.features(neighbourhood, neighbours)
    shared = _repeated(x.nearest, y.nearest).double().mean()
    return Score(float(shared), note=_note(pair, x, y, neighbours))


def second_order_cosine(pair: Pair, neighbours: int = NEIGHBOURS) -> Score:
    """Mean over inputs of the cosine between their similarities to the union of both neighbour sets.

    An input without any similarity, all 0, counts as cosine 0.
    """
    x, y = pair.features(neighbourhood, neighbours)
    union = torch.cat([x.nearest, y.nearest], 1)
    once = torch.ones_like(union, dtype=torch.float64)
    once[:, x.nearest.shape[1] :] = (~_repeated(x.nearest, y.nearest)).double()
    x_similar, y_similar = x.to(union) * once, y.to(union) * once
    lengths = x_similar.norm(dim=1) * y_similar.norm(dim=1)
    angles = (x_similar * y_similar).sum(1) / torch.where(lengths == 0, 1.0, lengths)
    return Score(float(angles.mean()), note=_note(pair, x, y, neighbours))


def _repeated(x: Tensor, y: Tensor) -> Tensor:
    """Which of the neighbours y are also among the neighbours x, n x k."""
    return (y[:, :, None] == x[:, None, :]).any(2)


def _note(pair: Pair, x: Neighbourhood, y: Neighbourhood, neighbours: int) -> str:
    rows, size = x.nearest.shape
    count = int((x.empty | y.empty).sum())
    return noted(
        f"{size} neighbours" if size < neighbours else "",
        f"{count} of {rows} inputs all 0" if count else "",
        pair.draw_note,
    )


# What every measure of this file takes.
BY_NEIGHBOURS = {
    "family": "neighbours",
    "invariances": frozenset({"permutation", "orthogonal", "isotropic_scaling"}),
    "options": {"neighbours": Option(NEIGHBOURS, lambda field, value: check_whole(field, value, 1))},
    "prepare": ((neighbourhood, "neighbours"),),
    "decomposes": False,
}

MEASURES = (
    Measure(
        id="jaccard_knn",
        title="Jaccard of neighbours",
        reference="Wang et al. 2022",
        score=jaccard_knn,
        **BY_NEIGHBOURS,
    ),
    Measure(
        id="mutual_knn",
        title="Mutual neighbours",
        reference="Huh et al. 2024",
        score=mutual_knn,
        **BY_NEIGHBOURS,
    ),
    Measure(
        id="second_order_cosine",
        title="Second-order cosine",
        range=(-1.0, 1.0),
        reference="Hamilton et al. 2016",
        score=second_order_cosine,
        **BY_NEIGHBOURS,
    ),
)
