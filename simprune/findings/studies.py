"""Which studies are stored and how they were made; one run beside its controls."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from simprune.analysis import one_of_each_family, profile_means
from simprune.experiment import Experiment
from simprune.findings.common import (
    NO_VALUE,
    REFERENCE_WORDS,
    accuracy_percent,
    counted,
    densities,
    layers_in,
    listed,
    measures_in,
    named,
    nearest_level,
    over_seeds,
    percent,
    score_text,
    select,
    spread,
    title,
)
from simprune.findings.results import circumstances
from simprune.measures import MEASURES
from simprune.results import other_data
from simprune.store import TABLES, Store

if TYPE_CHECKING:
    from simprune.results import Results

# At most so many measures are drawn where each takes a column.
COLUMNS = 3
# A layer in between counts as markedly less similar if it is so much below the first and the last one.
DIP = 0.05
UNFINISHED = 0.01  # gain of accuracy by training on from which a dense network counts as not trained to its end


# What is stored, and how it was made ------------------------------------------------------------------------


def command(experiment: Experiment) -> str:
    """`Experiment.command`."""
    return experiment.command


def sources(results: "Results", root: str | PathLike | None = None) -> str:
    """Markdown: what was computed on what, and the command that makes the tables again, for the top of a page.

    Tables are linked, relative to `book/executed`, where the book's `root` (default: the current folder) holds those
    very tables; the notebook is named where it holds that.
    """
    experiment, root = results.experiment, Path(root or ".")
    rows = {
        "computed on": circumstances(results),
        "made by": f"`{command(experiment)}`",
        "tables": "; ".join(_tables(results, seed, root) for seed in experiment.seeds),
    }
    notebook = f"{experiment.architecture}_{experiment.dataset}.ipynb"
    if (root / "notebooks" / notebook).is_file():
        # No link: Sphinx takes one to a notebook for one to a page, and this notebook is the page.
        rows["this page"] = f"the notebook `notebooks/{notebook}`"
    head = f"{study_title(experiment)}, profile {experiment.profile}, {_seeds(experiment)}"
    return "\n".join([f"| study | {head} |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items())])


def _tables(results: "Results", seed: int, root: Path) -> str:
    """Links to the tables of a seed if the book holds them, else the folder of the store that they are in."""
    name, shipped = results.experiment.name, root / "book" / "results"
    held = Store(shipped, shipped=None).read_seed(results.experiment, seed)
    sums = results.provenance["seeds"][seed]["sha256"]
    if not any(result.provenance["sha256"] == sums for result in held):
        return f"seed {seed}: `{name}` in the store"
    links = (f"[{table}](../results/{name}/seed-{seed}/{table}.parquet)" for table in TABLES)
    return f"seed {seed}: {', '.join(links)}"


def data_sentence(results: "Results", store: str | PathLike | None = None) -> str:
    """One line where the data at hand are others than those of the results; "" where not."""
    if (here := other_data(results, store=store)) is None:
        return ""
    made = results.provenance["data"]
    return (
        f"*The {study_title(results.experiment).split(' on ')[1]} images here (fingerprint `{here}`) are others than "
        f"those that these results were made from ({made['source']}, `{made['fingerprint']}`).*"
    )


def study_title(experiment) -> str:
    """`Experiment.title`, also of made-up experiments."""
    return Experiment.title.fget(experiment)


def _seeds(experiment: Experiment) -> str:
    return counted(len(experiment.seeds), "seed")


def unfinished_gain(results: "Results") -> float | None:
    """How much accuracy (0 … 1) the best level has over the dense network; None if at most `UNFINISHED`."""
    accuracy = results.performance.groupby("level")["test_accuracy"].mean()
    gain = accuracy.max() - accuracy.loc[0]
    return gain if gain > UNFINISHED else None


def caveats_sentence(results: "Results") -> str:
    """How large the runs were, and what that and the copy of the data mean for their numbers."""
    experiment = results.experiment
    size = f"{experiment.width:g} times the width" if experiment.width != 1 else "full width"
    text = f"The profile is {experiment.profile}: {size}, {counted(experiment.epochs, 'epoch')} a level, "
    text += f"{_seeds(experiment)}."
    if experiment.profile == "laptop":
        text += " It is what a laptop can do in an evening, to be replaced by runs of the profile paper."
    if experiment.profile == "quick":
        text += " It is a first look, and no finding rests on it."
    if len(experiment.seeds) == 1:
        text += " With one seed nothing here says how much another would change."
    if "JPEG" in results.provenance["data"]["source"]:
        text += " The copy of the data used here was JPEG re-encoded, so accuracies are not exactly comparable."
    if (gain := unfinished_gain(results)) is not None:
        most = results.performance.groupby("level")["test_accuracy"].mean().max()
        text += (
            f" The dense network was not trained to its end: later levels reach {accuracy_percent(most)}, "
            f"{100 * gain:.1f} points more, so that some of what changes in the first levels is due to longer training "
            f"and not to pruning."
        )
    return text


# One run and its controls -----------------------------------------------------------------------------------


def control_levels(
    results: "Results",
    measures: Sequence[str] | None = None,
    view: str | None = None,
    controls: Sequence[str] = ("sibling", "untrained"),
) -> dict[str, pd.DataFrame]:
    """What the dense network scores against its controls, by (measure, layer index).

    Columns as in `over_seeds`. Two trainings reach the level of the sibling; what is not learnt is at the untrained's.
    """
    tables = {}
    for reference in controls:
        scores = select(results, measures, view, reference)
        tables[reference] = over_seeds(scores[scores["level"] == 0], ["measure", "layer_index"])
    return tables


def nearer_than_sibling(
    results: "Results", measures: Sequence[str] | None = None, view: str | None = None
) -> pd.DataFrame:
    """By (measure, layer index): down to which level the pruned network is nearer to its dense one than a sibling is.

    Columns `sibling` and `untrained` (means at level 0), `last` (mean of the last level's score to dense), `level`
    (of the sparsest network such that it and all denser ones are nearer; 0 if none is), `ok` (all these scores are).
    """
    scores = select(results, measures, view)
    controls = control_levels(results, measures, view)
    summary = over_seeds(scores, ["measure", "layer_index", "level"])
    rows = {}
    for key, levels in summary.groupby(level=["measure", "layer_index"]):
        sign = -1 if MEASURES[key[0]].is_distance else 1
        levels, sibling = levels.droplevel([0, 1]), controls["sibling"].loc[key]
        nearer = (sign * levels["mean"] > sign * sibling["mean"]).loc[1:].cummin()
        rows[key] = {
            "sibling": sibling["mean"],
            "untrained": controls["untrained"].loc[key, "mean"],
            "last": levels["mean"].iloc[-1],
            "level": int(nearer.sum()),
            "ok": bool(levels["ok"].all() and sibling["ok"]),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.set_axis(pd.MultiIndex.from_tuples(table.index, names=["measure", "layer_index"]))


def control_table(results: "Results", measures: Sequence[str] | None = None, view: str | None = None) -> pd.DataFrame:
    """The levels of the controls and how far down pruned networks stay above the sibling's, as text."""
    measures = measures or one_of_each_family(results, view=view)
    table, measured = nearer_than_sibling(results, measures, view), densities(results)
    layers = layers_in(results.similarity)
    columns = {
        "untrained": table["untrained"].map(score_text),
        "another seed": table["sibling"].map(score_text),
        f"pruned to {percent(measured.iloc[-1])}": table["last"].map(score_text),
        "nearer than another seed down to": [_down_to(row, measured) for row in table.itertuples()],
    }
    text = pd.DataFrame(columns).replace("nan", NO_VALUE)
    order = [(measure, index) for measure in measures for index in layers.index if (measure, index) in table.index]
    names = [(title(measure), layers[index]) for measure, index in order]
    return text.loc[order].set_axis(pd.MultiIndex.from_tuples(names, names=["measure", "layer"]))


def _down_to(row, measured: pd.Series) -> str:
    if not row.ok:
        return NO_VALUE
    return percent(measured.iloc[row.level]) + (" (the last level)" if row.level == measured.index[-1] else "")


def control_sentence(results: "Results", measures: Sequence[str] | None = None, view: str | None = None) -> str:
    """Down to which density a pruned network is nearer to its dense network than a dense sibling is."""
    measured = densities(results)
    if len(measured) == 1:
        return "There is no pruned network here."
    table = nearer_than_sibling(results, measures or one_of_each_family(results, view=view), view)
    layers, parts = layers_in(results.similarity), []
    for measure, rows in table[table["ok"]].groupby(level="measure", sort=False):
        lasting = int((rows["level"] == measured.index[-1]).sum())
        if lasting == len(rows):
            parts.append(f"by {named(measure)} in every layer")
            continue
        first = rows["level"].idxmin()
        end = rows.loc[first, "level"]
        since = "from the first level on" if end == 0 else f"below {percent(measured.iloc[end])}"
        parts.append(
            f"by {named(measure)} in {lasting or 'none'} of {counted(len(rows), 'layer')} (first lost in "
            f"{layers[first[1]]}, {since})"
        )
    if not parts:
        return "There is no score here that is ok at every level."
    return (
        f"Down to the last level, {percent(measured.iloc[-1])} of the weights, the network stays nearer to its dense "
        f"network than a dense network of another seed is {listed(parts)}."
    )


def reference_means(
    results: "Results", density: float, measures: Sequence[str] | None = None, view: str | None = None
) -> pd.DataFrame:
    """Score to each reference (columns) by measure (rows) at the level nearest to a density, mean over sound layers."""
    level, columns = nearest_level(results, density), {}
    for reference in results.similarity["reference"].unique():
        scores = select(results, measures, view, reference)
        summary = over_seeds(scores[scores["level"] == level], ["measure", "layer_index"])
        columns[reference] = summary["mean"].where(summary["ok"])
    table = pd.DataFrame(columns).dropna()
    return table.groupby(level="measure").mean().reindex(measures_in(select(results, measures, view))).dropna()


def reference_sentence(
    results: "Results", *, density: float = 0.1, measures: Sequence[str] | None = None, view: str | None = None
) -> str:
    """How similar the pruned network is, on average over layers, to each of what it is compared with."""
    table = reference_means(results, density, measures or one_of_each_family(results, view=view), view)
    if table.empty:
        return "There is no layer here in which every score is ok."
    start = percent(densities(results)[nearest_level(results, density)])
    parts = []
    for measure, row in table.iterrows():
        best = not MEASURES[measure].is_distance
        ranked = row.sort_values(ascending=not best)
        scores = listed(f"{value:.2f} to {REFERENCE_WORDS[reference]}" for reference, value in ranked.items())
        parts.append(f"by {named(measure)}, {scores}")
    return f"With {start} of the weights left, averaged over the layers in which every score is ok: {'; '.join(parts)}."


def reference_table(
    results: "Results", *, density: float = 0.1, measures: Sequence[str] | None = None, view: str | None = None
) -> pd.DataFrame:
    """Score by measure and layer (rows) and reference (columns) at the level nearest to a density, as text."""
    measures = measures or one_of_each_family(results, view=view)
    level, columns = nearest_level(results, density), {}
    for reference in results.similarity["reference"].unique():
        scores = select(results, measures, view, reference)
        summary = over_seeds(scores[scores["level"] == level], ["measure", "layer_index"])
        columns[REFERENCE_WORDS[reference]] = pd.Series(
            [spread(row, score_text) for _, row in summary.iterrows()], index=summary.index
        )
    table, layers = pd.DataFrame(columns), layers_in(results.similarity)
    order = [(measure, index) for measure in measures for index in layers.index if (measure, index) in table.index]
    names = [(title(measure), layers[index]) for measure, index in order]
    return table.loc[order].set_axis(pd.MultiIndex.from_tuples(names, names=["measure", "layer"]))


def dip_sentence(results: "Results", **choice) -> str:
    """Whether similarity is high in the first and the last layer and markedly lower in between, by measure.

    That is what Ansuini et al. (2020) found by SVCCA.
    """
    last = densities(results).index[-1]
    profile = profile_means(results, last, **choice).dropna(axis="columns")
    if profile.empty or len(profile) < 3 or last == 0:
        return "There is no measure here that is ok in every layer."
    inner = profile.iloc[1:-1]
    depth = profile.iloc[[0, -1]].min() - inner.min()
    dips = {True: [], False: []}
    for measure in profile:
        ends = f"{profile[measure].iloc[0]:.2f} and {profile[measure].iloc[-1]:.2f}"
        text = f"{named(measure)} ({inner[measure].min():.2f} in {inner[measure].idxmin()}, {ends} at the ends)"
        dips[bool(depth[measure] > DIP)].append(text)
    if not dips[True]:
        verdict = f"by no measure: {listed(dips[False])}"
    else:
        verdict = f"by {listed(dips[True])}" + (f", and not by {listed(dips[False])}" if dips[False] else "")
    return (
        f"With {percent(densities(results).iloc[-1])} of the weights left, some layer in between is less similar than "
        f"the first and the last one, by more than {DIP:g}, {verdict}."
    )


def study_sentences(results: "Results", published: "Results", *, density: float = 0.1) -> dict[str, str]:
    """What a study's page says beyond `sentences`: on its size, on the controls and on what an earlier study found.

    `published` holds the scores of the same run as that study took them: SVCCA with channels as variables.
    """
    return {
        "caveats": caveats_sentence(results),
        "dip": dip_sentence(results),
        "published_dip": dip_sentence(published),
        "controls_by_density": control_sentence(results),
        "reference_profiles": reference_sentence(results, density=density),
    }
