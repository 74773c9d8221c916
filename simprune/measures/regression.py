"""Linear prediction: how much of one representation a linear map of the other gives."""

import math

from torch import Tensor

from simprune.errors import InputError
from simprune.measures.core import SHAPE, Measure, Pair, Score, noted, rank_notes
from simprune.representations import EPS

# Directions with less than a hundredth of the variance count for little.
GULP_REGULARISATION = 1e-2


def linear_regression_r2(pair: Pair) -> Score:
    """|U_y' Xc|^2 / |Xc|^2: in-sample share of the variance of X (reference) that is linear in Y."""
    if pair.y.saturated:
        reason = "p >= n" if pair.y.columns >= pair.rows else "rank = n - 1"
        return Score(1.0, "degenerate", noted(reason, *rank_notes(pair)))
    explained = pair.x.variances @ pair.squared.sum(1)
    return Score(float(explained / pair.x.variances.sum()), note=noted(*rank_notes(pair)))


def gulp(pair: Pair) -> Score:
    """GULP with the regularisation GULP_REGULARISATION; see `gulp_value`."""
    return Score(gulp_value(pair, GULP_REGULARISATION))


def gulp_value(pair: Pair, regularisation: float) -> float:
    """The root of |f_x|^2 + |f_y|^2 - 2 f_x' W f_y, f = variance / (variance + regularisation), total variance 1.

    The worst gap between the predictions that ridge regressions on X and on Y make for any task. Equal
    representations differ by the rounding of sums over rows, which counts as 0.
    """
    if not (math.isfinite(regularisation) and regularisation >= 0):
        raise InputError(f"regularisation: {regularisation!r} is not a finite number of at least 0")
    x, y = (_shrinkage(side.variances, regularisation) for side in (pair.x, pair.y))
    own = float(x @ x + y @ y)
    square = own - 2 * float(x @ pair.squared @ y)
    return math.sqrt(square) if square > EPS * pair.rows * own else 0.0


def _shrinkage(variances: Tensor, regularisation: float) -> Tensor:
    shares = variances / variances.sum()
    return shares / (shares + regularisation)


MEASURES = (
    Measure(
        id="linear_regression_r2",
        title="Linear regression R²",
        family="regression",
        kind="similarity",
        symmetric=False,
        range=(0.0, 1.0),
        invariances=SHAPE,
        reference="Kornblith et al. 2019",
        score=linear_regression_r2,
    ),
    Measure(
        id="gulp",
        title="GULP",
        family="regression",
        kind="distance",
        symmetric=True,
        range=(0.0, math.inf),
        invariances=SHAPE,
        reference="Boix-Adserà et al. 2022",
        score=gulp,
    ),
)
