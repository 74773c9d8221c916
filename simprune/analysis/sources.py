"""Where the spread of scores comes from: the view, finite samples, or the measures themselves."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy

from simprune.analysis.agreement import FEWEST_SEEDS, interval_over_seeds
from simprune.analysis.scores import (
    CELL,
    COPIES,
    PAPER_MEASURES,
    as_similarity,
    dense_scores,
    diagnostic,
    is_ok,
    procedures,
    ranked,
)
from simprune.analysis.summaries import profile_means

if TYPE_CHECKING:
    from simprune.results import Results

# Factors of the decomposition; the correction stands for finite samples.
SOURCES = ("view", "correction", "measure")
GENUINE = "measure"
# The views whose variables are channels: so few that each of the paper's measures has a score.
COMMON_VIEWS = ("channels", "pooled")
SAME = 1e-6  # scores that differ by less are one
RESIDUAL = "residual"
INTERACTIONS = "interactions"  # of all pairs of factors, taken together
TIMES = " × "
# Measures as points of the spectral family: α and p. The first is mean CCA times √(min r / max r), r the ranks.
SPECTRAL_POINTS = {"mean_cca": (0.0, 1.0), "nbs": (1.0, 1.0), "linear_cka": (1.0, 2.0)}
# From blind to nothing to blind to every invertible linear map.
LADDER = ("unit_correlation", "permutation_matching", "nbs", "mean_cca")
# Sums of squares of scores below this are rounding.
NOTHING = 1e-12


def variance_shares(scores: pd.DataFrame, factors: Sequence[str], cell: Sequence[str]) -> pd.DataFrame:
    """Split the spread of the values of scores within each cell over factors: an analysis of variance per cell.

    `scores` has one row for each cell and each combination of levels of the factors that was made. The model holds
    the factors and their interactions in pairs; sums of squares are of type II: a term's is what it explains beyond
    all other terms that do not contain it. What is left, interactions of three or more factors and, where there are
    repetitions, noise, is the residual. In a fully crossed design the sums add up to the total exactly; where
    combinations do not exist (nobody computes the null of a faulty score) they may differ, and shares are of
    the sum of what the terms and the residual hold. No share assumes normal errors or equal variances: no test is made.

    A level of the last factor counts in a cell only if all its combinations have a value there, so that every cell
    stays balanced; `compared` counts the levels that do. Columns: those of `cell`, source (a factor, "a × b" or
    "residual"), sum_of_squares, share (NaN where a cell has no spread), compared. A factor that does not vary has a
    sum of squares of 0. (Fisher 1925; Searle 1971)
    """
    factors, cell = list(factors), list(cell)
    terms = [(name,) for name in factors] + list(combinations(factors, 2))
    names = [*(TIMES.join(term) for term in terms), RESIDUAL]
    parts = []
    for combos, values, where in _balanced(scores, factors, cell):
        sums = _type_two(combos, values, terms)
        parts += [where.assign(source=name, sum_of_squares=squares) for name, squares in zip(names, sums, strict=True)]
    table = pd.concat(parts, ignore_index=True).sort_values(cell, kind="stable", ignore_index=True)
    total = table.groupby(cell)["sum_of_squares"].transform("sum")
    table["share"] = (table["sum_of_squares"] / total).where(total > NOTHING)
    return table[[*cell, "source", "sum_of_squares", "share", "compared"]]


def _balanced(
    scores: pd.DataFrame, factors: list[str], cell: list[str]
) -> Iterator[tuple[pd.DataFrame, np.ndarray, pd.DataFrame]]:
    """Yield the combinations of levels, their values (combinations × cells), and the cells, for cells that have the
    same levels of the last factor with all their values."""
    table = scores.pivot(index=factors, columns=cell, values="value")
    combos, values = table.index.to_frame(index=False), table.to_numpy(float)
    levels = combos[factors[-1]].to_numpy()
    order = list(dict.fromkeys(levels))
    present = np.array([np.isfinite(values[levels == level]).all(axis=0) for level in order])
    patterns, which = np.unique(present.T, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        columns = np.flatnonzero(which.ravel() == number)
        rows = np.isin(levels, [level for level, kept in zip(order, pattern, strict=True) if kept])
        where = table.columns[columns].to_frame(index=False).assign(compared=int(pattern.sum()))
        yield combos[rows].reset_index(drop=True), values[np.ix_(rows, columns)], where


def _type_two(combos: pd.DataFrame, values: np.ndarray, terms: list[tuple[str, ...]]) -> np.ndarray:
    """Type II sums of squares of each term, and of the residual, for each column of values."""
    if len(combos) == 0:
        return np.zeros((len(terms) + 1, values.shape[1]))
    codes = {term: pd.get_dummies(combos.groupby(list(term)).ngroup()).to_numpy(float) for term in terms}
    left = {}

    def unexplained(model: Iterable[tuple[str, ...]]) -> np.ndarray:
        model = tuple(model)
        if model not in left:
            basis = scipy.linalg.orth(np.hstack([np.ones((len(combos), 1)), *(codes[term] for term in model)]))
            left[model] = ((values - basis @ (basis.T @ values)) ** 2).sum(axis=0)
        return left[model]

    sums = []
    for term in terms:
        others = [other for other in terms if not set(term) <= set(other)]
        sums.append(unexplained(others) - unexplained([*others, term]))
    return np.clip([*sums, unexplained(terms)], 0, None)


def overall_shares(shares: pd.DataFrame, by: Sequence[str] = ()) -> pd.Series:
    """Shares of the spread over all cells, or by some of their columns: a cell counts by the spread that it has.

    Indexed by the columns of `by`, and the source.
    """
    by = list(by)
    sums = shares.groupby([*by, "source"], sort=False)["sum_of_squares"].sum()
    total = sums.groupby(by).transform("sum") if by else sums.sum()
    return (sums / total).rename("share")


def seed_intervals(shares: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """A 95 % bootstrap interval over seeds of each share that `overall_shares` gives, interactions as one source.

    Columns: those of `by`, source (a factor, `INTERACTIONS` or `RESIDUAL`), share, low, high. low and high are NaN with
    fewer than `FEWEST_SEEDS` seeds.
    """
    by = list(by)
    source = shares["source"].where(~shares["source"].str.contains(TIMES, regex=False), INTERACTIONS)
    sums = shares.assign(source=source).groupby(["seed", *by, "source"], sort=False)["sum_of_squares"].sum()
    sums = sums.unstack("seed", fill_value=0.0)
    group = sums.groupby(by) if by else sums.groupby(lambda _: 0)
    parts, totals = sums.to_numpy(), group.transform("sum").to_numpy()

    def ratio(picked: np.ndarray, axis: int, row: int) -> np.ndarray:
        chosen = picked.astype(int)
        return parts[row][chosen].sum(axis) / totals[row][chosen].sum(axis)

    table = pd.DataFrame({"share": parts.sum(1) / totals.sum(1), "low": np.nan, "high": np.nan}, index=sums.index)
    if parts.shape[1] >= FEWEST_SEEDS:
        for row in range(len(table)):
            table.iloc[row, 1:] = interval_over_seeds(partial(ratio, row=row), parts.shape[1])
    return table.reset_index()


# The sources ----------------------------------------------------------------------------------------------------


def source_shares(results: "Results", views: Sequence[str] | None = COMMON_VIEWS) -> pd.DataFrame:
    """Split the spread of the scores of `PAPER_MEASURES` against the dense network over view, correction and measure.

    `variance_shares` of every layer, level and seed, with two columns more: `what`, "values", or "ranks": then each
    procedure's scores are first replaced by their ranks among its layers and levels, so that only disagreement about
    order counts; and `positions`, whether the layer has any, so that there is a view to choose. `views`: those that
    are compared (None: all; all as well where a study lacks one of them). What was not computed (a second view, the
    nulls of the correction) is no factor.
    """
    scores = procedures(results)
    scores = scores[scores["measure"].isin(PAPER_MEASURES) & (scores["correction"] != "debiased")]
    if views is not None and set(views) <= set(scores["view"]):
        scores = scores[scores["view"].isin(views)]
    keys = ["seed", "level", "layer_index"]
    if "chance" in set(scores["correction"]):
        scores = scores.merge(scores.loc[scores["correction"] == "chance", keys].drop_duplicates(), on=keys)
    factors = [name for name in ("view", "correction") if scores[name].nunique() > 1] + [GENUINE]
    parts = {"values": scores, "ranks": ranked(scores, list(SOURCES))}
    shares = pd.concat([variance_shares(part, factors, CELL).assign(what=what) for what, part in parts.items()])
    return shares.assign(positions=shares["layer"].isin(layers_with_positions(results))).reset_index(drop=True)


def layers_with_positions(results: "Results") -> list[str]:
    """The layers in which a score depends on the view: not by the chance of a few shuffles, but as it is."""
    scores = dense_scores(results.similarity)
    scores = scores[scores["measure"].isin(PAPER_MEASURES)]
    spread = scores.groupby(["layer", "seed", "level", "measure"])["value"].agg(np.ptp)
    return list(spread[spread > SAME].index.unique("layer"))


# The genuine part -----------------------------------------------------------------------------------------------


def spectral_shares(results: "Results") -> pd.DataFrame | None:
    """`variance_shares` of the spectral family over α and p, per seed, layer and level; None where not computed.

    With two factors and no repetition the residual is everything beyond their main effects.
    """
    table = diagnostic(results, "spectral")
    if table is None:
        return None
    table = table[(table["reference"] == "dense") & (table["level"] > 0)]
    scores = table.groupby([*CELL, "alpha", "p"], as_index=False)["value"].mean()
    return variance_shares(scores, ["alpha", "p"], CELL)


def ladder(results: "Results", level: int, view: str = "flatten") -> pd.DataFrame:
    """Scores along the invariance ladder at one level: layer × measure of `LADDER`, as of `profile_means`.

    A step up from one measure to the next is what a wider group of maps explains: permutations, rotations,
    invertible linear maps.
    """
    return profile_means(results, level, view=view).reindex(columns=list(LADDER))


# Finite samples -------------------------------------------------------------------------------------------------


def by_inputs(results: "Results", views: Sequence[str] = ("flatten",)) -> pd.DataFrame | None:
    """How scores depend on the number of probe inputs: view, measure, layer_index, inputs, mean, low, high, ok.

    Against the dense network, as similarities, at the sparsest level that was drawn for; mean, least and greatest are
    over draws and seeds, and `ok` says whether all of these are. The last number of inputs is that of the study itself.
    None where nothing was drawn.
    """
    samples = diagnostic(results, "samples")
    if samples is None:
        return None
    columns = ["view", "level", "layer_index", "measure", "inputs", "value", "status"]
    chosen = samples[(samples["reference"] == "dense") & samples["view"].isin(views)]
    whole = results.similarity.assign(inputs=results.experiment.probe_size)
    whole = whole[(whole["reference"] == "dense") & whole["view"].isin(views) & (whole["layer_index"] >= 0)]
    whole = whole[whole["measure"].isin(chosen["measure"].unique()) & whole["seed"].isin(chosen["seed"].unique())]
    table = pd.concat([chosen[columns], whole[columns]], ignore_index=True)
    table = table[(table["level"] == chosen["level"].max()) & ~table["measure"].isin(COPIES)]
    table = table.assign(value=as_similarity(table["measure"], table["value"]), ok=is_ok(table["status"]))
    groups = table.groupby(["view", "measure", "layer_index", "inputs"], sort=False)
    return groups.agg(
        mean=("value", "mean"), low=("value", "min"), high=("value", "max"), ok=("ok", "all")
    ).reset_index()


def convergence(results: "Results") -> pd.DataFrame | None:
    """Flattened scores by the number of probe inputs: measure, inputs, mean, low, high; None where nothing was drawn.

    Means over the layers in which a measure is ok with every number of inputs (`by_inputs`): those that drop out with
    few inputs would bend the curve.
    """
    table = by_inputs(results)
    if table is None:
        return None
    sound = table["ok"].groupby([table["measure"], table["layer_index"]]).transform("all")
    return table[sound].groupby(["measure", "inputs"])[["mean", "low", "high"]].mean().reset_index()


def spectral_maps(results: "Results") -> pd.DataFrame | None:
    """The maps against the dense network: `value`, mean over seeds, by level, layer_index, alpha and p; None if none.

    Level 0, where every map is 1, is left out.
    """
    table = diagnostic(results, "spectral")
    if table is None:
        return None
    table = table[(table["reference"] == "dense") & (table["level"] > 0)]
    return table.groupby(["level", "layer_index", "alpha", "p"])["value"].mean().to_frame()


def spectral_marks(results: "Results") -> pd.DataFrame:
    """The maps at `SPECTRAL_POINTS`: a column for each measure, by level and layer_index, and `gap`, their range.

    Left out are maps in which mean CCA is not ok with every seed: its point is then forced by dimension. Empty where
    there are no maps.
    """
    table = spectral_maps(results)
    if table is None:
        return pd.DataFrame(columns=[*SPECTRAL_POINTS, "gap"])
    values = table["value"].unstack(["alpha", "p"])
    marks = pd.DataFrame({measure: values[point] for measure, point in SPECTRAL_POINTS.items()}).dropna()
    marks = marks[cca_is_ok(results).reindex(marks.index, fill_value=False)]
    return marks.assign(gap=marks.max(axis=1) - marks.min(axis=1))


def cca_is_ok(results: "Results") -> pd.Series:
    """Whether mean CCA (flatten) is ok with every seed, by level and layer_index."""
    scores = results.similarity
    chosen = scores[(scores["reference"] == "dense") & (scores["view"] == "flatten")]
    chosen = chosen[chosen["measure"] == "mean_cca"]
    return is_ok(chosen["status"]).groupby([chosen["level"], chosen["layer_index"]]).all()
