"""Linear prediction: how much of one representation a linear map of the other gives."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from simprune.errors import InputError, check_number, check_whole, shown
from simprune.measures.core import SHAPE, Measure, Option, Pair, Score, noted, rank_notes
from simprune.representations import EPS

# Directions with less than a hundredth of the variance count for little.
GULP_REGULARISATION = 1e-2
FOLDS = 5
# Of ridge regression, in shares of the total variance of the predictor.
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


def linear_regression_r2(pair: Pair) -> Score:
    """|U_y' Xc|^2 / |Xc|^2: in-sample share of the variance of X (reference) that is linear in Y."""
    if pair.y.saturated:
        reason = "p >= n" if pair.y.columns >= pair.rows else "rank = n - 1"
        return Score(1.0, "degenerate", noted(reason, *rank_notes(pair)))
    explained = pair.x.variances @ pair.squared.sum(1)
    return Score(float(explained / pair.x.variances.sum()), note=noted(*rank_notes(pair)))


def ridge_r2(pair: Pair, folds: int = FOLDS, penalties: tuple[float, ...] = PENALTIES) -> Score:
    """Share of the variance of X (reference) that ridge regressions on Y predict for inputs that they were not fit to.

    Inputs are dealt to the folds at random, in every call alike; all positions of an input are in its fold. Each fold
    is predicted from the others, both centred on the means of those: R² = 1 - squared errors / squared distances from
    the means, each summed over folds and columns of X. The penalty, in shares of the total variance of Y, is that of
    `penalties` with the greatest R², one for all folds and columns. Below 0 where the means predict better.
    """
    inputs = len(pair.x.activations)
    count = min(folds, inputs)
    held_out = _fold_moments(pair, (dealt(inputs) % count).repeat_interleave(pair.rows // inputs), count)
    size, x_sum, y_sum, _, cross, own = (sum(parts) for parts in zip(*held_out, strict=True))
    errors, distances = [0.0] * len(penalties), 0.0
    for held, held_x, held_y, square, held_cross, held_own in held_out:
        train = size - held
        x_mean, y_mean = (x_sum - held_x) / train, (y_sum - held_y) / train
        values, axes = torch.linalg.eigh(own - held_own - train * torch.outer(y_mean, y_mean))
        fit = axes.T @ (cross - held_cross - train * torch.outer(y_mean, x_mean))
        # Held-out moments of values less the means of the others.
        held_cross = held_cross - torch.outer(held_y, x_mean) - torch.outer(y_mean, held_x - held * x_mean)
        held_own = held_own - torch.outer(held_y, y_mean) - torch.outer(y_mean, held_y - held * y_mean)
        distance = float(square - 2 * held_x @ x_mean + held * x_mean @ x_mean)
        hits = ((axes.T @ held_cross) * fit).sum(1)
        squares = (axes.T @ held_own @ axes) * (fit @ fit.T)
        for place, penalty in enumerate(penalties):
            weights = 1 / (values.clamp(min=0) + penalty * values.sum())
            errors[place] += distance + float(weights @ squares @ weights - 2 * weights @ hits)
        distances += distance
    return Score(1 - min(errors) / distances, note=f"{count} folds" if count < folds else "")


def dealt(inputs: int) -> Tensor:
    """The order in which inputs are dealt to folds: in every call alike."""
    return torch.randperm(inputs, generator=torch.Generator().manual_seed(0))


def _fold_moments(pair: Pair, fold: Tensor, count: int) -> list[list]:
    """For each fold the number of its rows, their sums of X and of Y, |X|^2, Y'X and Y'Y."""
    moments = [[0] * 6 for _ in range(count)]
    start = 0
    for x_block, y_block in _row_blocks(pair):
        part = fold[start : start + len(x_block)].to(x_block.device)
        start += len(part)
        for number in range(count):
            x, y = x_block[part == number], y_block[part == number]
            added = len(x), x.sum(0), y.sum(0), (x**2).sum(), y.T @ x, y.T @ y
            moments[number] = [before + more for before, more in zip(moments[number], added, strict=True)]
    return moments


def _row_blocks(pair: Pair) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of rows of both, in axes of their own."""
    x, y = pair.x, pair.y
    if x.streamed and y.streamed:
        yield from zip(x.centred_rows(y.activations), y.centred_rows(x.activations), strict=True)
    else:
        yield x.factor, y.factor


def gulp(pair: Pair, regularisation: float = GULP_REGULARISATION) -> Score:
    """The root of |f_x|^2 + |f_y|^2 - 2 f_x' W f_y, f = variance / (variance + regularisation), total variance 1.

    The root mean square over inputs of the greatest gap between the predictions of two ridge regressions there, over
    all targets of variance 1. Equal representations differ by the rounding of sums over rows, which counts as 0.
    """
    x, y = (_shrinkage(side.variances, regularisation) for side in (pair.x, pair.y))
    own = float(x @ x + y @ y)
    square = own - 2 * float(x @ pair.squared @ y)
    return Score(math.sqrt(square) if square > EPS * pair.rows * own else 0.0)


def _shrinkage(variances: Tensor, regularisation: float) -> Tensor:
    shares = variances / variances.sum()
    return shares / (shares + regularisation)


def _penalties(field: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"{field}: {shown(value)} is not a list of numbers")
    return tuple(check_number(field, penalty, "(0, inf)") for penalty in value)


MEASURES = (
    Measure(
        id="linear_regression_r2",
        title="Linear regression R²",
        family="regression",
        symmetric=False,
        invariances=SHAPE,
        reference="Kornblith et al. 2019",
        score=linear_regression_r2,
        from_sums=True,
    ),
    Measure(
        id="ridge_r2",
        title="Ridge regression R²",
        family="regression",
        symmetric=False,
        range=(-math.inf, 1.0),
        invariances=SHAPE,
        reference="Hoerl & Kennard 1970",
        score=ridge_r2,
        options={
            "folds": Option(FOLDS, lambda field, value: check_whole(field, value, 2)),
            "penalties": Option(PENALTIES, _penalties),
        },
    ),
    Measure(
        id="gulp",
        title="GULP",
        family="regression",
        kind="distance",
        range=(0.0, math.inf),
        invariances=SHAPE,
        reference="Boix-Adserà et al. 2022",
        score=gulp,
        from_sums=True,
        options={
            "regularisation": Option(GULP_REGULARISATION, lambda field, value: check_number(field, value, "[0, inf)"))
        },
    ),
)
