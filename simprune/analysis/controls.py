"""The pruned network beside its company: its controls, another seed, the untrained network, chance."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis.scores import diagnostic
from simprune.analysis.summaries import layers_in, over_seeds, ranges, select
from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.results import Results

# Runs that stand beside a pruned one, begin with its dense network and train as long, and what differs in their fields.
CONTROLS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"twin": {"criterion": "none"}, "held": {"retraining": "held"}, "regrown": {"retraining": "regrown"}}
)
# Who is compared with the dense network, in the order of figures and tables.
COMPANY = ("pruned", *CONTROLS, "sibling", "untrained", "chance")


def company(
    results: "Results",
    controls: "Mapping[str, Results]" = MappingProxyType({}),
    *,
    measures: Sequence[str] | None = None,
    view: str | None = None,
) -> pd.DataFrame:
    """What the pruned network and its company score against the dense one; those that are not stored are absent.

    `controls`: runs that were trained as long, by the names of `CONTROLS`. The sibling is a dense network of another
    seed, chance the mean over pairs whose inputs are shuffled. Indexed by `who` (of `COMPANY`), measure, layer_index,
    level, with the columns of `over_seeds` and `layer`. Siblings and untrained networks are compared with the dense
    network: level 0.
    """
    by, parts = ["measure", "layer_index", "level"], {}
    for who, run in {"pruned": results, **controls}.items():
        parts[who] = over_seeds(select(run, measures, view), by)
    for who in ("sibling", "untrained"):
        if who in results.similarity["reference"].unique():
            scores = select(results, measures, view, who)
            parts[who] = over_seeds(scores[scores["level"] == 0], by)
    if (nulls := diagnostic(results, "nulls")) is not None:
        chosen = select(results, measures, view)
        here = (nulls["reference"] == "dense") & nulls["measure"].isin(chosen["measure"].unique())
        here &= nulls["view"] == chosen["view"].iloc[0]
        if here.any():
            parts["chance"] = over_seeds(nulls[here].drop(columns="status", errors="ignore"), by, "null")
    table = pd.concat(parts, names=["who"])
    return table.assign(layer=table.index.get_level_values("layer_index").map(layers_in(results.similarity)))


def nearer_than_sibling(
    results: "Results", measures: Sequence[str] | None = None, view: str | None = None
) -> pd.DataFrame:
    """By (measure, layer_index): down to which level the pruned network is nearer to its dense one than a sibling is.

    Columns: `sibling` and `untrained` (means at level 0), `last` (mean of the last level's score to dense), `level` (of
    the sparsest network such that it and all denser ones are nearer; 0 if none is), `density` (of that level), `ok`.
    Empty where there are no siblings; `untrained` is NaN where that is not stored.
    """
    columns = ["sibling", "untrained", "last", "level", "density", "ok"]
    rows, index = {}, pd.MultiIndex.from_arrays([[], []], names=["measure", "layer_index"])
    if "sibling" not in set(results.similarity["reference"]):
        return pd.DataFrame(index=index, columns=columns)
    table = company(results, measures=measures, view=view)
    for key, levels in table.loc["pruned"].groupby(level=["measure", "layer_index"]):
        sign = -1 if MEASURES[key[0]].is_distance else 1
        levels, sibling = levels.droplevel([0, 1]), table.loc[("sibling", *key, 0)]
        nearer = (sign * levels["mean"] > sign * sibling["mean"]).loc[1:].cummin()
        level = int(nearer.sum())
        rows[key] = {
            "sibling": sibling["mean"],
            "untrained": table["mean"].get(("untrained", *key, 0), np.nan),
            "last": levels["mean"].iloc[-1],
            "level": level,
            "density": levels.loc[level, "density"],
            "ok": bool(levels["ok"].all() and sibling["ok"]),
        }
    return pd.DataFrame(rows.values(), index=pd.MultiIndex.from_tuples(rows, names=index.names), columns=columns)


def company_at(table: pd.DataFrame, density: float) -> pd.DataFrame:
    """`company` at the level nearest to a density: a `Range` by measure and layer (rows) and who (columns)."""
    measured, columns = table.loc["pruned"].groupby("level")["density"].mean(), {}
    level = int((np.log(measured) - np.log(density)).abs().idxmin())
    for who in (name for name in COMPANY if name in table.index.unique("who")):
        part = table.loc[who]
        columns[who] = ranges(part.xs(level if level in part.index.unique("level") else 0, level="level"))
    layers = layers_in(table.reset_index())
    at = pd.DataFrame(columns).rename(index=layers, level="layer_index").rename_axis(columns="who")
    return at.rename_axis(index={"layer_index": "layer"})


def by_layer(table: pd.DataFrame, results: "Results") -> pd.DataFrame:
    """The same table with names of layers in place of their indices, in network order."""
    return table.rename(index=layers_in(results.similarity), level="layer_index").rename_axis(
        index={"layer_index": "layer"}
    )
