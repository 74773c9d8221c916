"""All studies beside each other: what holds in which of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis import effects
from simprune.analysis.agreement import rank_agreement
from simprune.analysis.one_study import CHANGED, accuracy_lasts, unfinished_gain
from simprune.analysis.retraining import by_measures, differences, in_every_layer, is_convolutional
from simprune.analysis.scores import PAPER_MEASURES
from simprune.analysis.summaries import densities, nearest_level, profile_means, select

if TYPE_CHECKING:
    from simprune.results import Results

Studies = Mapping[str, "Results"]


def least_similar(studies: Studies) -> pd.DataFrame:
    """By (study, measure): the least similar layer at the last level, `value` and `depth` (0 first … 1 last).

    Only measures that are ok in every layer are in it.
    """
    rows = {}
    for name, results in studies.items():
        profile = profile_means(results, densities(results).index[-1]).dropna(axis="columns")
        for measure in profile:
            place = int(profile[measure].argmin())
            rows[name, measure] = {
                "layer": profile.index[place],
                "depth": place / max(len(profile) - 1, 1),
                "value": profile[measure].iloc[place],
            }
    return _by_study_and_measure(rows, ["layer", "depth", "value"])


def fall_density(studies: Studies, threshold: float = CHANGED) -> pd.DataFrame:
    """By (study, measure): the `density` at which the mean over sound layers first falls below it; NaN: never.

    `layers` counts the layers in which every score is ok.
    """
    rows = {}
    for name, results in studies.items():
        measured = densities(results)
        profiles = {level: profile_means(results, level) for level in measured.index}
        for measure in profiles[0]:
            table = pd.DataFrame({level: profile[measure] for level, profile in profiles.items()}).dropna()
            below = table.mean() < threshold
            if len(table):
                rows[name, measure] = {
                    "density": measured[below.idxmax()] if below.any() else np.nan,
                    "layers": len(table),
                }
    return _by_study_and_measure(rows, ["density", "layers"])


def _by_study_and_measure(rows: Mapping[tuple[str, str], Mapping], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.set_axis(pd.MultiIndex.from_tuples(table.index, names=["study", "measure"]))


def pair_agreement(studies: Studies, measures: tuple[str, ...] = PAPER_MEASURES) -> pd.DataFrame:
    """Kendall's τ of every two of some measures (rows) in each study (columns)."""
    columns = {}
    for name, results in studies.items():
        scores = select(results)
        matrix = rank_agreement(scores[scores["measure"].isin(measures)])
        columns[name] = {pair: matrix.loc[pair] for pair in combinations(matrix.index, 2)}
    return pd.DataFrame(columns).rename_axis(index=["measure", "other"])


def first_to_turn(counts: pd.DataFrame) -> pd.Series | None:
    """The row where most measures first put a network farther away, with its `depth` (0 first … 1 last); None: nowhere.

    `counts`: rows of `effects.verdicts` of one effect and view. Of several layers at a level, that of the greatest
    share of measures, since not all have a score in every layer.
    """
    turned = counts[counts["farther"] > counts["nearer"]]
    if turned.empty:
        return None
    first = turned[turned["level"] == turned["level"].min()]
    first = first.loc[(first["farther"] / (first["farther"] + first["nearer"])).idxmax()]
    return pd.concat([first, pd.Series({"depth": first["layer_index"] / max(counts["layer_index"].max(), 1)})])


@dataclass(frozen=True)
class Across:
    """What several studies say, and which findings hold in which of them.

    Attributes:
        least: `least_similar`.
        fall: `fall_density`.
        pairs: `pair_agreement`.
        counts: study → how many measures put its pruned network nearer than another seed, rows of `effects.verdicts`.
        turns: study → `first_to_turn` of these.
        holds: finding (row) by study (column): True, False, or None where the study can't tell.
    """

    least: pd.DataFrame
    fall: pd.DataFrame
    pairs: pd.DataFrame
    counts: dict[str, pd.DataFrame]
    turns: dict[str, pd.Series | None]
    holds: pd.DataFrame

    def everywhere(self, finding: str) -> bool | None:
        """Whether a finding holds in every study that can tell; None where none can."""
        answers = self.holds.loc[finding].dropna()
        return all(answers) if len(answers) else None


def across_studies(studies: Studies, twins: Studies, view: str = "flatten", density: float = 0.1) -> Across:
    """What studies say, the findings at the level nearest to a density. `twins`: of those studies that have one."""
    least, fall, pairs, counts, turns = least_similar(studies), fall_density(studies), pair_agreement(studies), {}, {}
    columns = {}
    for name, results in studies.items():
        runs = {"pruned": results} | ({"twin": twins[name]} if name in twins else {})
        positions = effects.positions(runs)
        positions = positions[positions["view"] == view]
        told = effects.verdicts(differences(positions[positions["network"] == "pruned"]))
        counts[name], turns[name] = told, first_to_turn(told)
        level, measured = nearest_level(results, density), densities(results)
        beside = by_measures(positions[positions["level"] == level], "pruned", "twin")
        beside = beside[[is_convolutional(layer) for layer in beside.index]]
        columns[name] = _findings(_of(least, name), _of(fall, name)["density"], pairs[name], measured) | {
            "trained": unfinished_gain(results) is None,
            "accurate": accuracy_lasts(results) <= measured[level],
            "late": None if turns[name] is None else turns[name]["depth"] > 0.5,
            "output_stays": _nearer_at_the_end(told),
            "twin": in_every_layer(beside, "nearer", "farther"),
        }
    return Across(least, fall, pairs, counts, turns, pd.DataFrame(columns, dtype=object))


def _of(table: pd.DataFrame, study: str) -> pd.DataFrame:
    return table[table.index.get_level_values("study") == study].droplevel("study")


def _findings(least: pd.DataFrame, falls: pd.Series, pairs: pd.Series, measured: pd.Series) -> dict[str, bool | None]:
    """What a study says of measures: "extremes", "split", "majority", "between", "cca"."""
    layers, depth = least["layer"], least["depth"]
    near = ["linear_cka", "nbs"]
    tau = pairs.reindex([("svcca", "pwcca"), ("mean_cca", "linear_cka")])
    return {
        "extremes": falls["mean_cca"] == measured.iloc[1] and falls[near].isna().all()
        if {"mean_cca", *near} <= set(falls.index)
        else None,
        "split": layers.nunique() > 1 if len(layers) else None,
        "majority": layers.value_counts().iloc[0] > len(layers) / 2 if len(layers) else None,
        "between": depth[near].between(0, 1, inclusive="neither").all() if {*near} <= set(depth.index) else None,
        "cca": None if tau.isna().any() else tau.iloc[0] > tau.iloc[1],
    }


def _nearer_at_the_end(counts: pd.DataFrame) -> bool | None:
    """Whether most measures put the last layer nearer than another seed at the last level."""
    if counts.empty:
        return None
    end = counts[counts["level"] == counts["level"].max()].set_index("layer_index").sort_index().iloc[-1]
    return bool(end["nearer"] > end["farther"])
