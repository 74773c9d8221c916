"""The pruned network beside its company: its controls, another seed, the untrained network, chance."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis.scores import diagnostic, is_ok
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
# What a measure says of one run against another.
SAYS = ("nearer", "farther", "mixed", "tie", "nothing")


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


def against(
    results: "Results", other: "Results", *, measures: Sequence[str] | None = None, view: str | None = None
) -> pd.DataFrame:
    """How much nearer to the dense network one run is than another, over the seeds that both have.

    Both are compared with the same dense network, so that differences are taken seed by seed; above 0 the first is
    nearer, also by a distance. Indexed by measure, layer_index, level (above 0), with the columns of `over_seeds` and
    `says`: "nearer" or "farther" where all seeds do, "mixed" where they differ, "tie", or "nothing" where a status is
    not ok.
    """
    keys = ["seed", "measure", "layer_index", "level"]
    both = select(results, measures, view).merge(select(other, measures, view)[[*keys, "value", "status"]], on=keys)
    sign = both["measure"].map({name: -1 if entry.is_distance else 1 for name, entry in MEASURES.items()})
    sound = is_ok(both["status_x"]) & is_ok(both["status_y"])
    both = both.assign(value=sign * (both["value_x"] - both["value_y"]), status=sound.map({True: "ok", False: "no"}))
    table = over_seeds(both[both["level"] > 0], keys[1:])
    says = pd.Series("mixed", table.index)
    says[table["low"] > 0], says[table["high"] < 0] = "nearer", "farther"
    says[(table["low"] == 0) & (table["high"] == 0)] = "tie"
    layers = table.index.get_level_values("layer_index").map(layers_in(results.similarity))
    return table.assign(says=says.where(table["ok"], "nothing"), layer=layers)


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


def says_at(table: pd.DataFrame, level: int) -> pd.DataFrame:
    """How many measures of `against` say what of each layer (rows), and how many say nothing, at one level."""
    at = table.xs(level, level="level")
    counts = at.groupby(["layer_index", "says"]).size().unstack(fill_value=0)
    names = at.groupby("layer_index")["layer"].first()
    return counts.reindex(columns=SAYS, fill_value=0).rename(index=names).rename_axis(index="layer", columns=None)


def by_layer(table: pd.DataFrame, results: "Results") -> pd.DataFrame:
    """The same table with names of layers in place of their indices, in network order."""
    return table.rename(index=layers_in(results.similarity), level="layer_index").rename_axis(
        index={"layer_index": "layer"}
    )
