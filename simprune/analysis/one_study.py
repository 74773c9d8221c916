"""What one study says: how accurate its networks stay, and how similar by each measure, layer by layer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis.scores import is_ok
from simprune.analysis.summaries import (
    accuracies,
    densities,
    layers_in,
    measures_in,
    nearest_level,
    over_seeds,
    profile_means,
    ranges,
    select,
)

if TYPE_CHECKING:
    from simprune.results import Results

TOLERANCE = 0.01  # accuracy counts as kept while it is at most this far below the dense network's
UNFINISHED = 0.01  # gain of accuracy by training on from which a dense network counts as not trained to its end
CHANGED = 0.9  # a layer counts as changed once its similarity is below this
# A layer in between counts as markedly less similar if it is so much below the first and the last one.
DIP = 0.05


# Accuracy -----------------------------------------------------------------------------------------------------


def accuracy_by_level(results: "Results", controls: "Mapping[str, Results]" = MappingProxyType({})) -> pd.DataFrame:
    """Density and accuracies of each level, and test accuracies of its controls, by name: a `Range` in each cell."""
    columns = {
        "density": densities(results),
        "test accuracy": ranges(accuracies(results)),
        "training accuracy": ranges(accuracies(results, "train_accuracy")),
    }
    for who, run in controls.items():
        columns[f"test accuracy, {who}"] = ranges(accuracies(run))
    return pd.DataFrame(columns)


def accuracy_lasts(results: "Results", tolerance: float = TOLERANCE) -> float:
    """The density down to which mean test accuracy is never more than a tolerance below the dense network's."""
    held = accuracies(results)
    near = (held["mean"] >= held["mean"].iloc[0] - tolerance).cummin()
    return float(held.loc[near, "density"].iloc[-1])


def gained_by_training_on(twin: "Results") -> pd.Series | None:
    """How far the dense network was from its end: what its twin gains by being trained for as long again.

    `level` of the twin at which its further epochs are as many as the dense network's; `epochs`, how many further ones
    that is; `gain` of test accuracy (0 … 1, mean over seeds). None if it is trained on for less.
    """
    experiment, held = twin.experiment, accuracies(twin)["mean"]
    level = -(-experiment.epochs // experiment.retraining_epochs)
    if level not in held.index:
        return None
    epochs = level * experiment.retraining_epochs
    return pd.Series({"level": level, "epochs": epochs, "gain": held[level] - held[0]})


def unfinished_gain(results: "Results") -> float | None:
    """How much accuracy (0 … 1) the best level has over the dense network; None if at most `UNFINISHED`."""
    held = accuracies(results)["mean"]
    gain = held.max() - held.loc[0]
    return gain if gain > UNFINISHED else None


def layer_densities(results: "Results") -> pd.DataFrame:
    """Density of each prunable layer (columns) at each density of the network (rows), mean over seeds."""
    layers = list(dict.fromkeys(results.sparsity["layer"]))
    table = results.sparsity.groupby(["level", "layer"])["density"].mean().unstack()[layers]
    return table.set_axis(_at(table.index, results)).rename_axis(columns="layer")


def _at(levels: pd.Index, results: "Results") -> pd.Index:
    """The densities of levels."""
    return pd.Index(densities(results).loc[levels], name="density")


# Similarity ---------------------------------------------------------------------------------------------------


def similarity_by_density(results: "Results", **choice) -> pd.DataFrame:
    """Score by measure and layer (rows) and density (columns), a `Range` of the mean alone. `choice` as in `select`."""
    summary = over_seeds(select(results, **choice), ["measure", "layer_index", "level"])
    table = ranges(summary.assign(low=summary["mean"], high=summary["mean"])).unstack("level")
    return _named(table.set_axis(_at(table.columns, results), axis="columns"), results, **choice)


def profile(results: "Results", density: float, **choice) -> pd.DataFrame:
    """Score by layer (rows) and measure (columns) at the level nearest to a density, a `Range` in each cell."""
    scores = select(results, **choice)
    scores = scores[scores["level"] == nearest_level(results, density)]
    table = ranges(over_seeds(scores, ["measure", "layer_index"])).unstack("measure")[measures_in(scores)]
    return table.rename(index=layers_in(scores)).rename_axis(index="layer")


def _named(table: pd.DataFrame, results: "Results", **choice) -> pd.DataFrame:
    """A table by (measure, layer index) with names of layers, in the order of the results."""
    scores = select(results, **choice)
    layers, measures = layers_in(scores), measures_in(scores)
    table = table.sort_index(key=lambda keys: keys.map(measures.index) if keys.name == "measure" else keys)
    names = [(measure, layers[index]) for measure, index in table.index]
    return table.set_axis(pd.MultiIndex.from_tuples(names, names=["measure", "layer"]))


def spread(results: "Results", density: float, **choice) -> pd.DataFrame:
    """How far similarities are apart in each layer (rows) at the level nearest to a density.

    Columns: `low`, `lowest` (the measure), `high`, `highest`, `gap`. Only layers in which every score is ok.
    """
    sound = profile_means(results, nearest_level(results, density), **choice).dropna()
    low, high = sound.min(axis=1), sound.max(axis=1)
    return pd.DataFrame(
        {
            "low": low,
            "lowest": sound.idxmin(axis=1) if len(sound) else None,
            "high": high,
            "highest": sound.idxmax(axis=1) if len(sound) else None,
            "gap": high - low,
        }
    ).rename_axis(index="layer")


def widest(spread: pd.DataFrame, *, least: bool = False) -> pd.Series:
    """The row of `spread` with the widest gap (or the least), and its `layer`; without values where there is none."""
    if spread.empty:
        return pd.Series({"layer": "", "low": np.nan, "lowest": "", "high": np.nan, "highest": "", "gap": np.nan})
    place = spread["gap"].idxmin() if least else spread["gap"].idxmax()
    return pd.Series({"layer": place, **spread.loc[place]})


def least_similar_layers(results: "Results", level: int | None = None, **choice) -> pd.Series:
    """Measure → the layer that it calls least similar among those in which it is ok; by default at the last level."""
    level = densities(results).index[-1] if level is None else level
    return profile_means(results, level, **choice).dropna(axis="columns", how="all").idxmin()


def dips(results: "Results", **choice) -> pd.DataFrame:
    """Whether similarity at the last level is high at both ends of the network and lower in between, by measure.

    Columns: `first`, `last` (the ends), `least` (in between), `where`, `depth` (of the lower end above it), `dips`
    (by more than `DIP`). Only measures that are ok in every layer.
    """
    table = profile_means(results, densities(results).index[-1], **choice).dropna(axis="columns")
    inner = table.iloc[1:-1]
    if inner.empty or table.empty:
        return pd.DataFrame(columns=["first", "last", "least", "where", "depth", "dips"])
    ends = table.iloc[[0, -1]]
    columns = {"first": ends.iloc[0], "last": ends.iloc[1], "least": inner.min(), "where": inner.idxmin()}
    depth = ends.min() - inner.min()
    return pd.DataFrame({**columns, "depth": depth, "dips": depth > DIP}).rename_axis(index="measure")


def statuses(results: "Results", **choice) -> pd.DataFrame:
    """Scores whose status is not ok, by measure and layer: the status, why (the first note), and how many."""
    scores = select(results, **choice)
    marked = scores[~is_ok(scores["status"])]
    marked = marked.assign(why=marked["note"].str.replace(r";.*", "", regex=True))
    counts = marked.groupby(["measure", "layer_index", "status", "why"], sort=False).size().rename("scores")
    return _named(counts.reset_index(["status", "why"]), results, **choice)
