"""Units one by one: does each unit have a partner that responds to the same inputs.

Units are the channels of a conv activation, correlated over inputs and positions (in the `pooled` view: over
inputs, on the spatial means), and the columns of a 2-D one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simprune.measures.core import UNIT_SCALE, Measure, Pair, Score, noted, undefined
from simprune.representations import Representation, position_blocks, positions

# The assignment takes time with the cube of the units, and the correlations memory with their square.
MATCHED_UNITS = 4096
# Variables of a linear program: about a minute.
TRANSPORTED = 2**19


@dataclass(frozen=True)
class Units:
    """Means and centred lengths of the units / scale; the length of a constant unit is 0, exactly."""

    means: Tensor
    lengths: Tensor

    def shuffled(self, order: Tensor) -> "Units":
        return self

    @property
    def constant(self) -> int:
        return int((self.lengths == 0).sum())


def units(representation: Representation) -> Units:
    """Mean and centred length of each unit, over inputs and, in a conv activation, positions."""
    activations, scale = representation.activations, representation.scale
    over = tuple(axis for axis in range(activations.ndim) if axis != 1)
    low, high = activations.amin(over).double(), activations.amax(over).double()
    count = len(activations) * positions(activations)
    means = low / scale
    for _ in range(2):  # the second time for the digits that a large mean costs
        total = squares = 0.0
        for block in position_blocks(activations):
            block = block.div(scale).sub_(means)
            total = total + block.sum(0)
            squares = squares + torch.linalg.vector_norm(block, dim=0) ** 2
        squares = squares - total**2 / count
        means = torch.where(low == high, means, means + total / count)
    return Units(means, torch.where(low == high, 0.0, squares.clamp(min=0).sqrt()))


def unit_correlation(pair: Pair) -> Score:
    """Mean correlation of unit i of X with unit i of Y; a constant unit correlates 0, and the note counts them."""
    if problem := _mismatch(pair):
        return undefined(problem)
    count, others = (side.activations.shape[1] for side in (pair.x, pair.y))
    if count != others:
        return undefined(f"{count} units against {others}")
    if pair.sums is None:
        products = sum(torch.linalg.vecdot(x, y, dim=0) for x, y in _centred(pair))
    else:
        products = pair.sums.products.diagonal()
    x_inverse, y_inverse = _inverse_lengths(pair)
    return Score(float((products * x_inverse * y_inverse).mean()), note=_note(pair))


def permutation_matching(pair: Pair) -> Score:
    """Mean correlation of units after the one-to-one matching that makes it largest, of min(p, q) pairs.

    Constant units correlate 0; the note counts them.
    """
    from scipy.optimize import linear_sum_assignment

    if problem := _mismatch(pair) or _too_many(pair):
        return undefined(problem)
    correlations = _correlations(pair)
    chosen = linear_sum_assignment(correlations, maximize=True)
    return Score(float(correlations[chosen].mean()), note=_note(pair))


def soft_matching(pair: Pair) -> Score:
    """Sum of T_ij times the correlation of units i and j, for the T >= 0 that makes it largest.

    The rows of T sum to 1/p, its columns to 1/q: every unit counts, also where there are fewer partners; with p = q
    this is `permutation_matching`. Constant units correlate 0; the note counts them.
    """
    from scipy.optimize import linear_sum_assignment, linprog
    from scipy.sparse import eye, kron, vstack

    if problem := _mismatch(pair) or _too_many(pair):
        return undefined(problem)
    correlations = _correlations(pair)
    fewer, more = sorted(correlations.shape)
    if more % fewer == 0:  # each of the fewer takes part as often as makes the numbers equal
        repeats = [more // count for count in correlations.shape]
        chosen = linear_sum_assignment(correlations.repeat(repeats[0], 0).repeat(repeats[1], 1), maximize=True)
        value = correlations[chosen[0] // repeats[0], chosen[1] // repeats[1]].mean()
    elif correlations.size > TRANSPORTED:
        return undefined(f"{fewer} against {more} units are too many for a soft matching")
    else:
        x, y = correlations.shape
        sums = vstack([kron(eye(x), np.ones((1, y))), kron(np.ones((1, x)), eye(y))], format="csr")
        weights = np.repeat([1 / x, 1 / y], [x, y])
        # Without the presolving, which takes longer than the solving.
        found = linprog(-correlations.ravel(), A_eq=sums, b_eq=weights, method="highs-ds", options={"presolve": False})
        if not found.success:
            return undefined("the linear program was not solved")
        value = -found.fun
    return Score(float(value), note=_note(pair))


def _too_many(pair: Pair) -> str:
    units = max(pair.x.activations.shape[1], pair.y.activations.shape[1])
    return f"more than {MATCHED_UNITS} units to match" if units > MATCHED_UNITS else ""


def _correlations(pair: Pair) -> np.ndarray:
    """Of each unit of X with each of Y, p x q; the products are made on the device of the activations."""
    products = sum(x.T @ y for x, y in _centred(pair)) if pair.sums is None else pair.sums.products
    x_inverse, y_inverse = _inverse_lengths(pair)
    return (products * x_inverse[:, None] * y_inverse).cpu().numpy()


def _mismatch(pair: Pair) -> str:
    """Why units of the two can't be correlated; empty where they can."""
    x, y = (tuple(side.activations.shape[2:]) for side in (pair.x, pair.y))
    if positions(pair.x.activations) != positions(pair.y.activations):
        return f"maps of {x} against {y} positions"
    return ""


def _centred(pair: Pair) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of the same rows of X and Y / scale, their units centred."""
    x, y = pair.x.activations, pair.y.activations
    for x_block, y_block in zip(position_blocks(x, beside=y), position_blocks(y, beside=x), strict=True):
        yield tuple(
            block.div(side.scale).sub_(side.feature(units).means)
            for block, side in ((x_block, pair.x), (y_block, pair.y))
        )


def _inverse_lengths(pair: Pair) -> Iterator[Tensor]:
    """1 / length of each unit of X, and of Y; 0 for a constant one, so that it correlates 0."""
    for side in (pair.x, pair.y):
        lengths = side.feature(units).lengths
        yield torch.where(lengths == 0, 0.0, 1 / torch.where(lengths == 0, 1.0, lengths))


def _note(pair: Pair) -> str:
    sides = (("X", pair.x), ("Y", pair.y))
    counts = ((name, side.feature(units).constant, side.activations.shape[1]) for name, side in sides)
    return noted(*(f"{dead} of {count} units constant in {name}" for name, dead, count in counts if dead))


# What every measure of this file takes.
BY_UNITS = {
    "family": "matching",
    "range": (-1.0, 1.0),
    "from_sums": True,
    "decomposes": False,
    "needs_activations": lambda representation: True,
}

MEASURES = (
    Measure(
        id="permutation_matching",
        title="Permutation matching",
        invariances=UNIT_SCALE | {"permutation"},
        reference="Li et al. 2016",
        score=permutation_matching,
        **BY_UNITS,
    ),
    Measure(
        id="soft_matching",
        title="Soft matching",
        invariances=UNIT_SCALE | {"permutation"},
        reference="Khosla & Williams 2024",
        score=soft_matching,
        **BY_UNITS,
    ),
    Measure(
        id="unit_correlation",
        title="Unit correlation",
        invariances=UNIT_SCALE,
        reference="Li et al. 2016",
        score=unit_correlation,
        **BY_UNITS,
    ),
)
