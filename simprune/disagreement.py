"""How much measures disagree about the same representations."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform
from scipy.stats import kendalltau

from simprune.measures import MEASURES


def verdicts(status: pd.Series) -> pd.Series:
    """What each status says of its value; the notes that may follow a semicolon are left out."""
    return status.str.replace(r";.*", "", regex=True)


def is_ok(status: pd.Series) -> pd.Series:
    """Whether each value can be taken at face value."""
    return verdicts(status) == "ok"


def rank_agreement(similarity: pd.DataFrame) -> pd.DataFrame:
    """Kendall's τ-b between every two measures over the pairs (layer, level): a symmetric matrix in −1 … 1.

    `similarity` holds the scores of one reference and one view, in the columns of `Results.similarity`. Level 0 is left
    out (compared with the dense network it is the same for all), distances count with their sign turned, and τ is the
    mean over seeds of each seed's τ. A pair counts where the scores of both measures are ok: a score that the numbers
    of inputs and variables force has no rank. τ is NaN where a measure is constant or fewer than two pairs are left.
    The measures stand in the order of the table.
    """
    measures = list(similarity["measure"].unique())
    counting = similarity[(similarity["level"] > 0) & is_ok(similarity["status"])]
    seeds = np.array([_agreement(scores, measures) for _, scores in counting.groupby("seed")])
    seeds = seeds.reshape(-1, len(measures), len(measures))
    counted = np.isfinite(seeds).sum(axis=0)
    mean = np.where(counted > 0, np.nansum(seeds, axis=0) / np.maximum(counted, 1), np.nan)
    return pd.DataFrame(mean, index=measures, columns=measures)


def _agreement(scores: pd.DataFrame, measures: list[str]) -> np.ndarray:
    """τ between measures within one seed."""
    values = scores.pivot(index=["layer_index", "level"], columns="measure", values="value").reindex(columns=measures)
    signed = [(-1 if MEASURES[name].is_distance else 1) * values[name].to_numpy(float) for name in measures]
    matrix = np.eye(len(measures))
    for (i, x), (j, y) in combinations(enumerate(signed), 2):
        both = np.isfinite(x) & np.isfinite(y)
        constant = both.sum() < 2 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0
        matrix[i, j] = matrix[j, i] = np.nan if constant else kendalltau(x[both], y[both]).statistic
    return matrix


def clustered(agreement: pd.DataFrame) -> pd.DataFrame:
    """An agreement matrix with its measures reordered so that those that agree stand side by side.

    Average linkage on 1 − τ, leaves in the best order (Bar-Joseph et al. 2001); an unknown τ counts as 0.
    """
    if len(agreement) < 3:
        return agreement
    distance = 1 - agreement.fillna(0).to_numpy()
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    order = leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))
    return agreement.iloc[order, order]
