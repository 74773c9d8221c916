"""Agreement of measures on the order of layers and levels."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy

from simprune.analysis.scores import COPIES, DEBIASED, as_similarity, calibration, diagnostic, is_ok
from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.results import Results

FEWEST_SEEDS = 3  # for an interval over seeds
RESAMPLES = 999  # of seeds, for an interval


def rank_agreement(similarity: pd.DataFrame) -> pd.DataFrame:
    """Kendall's τ-b between measures over the pairs (layer, level): a symmetric matrix in −1 … 1.

    `similarity` holds the scores of one reference and one view, in the columns of `Results.similarity`. Level 0 is left
    out (compared with the dense network it is the same for all), distances count with their sign turned, and τ is the
    mean over seeds of each seed's τ. A pair counts where the scores of both measures are ok: a score that the numbers
    of inputs and variables force has no rank. τ is NaN where a measure is constant or fewer than two pairs are left.
    The measures stand in the order of the table. (Kendall 1945)
    """
    measures = list(similarity["measure"].unique())
    return mean_matrix(_by_seed(_similarities(similarity), measures), measures)


def _similarities(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of pruned networks as similarities, those that are ok."""
    counting = scores[(scores["level"] > 0) & is_ok(scores["status"])]
    return counting.assign(value=as_similarity(counting["measure"], counting["value"]))


def _by_seed(similarities: pd.DataFrame, measures: list[str]) -> np.ndarray:
    """Each seed's matrix of τ: seeds × measures × measures."""
    seeds = np.array([_agreement(scores, measures) for _, scores in similarities.groupby("seed")])
    return seeds.reshape(-1, len(measures), len(measures))


def pairs_in(matrix: pd.DataFrame) -> pd.Series:
    """The entries above the diagonal of a symmetric matrix by their pair of labels, least first, NaN left out."""
    upper = np.triu(np.ones(matrix.shape, bool), 1)
    return matrix.where(upper).stack().dropna().sort_values()


def mean_matrix(matrices: np.ndarray, measures: Sequence[str]) -> pd.DataFrame:
    """The mean of those of some matrices (… × measures × measures) that have an entry, entry by entry."""
    counted = np.isfinite(matrices).sum(axis=0)
    mean = np.where(counted > 0, np.nansum(matrices, axis=0) / np.maximum(counted, 1), np.nan)
    return pd.DataFrame(mean, index=measures, columns=measures)


def _agreement(similarities: pd.DataFrame, measures: list[str]) -> np.ndarray:
    """τ between measures within one seed."""
    places = similarities.pivot(index=["layer_index", "level"], columns="measure", values="value")
    columns = places.reindex(columns=measures).to_numpy(float).T
    matrix = np.eye(len(measures))
    for (i, x), (j, y) in combinations(enumerate(columns), 2):
        both = np.isfinite(x) & np.isfinite(y)
        constant = both.sum() < 2 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0
        matrix[i, j] = matrix[j, i] = np.nan if constant else scipy.stats.kendalltau(x[both], y[both]).statistic
    return matrix


def clustered(agreement: pd.DataFrame) -> pd.DataFrame:
    """An agreement matrix with its measures reordered so that those that agree stand side by side.

    Average linkage on 1 − τ, leaves in the best order (Bar-Joseph et al. 2001); an unknown τ counts as 0.
    """
    if len(agreement) < 3:
        return agreement
    distance = 1 - agreement.fillna(0).to_numpy()
    np.fill_diagonal(distance, 0)
    condensed = scipy.spatial.distance.squareform(distance, checks=False)
    tree = scipy.cluster.hierarchy.linkage(condensed, "average", optimal_ordering=True)
    order = scipy.cluster.hierarchy.leaves_list(tree)
    return agreement.iloc[order, order]


def _compared(results: "Results", view: str, scale: str) -> pd.DataFrame:
    """What is compared: similarities of one view to the dense network, without copies and debiased estimators of other
    measures; as they are ("value"), or on the scale of siblings ("sibling"), see `calibration`."""
    if scale == "sibling":
        return calibration(results, view).assign(value=lambda table: table["calibrated"])
    table = results.similarity
    chosen = (table["reference"] == "dense") & (table["view"] == view) & ~table["measure"].isin([*COPIES, *DEBIASED])
    return _similarities(table[chosen])


def _pairs(matrix: np.ndarray) -> np.ndarray:
    return matrix[..., *np.triu_indices(matrix.shape[-1], 1)]


def study_agreement(
    studies: Mapping[str, "Results"], view: str = "flatten", scale: str = "value"
) -> dict[str, pd.DataFrame]:
    """Each study's agreement matrix, by its name, over the measures that all studies hold.

    `scale`: "value" takes scores as they are, "sibling" as `calibration` has them.
    """
    tables = {name: _compared(results, view, scale) for name, results in studies.items()}
    shared = set.intersection(*(set(table["measure"]) for table in tables.values())) if tables else set()
    order = [name for name in MEASURES if name in shared]
    return {name: mean_matrix(_by_seed(table, order), order) for name, table in tables.items()}


def mean_agreement(matrices: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The mean of the matrices that `study_agreement` gives: a study counts once, however many seeds it has."""
    order = list(next(iter(matrices.values())))
    return mean_matrix(np.array([matrix.to_numpy() for matrix in matrices.values()]), order)


def agreement_between_studies(matrices: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Spearman's ρ between the agreement matrices of studies, over pairs of measures: studies × studies.

    1 if measures that agree more than others in one study do so in the other. NaN with fewer than three pairs that
    have a τ in both.
    """
    names = list(matrices)
    table = pd.DataFrame({name: _pairs(matrix.to_numpy()) for name, matrix in matrices.items()})
    return table.corr(method="spearman", min_periods=3).loc[names, names]


def agreement_by_scale(results: "Results", view: str = "flatten") -> pd.DataFrame:
    """The median τ over pairs of measures: rows "value" (scores as they are) and "sibling" (by `calibration`).

    `low` and `high`, a 95 % bootstrap interval over seeds, are NaN with fewer than three seeds: nothing can then be
    said of the spread between seeds. `pairs` counts the pairs of measures that have a τ; `between_measures` is the
    share of the spread of values that lies between measures, whatever the layer and level (of the layers and levels in
    which all measures have a score); and `seeds_above` is how many seeds have a higher median τ on this scale than on
    the other.
    """
    table = calibration(results, view)
    scales = {
        "value": table.assign(value=table["value"].where(table["calibrated"].notna())),
        "sibling": table.assign(value=table["calibrated"]),
    }
    measures = list(table["measure"].unique())
    matrices = {scale: _by_seed(scores, measures) for scale, scores in scales.items()}
    rows = pd.DataFrame({scale: _median(by_seed) for scale, by_seed in matrices.items()}).T
    rows["between_measures"] = [_between_measures(scores) for scores in scales.values()]
    value, sibling = (np.nanmedian(_pairs(by_seed), axis=1) for by_seed in matrices.values())
    rows["seeds_above"] = [int((value > sibling).sum()), int((sibling > value).sum())]
    return rows.rename_axis("scale")


def _between_measures(scores: pd.DataFrame) -> float:
    """The main effect of the measure in the spread of values over layers, levels and measures, mean over seeds."""
    shares = []
    for _, table in scores.groupby("seed"):
        values = table.pivot(index=["layer_index", "level"], columns="measure", values="value").dropna().to_numpy()
        total = ((values - values.mean()) ** 2).sum() if values.size else 0
        if total > 0:
            shares.append(len(values) * ((values.mean(axis=0) - values.mean()) ** 2).sum() / total)
    return float(np.mean(shares)) if shares else np.nan


def _median(matrices: np.ndarray) -> pd.Series:
    by_seed = _pairs(matrices)
    known = np.isfinite(by_seed).all(axis=0) if len(by_seed) else np.zeros(0, bool)
    by_seed = by_seed[:, known]
    low = high = np.nan
    if len(by_seed) >= FEWEST_SEEDS and known.any():

        def statistic(picked: np.ndarray, axis: int) -> np.ndarray:
            return np.median(by_seed[picked.astype(int)].mean(axis=-2), axis=-1)

        low, high = interval_over_seeds(statistic, len(by_seed))
    median = np.median(by_seed.mean(axis=0)) if by_seed.size else np.nan
    return pd.Series({"median": median, "low": low, "high": high, "pairs": int(known.sum())})


def interval_over_seeds(statistic: Callable[..., np.ndarray], seeds: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a statistic of seeds, drawn with replacement: low, high.

    `statistic(picked, axis)` takes the numbers 0 … seeds − 1 of the seeds picked, along an axis that it does away with.
    """
    interval = scipy.stats.bootstrap(
        (np.arange(seeds),),
        statistic,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return interval.low, interval.high


def agreement_over_inputs(results: "Results", view: str = "flatten") -> pd.Series | None:
    """The median τ over pairs of measures within random draws of the probe inputs: `median`, `low`, `high`, `draws`,
    and of how many `inputs`.

    Draws are of the largest size stored; τ runs over the layers and the few levels that were drawn for, and is the mean
    over seeds within a draw, which is of the same inputs for all; `low` and `high` are the 2.5th and the 97.5th
    percentile over draws. Draws of half of the inputs without replacement spread about as widely as a bootstrap of all.
    None where nothing was drawn.
    """
    samples = diagnostic(results, "samples")
    if samples is None:
        return None
    chosen = (
        (samples["reference"] == "dense") & (samples["view"] == view) & ~samples["measure"].isin([*COPIES, *DEBIASED])
    )
    samples = samples[chosen & (samples["inputs"] == samples["inputs"].max())]
    measures = list(samples["measure"].unique())
    by_draw = [_pairs(_by_seed(scores, measures)) for _, scores in _similarities(samples).groupby("draw")]
    pairs = np.array([seeds.mean(axis=0) for seeds in by_draw if len(seeds)])
    known = np.isfinite(pairs).all(axis=0) if len(pairs) else np.zeros(0, bool)
    if not known.any():
        return None
    medians = np.median(pairs[:, known], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    inputs = int(samples["inputs"].max())
    return pd.Series({"median": np.median(medians), "low": low, "high": high, "draws": len(medians), "inputs": inputs})
