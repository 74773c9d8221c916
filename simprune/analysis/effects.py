"""What losing weights does, and what retraining does: differences between networks that share a beginning.

A pruned network, its twin (trained on as long, no weight lost) and a held one (the same weights kept from training,
none lost) begin from one dense network and are compared with it. An *effect* is a difference of two such scores, of
the same seed, level, layer, view and measure. It is read on the measure's own scale from another seed (0: as near to
the dense network as a network of another seed) to the network itself (1), so that measures can be compared.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis.scores import COPIES, DEBIASED, LEAST_SCALE, diagnostic, is_ok
from simprune.errors import InputError
from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.results import Results

PLACE = ["level", "layer_index", "layer", "view"]
# Names of effects: what is taken from what, and in the book's words.
EFFECTS: Mapping[str, tuple[str, str]] = {
    "removal": ("pruned", "held"),
    "restriction": ("held", "twin"),
    "pruning": ("pruned", "twin"),
    "regrowth": ("regrown", "twin"),
}
# What tells dense networks of one seed apart: no two were seen with the same four.
BEGINNING = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
TIE = 1e-9  # scores that differ by less are the same
# Edges of the classes of size of an effect, on the scale from another seed to the network itself.
SIZES = (0.0, 0.02, 0.05, 0.1, 0.2, np.inf)


def other_beginnings(results: "Results", other: "Results") -> list[int]:
    """The seeds of both whose dense networks are not the same: their losses and accuracies differ in any digit.

    One seed gives the same weights to start from and the same order of images everywhere; sums are rounded otherwise on
    another processor, and after some epochs of that the networks are two.
    """
    first, second = (
        run.performance[run.performance["level"] == 0].set_index("seed")[list(BEGINNING)] for run in (results, other)
    )
    both = first.index.intersection(second.index)
    return sorted(both[(first.loc[both] != second.loc[both]).any(axis=1)])


def positions(runs: Mapping[str, "Results"]) -> pd.DataFrame:
    """Where each network lies between another seed (0) and the dense network itself (1), by each measure.

    `runs`: name → results; "pruned" among them, whose siblings make the scale. Scores that are not ok are left out, and
    layers where a sibling is as near as the network itself.
    Columns: network, seed, level, layer_index, layer, view, measure, nearness (the score, greater is nearer), position.
    Raises `InputError` where a network does not begin with the dense network of the pruned one of its seed.
    """
    for name, results in runs.items():
        if seeds := other_beginnings(runs["pruned"], results):
            raise InputError(
                f"runs: of seed {seeds[0]}, {name!r} and 'pruned' do not begin with the same dense network, so that "
                "their difference would be that of two dense networks too; train both on one processor, in one store"
            )
    kept = {name: entry for name, entry in MEASURES.items() if entry.subject == "representations"}
    keys = ["seed", "layer_index", "view", "measure"]
    sibling = _scores(runs["pruned"], kept, "sibling")
    sibling = sibling[sibling["level"] == 0].set_index(keys)["nearness"].rename("sibling")
    tables = []
    for name, results in runs.items():
        table = _scores(results, kept, "dense")
        tables.append(table[table["level"] > 0].assign(network=name))
    table = pd.concat(tables, ignore_index=True).join(sibling, on=keys)
    best = table["measure"].map({name: entry.best * _sign(entry) for name, entry in kept.items()}).astype(float)
    scale = best - table["sibling"]
    table["position"] = ((table["nearness"] - table["sibling"]) / scale).where(scale >= LEAST_SCALE)
    columns = ["network", "seed", *PLACE, "measure", "nearness", "position"]
    return table[columns]


def of_the_living(results: "Results") -> "Results | None":
    """The same results with scores against the dense network taken over the units that live in both; see `living`.

    None where that diagnostic is not stored. A layer whose units all live keeps its scores.
    """
    table = diagnostic(results, "living")
    if table is None:
        return None
    keys, told = ["seed", "level", "layer", "reference", "view", "measure"], ["value", "status", "note"]
    scores = results.similarity.set_index(keys)
    living = table.set_index(keys)[told]
    both = living.index.intersection(scores.index)
    scores.loc[both, told] = living.loc[both]
    similarity = scores.reset_index()[results.similarity.columns]
    return type(results)(**vars(results) | {"similarity": similarity})


def _scores(results: "Results", kept: Mapping, reference: str) -> pd.DataFrame:
    """The ok scores against one reference, turned so that greater is nearer."""
    table = results.similarity
    table = table[(table["reference"] == reference) & table["measure"].isin(list(kept)) & is_ok(table["status"])]
    sign = table["measure"].map({name: _sign(entry) for name, entry in kept.items()}).astype(float)
    return table.assign(nearness=sign * table["value"])


def _sign(measure) -> int:
    return -1 if measure.is_distance else 1


def effects(runs: Mapping[str, "Results"], names: tuple[str, ...] = tuple(EFFECTS)) -> pd.DataFrame:
    """Effects of EFFECTS whose networks are among `runs`, seed by seed: negative where the first network is farther.

    A measure that is a function of another (`COPIES`), or another with its bias taken out (`DEBIASED`), has none, since
    what is counted would count twice.
    Columns: effect, seed, level, layer_index, layer, view, measure, difference (of scores), size (on the scale).
    """
    table = positions(runs)
    table = table[~table["measure"].isin([*COPIES, *DEBIASED])].set_index(["seed", *PLACE, "measure"])
    parts = []
    for name in names:
        first, second = EFFECTS[name]
        if first in runs and second in runs:
            one, other = (table[table["network"] == network] for network in (first, second))
            both = one.index.intersection(other.index)
            gap = one.loc[both, ["nearness", "position"]] - other.loc[both, ["nearness", "position"]]
            gap = gap.set_axis(["difference", "size"], axis="columns")
            parts.append(gap.reset_index().assign(effect=name))
    columns = ["effect", "seed", *PLACE, "measure", "difference", "size"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """How many measures say what of each effect: a row for each effect, level, layer and view.

    `table`: of `effects`. A measure says something where all seeds that have a score agree on the sign. Columns of
    counts: `farther` (the first network), `nearer`, `mixed` (seeds differ), `tied` (the same score in every seed). The
    seeds themselves are in `attrs["seeds"]`.
    """
    sign = np.sign(table["difference"].where(table["difference"].abs() > TIE, 0))
    groups = table.assign(sign=sign).groupby(["effect", *PLACE, "measure"])["sign"]
    low, high = groups.min(), groups.max()
    counts = {
        "farther": (high < 0),
        "nearer": (low > 0),
        "tied": (low == 0) & (high == 0),
    }
    told = pd.DataFrame(counts)
    told["mixed"] = ~told.any(axis=1)
    counted = told.groupby(level=["effect", *PLACE]).sum().reset_index()
    counted.attrs["seeds"] = sorted(table["seed"].unique())
    return counted


def beside_twin(pruned: "Results", twin: "Results", level: int) -> pd.DataFrame:
    """Counts of `verdicts` of a pruned network and its twin at one level, by view and layer."""
    told = verdicts(effects({"pruned": pruned, "twin": twin}, ("pruning",)))
    told = told[told["level"] == level].sort_values(["view", "layer_index"])
    return told.set_index(["view", "layer"])[["farther", "nearer", "mixed", "tied"]]


def who_is_farther(counts: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The counts among the columns of a table, named by which of the two networks is the farther."""
    said = {"farther": f"{first} farther", "nearer": f"{second} farther", "mixed": "seeds differ", "tied": "the same"}
    return counts[[name for name in said if name in counts]].rename(columns=said)


def turned_round(
    before: pd.DataFrame, after: pd.DataFrame, names: tuple[str, str] = ("before", "after"), *, share: float = 1
) -> pd.DataFrame:
    """Where the measures answer the other way round in a second table of `verdicts` of one effect.

    A row for each level, layer and view of both. `turned` is whether nearly all measures that say something put the
    first network nearer before, at most one farther, and that share of all measures farther after, with every seed, and
    none nearer. The counts of both stand beside it, as in "pruned farther, before".
    """
    place = ["level", "layer", "view"]
    (effect,) = {*before["effect"], *after["effect"]}
    first, second = EFFECTS[effect]
    sides = [
        who_is_farther(table.set_index(place), first, second).drop(columns="the same") for table in (before, after)
    ]
    suffixes = [f", {name}" for name in names]
    both = sides[0].merge(sides[1], left_index=True, right_index=True, suffixes=suffixes)
    was, now = ({count: both[f"{count}, {name}"] for count in sides[0]} for name in names)
    was_nearer = (was[f"{first} farther"] <= 1) & (was[f"{second} farther"] > 1)
    farther, nearer = now[f"{first} farther"], now[f"{second} farther"]
    is_farther = (farther > 0) & (nearer == 0) & (farther >= share * (farther + now["seeds differ"]))
    return both.assign(turned=was_nearer & is_farther)


def at_levels_of(told: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Of a table with a level and a density in each row, the levels of the densities nearest to another's, numbered so.

    Both tables: of `with_densities`. Studies of more and fewer steps can be set side by side so.
    """
    density, wanted = (table.groupby("level")["density"].first() for table in (told, other))
    nearest = {level: (np.log(density / share)).abs().idxmin() for level, share in wanted.items()}
    return pd.concat([told[told["level"] == mine].assign(level=level) for level, mine in nearest.items()])


def with_densities(told: pd.DataFrame, results: "Results") -> pd.DataFrame:
    """`verdicts` with the network's density at each level and, where a layer has weights, the layer's own density.

    Means over the seeds of the verdicts: a control may have fewer than the pruned run.
    """
    network, own = results.performance, results.sparsity
    if seeds := told.attrs.get("seeds"):
        network, own = (table[table["seed"].isin(seeds)] for table in (network, own))
    network, own = network.groupby("level")["density"].mean(), own.groupby(["level", "layer"])["density"].mean()
    names = told["layer"].str.replace(r"_(relu|out|bn)$", "", regex=True)
    keys = pd.MultiIndex.from_arrays([told["level"], names])
    return told.assign(density=told["level"].map(network), own_density=own.reindex(keys).to_numpy())


def agreement_by_size(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How often measures of other families see the sign that a measure sees, by the size of what it sees.

    `tables`: study → `effects`. Each effect of one seed, level, layer and view is looked at by each measure in turn:
    the share of the measures of other families that see the same sign. Columns: study, low, high (bounds of the size),
    agreement (0 … 1, 0.5 by chance), effects (how many were looked at).
    """
    rows = []
    for study, table in tables.items():
        seen = table.dropna(subset=["size"])
        seen = seen[seen["difference"].abs() > TIE]
        family = seen["measure"].map({name: entry.family for name, entry in MEASURES.items()})
        place = ["effect", "seed", *PLACE]
        up = (seen["difference"] > 0).astype(int)
        work = seen.assign(family=family, up=up, one=1)
        everyone = work.groupby(place)[["up", "one"]].transform("sum")
        relatives = work.groupby([*place, "family"])[["up", "one"]].transform("sum")
        others = everyone - relatives
        same = others["up"].where(work["up"] == 1, others["one"] - others["up"])
        share = (same / others["one"].where(others["one"] > 0)).rename("agreement")
        classes = pd.cut(work["size"].abs(), SIZES, right=False)
        for bounds, group in share.dropna().groupby(classes, observed=True):
            rows.append((study, bounds.left, bounds.right, group.mean(), len(group)))
    return pd.DataFrame(rows, columns=["study", "low", "high", "agreement", "effects"])


def first_density(table: pd.DataFrame, density: pd.Series, effect: str = "pruning") -> pd.DataFrame:
    """From which density on each measure puts the first network farther, at that level and at every sparser one.

    `density`: by level. Rows: measure; columns: layer and view; NaN where a measure never does so with every seed.
    """
    chosen = table[table["effect"] == effect]
    farther = (
        (chosen["difference"] < -TIE).groupby([chosen[name] for name in ("measure", "layer", "view", "level")]).all()
    )
    lasting = farther.unstack("level", fill_value=False).sort_index(axis=1).iloc[:, ::-1].cummin(axis=1)
    first = lasting.apply(lambda row: density[min(row.index[row])] if row.any() else np.nan, axis=1)
    return first.unstack(["layer", "view"])


def lines_from_dense(networks: Mapping[str, "Results"]) -> dict[str, pd.DataFrame]:
    """Straight lines from the dense network to the last level of each network, and to its sibling.

    `networks`: name → results. Values are rows of the diagnostic `connectivity`; "sibling" comes first and is the
    pruned run's. Networks without that diagnostic have none.
    """
    lines = {}
    for name, results in networks.items():
        table = diagnostic(results, "connectivity")
        if table is None:
            continue
        if name == "pruned":
            lines = {"sibling": table[table["reference"] == "sibling"]} | lines
        lines[name] = table[(table["reference"] == "dense") & (table["level"] == table["level"].max())]
    return lines


def barriers(results: "Results") -> pd.DataFrame | None:
    """How far the test error rises between two networks above the straight line from one to the other.

    A row for each line between weights of the diagnostic `connectivity`: seed, reference (its beginning), level (its
    end; the sibling's is 0), barrier (0 … 1). None where that is not stored. Source: Frankle et al. 2020.
    """
    table = diagnostic(results, "connectivity")
    if table is None:
        return None
    rows = []
    for keys, line in table.sort_values("position").groupby(["seed", "reference", "level"], sort=False):
        error, place = line["error"].to_numpy(), line["position"].to_numpy()
        rows.append((*keys, float((error - error[0] - (error[-1] - error[0]) * place).max())))
    return pd.DataFrame(rows, columns=["seed", "reference", "level", "barrier"])
