"""What earlier papers found, in the tables of this study, and beside it the control that could have refuted it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from simprune.analysis.controls import by_layer, company
from simprune.analysis.known_answers import CCA_TYPE, layer_identification
from simprune.analysis.one_study import DIP, TOLERANCE, least_similar_layers, unfinished_gain
from simprune.analysis.scores import PAPER_MEASURES
from simprune.analysis.summaries import accuracies, densities, nearest_level

if TYPE_CHECKING:
    from simprune.results import Results

    Studies = Mapping[str, Results]

LEVEL_FREE = ("sibling", "untrained")  # company that is compared at level 0 only
FULLY_CONNECTED = ("fc", "logits")  # how the names of such layers begin
REWOUND, NEAR = 0.2, 0.005  # Renda et al.: down to a fifth of the weights at most half a point is lost
AWAY = 1.5  # a density more than this factor from REWOUND does not speak to it


def profiles(studies: "Studies", twins: "Studies", density: float = 0.1, view: str = "pooled") -> pd.DataFrame:
    """SVCCA to the dense network along the layers, of each network of a study, at the level nearest a density.

    Columns: study, who (of `COMPANY`, without chance), layer, layer_index, mean, low, high, ok; over seeds.
    """
    parts = []
    for name, results in studies.items():
        twin = {"twin": twins[name]} if name in twins else {}
        table = company(results, twin, measures=["svcca"], view=view).drop("chance", errors="ignore")
        table = table.reset_index().drop(columns=["measure", "density", "layer"], errors="ignore")
        here = (table["level"] == nearest_level(results, density)) | table["who"].isin(LEVEL_FREE)
        named = by_layer(table[here].set_index("layer_index", drop=False), results)
        parts.append(named.rename_axis("layer").reset_index().assign(study=name))
    return pd.concat(parts, ignore_index=True)


def dips(table: pd.DataFrame) -> pd.DataFrame:
    """Whether layers in between are less similar than the ends, from `profiles`: rows are studies and networks.

    Columns: first, middle (the least convolutional or pooling layer after the first), connected (the least fully
    connected one, the output included), last, hidden (fully connected layers before the output), dips (the middle is
    more than `DIP` below the first layer and below each fully connected one) and dips_to_output (below the ends). A
    layer whose score is not ok is left out; so is a network whose first or last layer has none.
    """
    rows = {}
    for key, every in table.groupby(["study", "who"], sort=False):
        profile = every[every["ok"]].set_index("layer_index").sort_index()
        ends = [every["layer_index"].min(), every["layer_index"].max()]
        connected = profile["layer"].str.startswith(FULLY_CONNECTED)
        between = profile.loc[~connected, "mean"].drop(ends[0], errors="ignore")
        if set(ends) <= set(profile.index) and len(between) and connected.any():
            first, last = profile.loc[ends, "mean"]
            least, full = between.min(), profile.loc[connected, "mean"].min()
            rows[key] = {
                "first": first,
                "middle": least,
                "connected": full,
                "last": last,
                "hidden": int(connected.sum()) - 1,
                "dips": bool(least < min(first, full) - DIP),
                "dips_to_output": bool(least < min(first, last) - DIP),
            }
    columns = ["first", "middle", "connected", "last", "hidden", "dips", "dips_to_output"]
    index = pd.MultiIndex.from_tuples(rows, names=["study", "who"]) if rows else None
    return pd.DataFrame(list(rows.values()), index=index, columns=columns)


def least_layers(
    studies: "Studies",
    density: float = 0.1,
    measures: Sequence[str] = PAPER_MEASURES,
    view: str = "pooled",
    instead: "Studies | None" = None,
) -> pd.DataFrame:
    """Which layer each measure calls least similar (names), by study; measures without a sound score are left out.

    `instead`: runs that are asked at the levels of the studies of the same names, such as their twins.
    """
    asked = studies if instead is None else instead
    answers = {
        name: least_similar_layers(run, nearest_level(studies[name], density), measures=list(measures), view=view)
        for name, run in asked.items()
    }
    return pd.DataFrame(answers).T.rename_axis(index="study", columns="measure")


def similar_accuracy(studies: "Studies", twins: "Studies", view: str = "pooled") -> pd.DataFrame:
    """SVCCA, as the mean over layers, at the sparsest level as accurate as the dense network, and that of controls.

    Columns: density, dense and accuracy (test, 0 … 1), pruned, twin (at the same level), sibling; NaN for what is not
    stored. A study whose dense network was not trained to its end has no similar accuracy and is left out, and so is
    one without a sound score in every layer.
    """
    rows = {}
    for name, results in studies.items():
        held = accuracies(results)["mean"]
        level = int(held.index[(held - held[0]).abs() <= TOLERANCE].max())
        if unfinished_gain(results) is not None or level == 0:
            continue
        table = profiles({name: results}, twins, densities(results)[level], view)
        sound = table[table["who"] == "pruned"]["ok"].all()
        means = table.groupby("who")["mean"].mean()
        if sound:
            rows[name] = {
                "density": densities(results)[level],
                "dense": held[0],
                "accuracy": held[level],
                **means.reindex(["pruned", "twin", "sibling"]),
            }
    columns = ["density", "dense", "accuracy", "pruned", "twin", "sibling"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("study")


def rewinding(studies: "Studies") -> pd.DataFrame:
    """How much test accuracy (0 … 1) is lost at worst down to a fifth of the weights, with the learning rate rewound.

    Columns: density (the level nearest a fifth), dense (accuracy), worst (the least difference from it down to there).
    Left out: other ways of retraining, dense networks that were not trained to their end, runs without such a level.
    """
    rows = {}
    for name, results in studies.items():
        held, level = accuracies(results), nearest_level(results, REWOUND)
        at = held["density"].loc[level]
        if results.experiment.retraining != "lr_rewind" or unfinished_gain(results) is not None or level == 0:
            continue
        if 1 / AWAY <= at / REWOUND <= AWAY:
            gaps = held["mean"] - held["mean"].loc[0]
            rows[name] = {"density": at, "dense": held["mean"].loc[0], "worst": gaps.loc[1:level].min()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["density", "dense", "worst"]).rename_axis("study")


def leads(runs: "Studies", other: str, density: float = 0.1) -> pd.DataFrame:
    """How far each run is ahead of another one in test accuracy (0 … 1), seed by seed.

    All at one level: that of the other run which is nearest a density. Columns: accuracy, other (means over the seeds
    that both have), lead (accuracy − other), low and high (over seeds), seeds (how many). Empty where the other run is
    not there.
    """
    at = {}
    level = nearest_level(runs[other], density) if other in runs else 0
    for name, results in runs.items():
        table = results.performance
        at[name] = table[table["level"] == level].set_index("seed")["test_accuracy"]
    rows = {}
    for name, mine in at.items():
        both = pd.concat([mine, at[other]], axis="columns", join="inner", keys=["one", "two"]) if other in at else []
        if name != other and len(both):
            gap = both["one"] - both["two"]
            means = {"accuracy": both["one"].mean(), "other": both["two"].mean()}
            rows[name] = {**means, "lead": gap.mean(), "low": gap.min(), "high": gap.max(), "seeds": len(both)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["accuracy", "other", "lead", "low", "high", "seeds"])


def identified(studies: "Studies", measures: Sequence[str] = ("linear_cka", *CCA_TYPE)) -> pd.DataFrame:
    """Share of the layers that a measure finds again in a sibling: (study, view) × measure, and `chance`.

    Uncorrected scores. A measure that has no score for every layer of a view has none there.
    """
    parts = {}
    for name, results in studies.items():
        rows = layer_identification(results)
        if rows is None:
            continue
        rows = rows[(rows["correction"] == "none") & rows["measure"].isin(measures)]
        found = rows.groupby(["view", "measure"])["score"].agg(lambda scores: scores.mean(skipna=False)).unstack()
        parts[name] = found.reindex(columns=list(measures)).assign(chance=rows.groupby("view")["chance"].mean())
    if not parts:
        return pd.DataFrame(columns=[*measures, "chance"])
    return pd.concat(parts, names=["study"]).rename_axis(columns="measure")
