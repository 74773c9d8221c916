"""Tables and sentences about a run beside its controls, the ways of retraining beside each other, and all studies."""

import dataclasses
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.comparison import RunComparison
from simprune.data import DATASETS
from simprune.disagreement import rank_agreement
from simprune.experiment import Experiment
from simprune.findings.common import (
    NO_VALUE,
    REFERENCE_WORDS,
    accuracy_percent,
    counted,
    densities,
    duration,
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
from simprune.findings.results import CHANGED, circumstances, profile_means
from simprune.measures import MEASURES
from simprune.models import ARCHITECTURES
from simprune.store import TABLES, Store
from simprune.study import load, run

if TYPE_CHECKING:
    from simprune.study import Results

# At most so many measures are drawn where each takes a column.
COLUMNS = 3
# A layer in between counts as markedly less similar if it is so much below the first and the last one.
DIP = 0.05
# What Renda et al. (2020) found of LR rewinding on CIFAR-10: so near to the dense network, down to that density,
RENDA_NEAR, RENDA_DENSITY = 0.005, 0.2
# and better than fine-tuning below that one.
RENDA_FINETUNE = 0.4

# Ways of pruning and retraining that are compared: what each is called, and how it differs from the study's own.
VARIANTS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "lr_rewind": ("LR rewinding", {}),
    "weight_rewind": ("weight rewinding", {"retraining": "weight_rewind"}),
    "finetune": ("fine-tuning", {"retraining": "finetune"}),
    "reinitialise": ("same masks, new weights", {"retraining": "reinitialise"}),
    "random": ("random pruning", {"criterion": "random"}),
    # In rounds or in one shot: without retraining in between the networks are the same.
    "none": ("no retraining", {"retraining": "none"}),
    "no_pruning": ("retraining without pruning", {"criterion": "none"}),
}
STUDY_PROFILES = ("paper", "laptop")
UNFINISHED = 0.01  # gain of accuracy by training on from which a dense network counts as not trained to its end


# What is stored, and how it was made ------------------------------------------------------------------------


def stored_seeds(experiment: Experiment, store: str | PathLike | None = None) -> tuple[int, ...]:
    """The seeds of an experiment that are stored, by the user or shipped, with every score that it asks for."""
    place = Store(store)
    return tuple(
        sorted(
            {
                seed
                for other, _ in place.stored()
                if other.name == experiment.name
                for seed in other.seeds
                if any(_scores(experiment) <= result.scores() for result in place.read_seed(experiment, seed))
            }
        )
    )


def _scores(experiment: Experiment) -> set[tuple[str, str, str]]:
    return RunComparison.scores(experiment.references, experiment.views, experiment.measures)


def command(experiment: Experiment) -> str:
    """The command line that makes the tables of an experiment.

    Measures, views and references are named only where the profile would not compute them anyway.
    """
    usual = Experiment(experiment.architecture, experiment.dataset, profile=experiment.profile)
    words = ["simprune run", experiment.architecture, experiment.dataset, "--profile", experiment.profile]
    words += ["--seeds", ",".join(map(str, experiment.seeds))]
    for field in dataclasses.fields(Experiment):
        value, default = getattr(experiment, field.name), getattr(usual, field.name)
        option = "--" + field.name.replace("_", "-")
        if field.name in ("seeds", "architecture", "dataset", "profile") or value == default:
            continue
        if isinstance(value, bool):
            words.append(option)
        elif isinstance(value, tuple):
            words += [] if set(value) <= set(default) else [option, ",".join(value)]
        else:
            words += [option, str(value)]
    return " ".join(words)


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


def study_title(experiment: Experiment) -> str:
    """A study in words: "LeNet-5 on Fashion-MNIST"."""
    dataset = experiment.dataset
    words = DATASETS[dataset].title if dataset in DATASETS else dataset
    return f"{ARCHITECTURES[experiment.architecture].title} on {words}"


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


def one_of_each_family(results: "Results", measures: Sequence[str] | None = None, view: str | None = None) -> list[str]:
    """At most three similarities of different families: of each the one with the most scores that are ok."""
    scores = select(results, measures, view)
    scores = scores[~scores["measure"].map(lambda name: MEASURES[name].is_distance)]
    sound = scores["status"].str.startswith("ok").groupby(scores["measure"], sort=False).mean()
    families = sound.groupby(sound.index.map(lambda name: MEASURES[name].family), sort=False)
    return list(families.idxmax())[:COLUMNS]


def control_levels(
    results: "Results", measures: Sequence[str] | None = None, view: str | None = None
) -> dict[str, pd.DataFrame]:
    """What the dense network scores against its controls, by (measure, layer index): `sibling` and `untrained`.

    Columns as in `over_seeds`. Two trainings reach the level of the sibling; what is not learnt is at the untrained's.
    """
    tables = {}
    for reference in ("sibling", "untrained"):
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


# Ways of pruning and retraining -----------------------------------------------------------------------------


def stored_variants(experiment: Experiment, store: str | PathLike | None = None) -> dict[str, "Results"]:
    """The stored results of an experiment and of its variants, by the names in `VARIANTS`, each with all its seeds.

    Those that are not stored are left out; nothing is given if the experiment itself is not stored.
    """
    fields = {name: experiment.replace(**changes) for name, (_, changes) in VARIANTS.items()}
    held = {name: stored_seeds(variant, store) for name, variant in fields.items()}
    if not held["lr_rewind"]:
        return {}
    return {name: load(fields[name].replace(seeds=seeds), store=store) for name, seeds in held.items() if seeds}


def variants(
    experiment: Experiment,
    *,
    seeds: Sequence[int] | None = None,
    store: str | PathLike | None = None,
    data: str | PathLike | None = None,
) -> dict[str, "Results"]:
    """The results of an experiment and of its variants, by the names in `VARIANTS`.

    Without `seeds`, what is stored is read as by `stored_variants`; with them, or if nothing is stored, all are
    computed where they are missing.
    """
    if seeds is None and (stored := stored_variants(experiment, store)):
        return stored
    return {
        name: run(experiment.replace(seeds=seeds or (0,), **changes), store=store, data=data)
        for name, (_, changes) in VARIANTS.items()
    }


def accuracies(results: "Results") -> pd.DataFrame:
    """Test accuracy by level, as in `over_seeds`."""
    table = results.performance
    return over_seeds(table.assign(value=table["test_accuracy"], status="ok"), "level")


def variant_table(runs: Mapping[str, "Results"], at: Sequence[float] = (0.4, 0.2, 0.1)) -> pd.DataFrame:
    """Test accuracy of every variant (rows) at the levels nearest to some densities (columns), as text.

    A variant that is not there has a row that says so.
    """
    if not runs:
        return pd.DataFrame({"seeds": dict.fromkeys((words for words, _ in VARIANTS.values()), "not computed yet")})
    base = runs["lr_rewind"]
    levels = list(dict.fromkeys([0, *(nearest_level(base, density) for density in at), densities(base).index[-1]]))
    heads = [percent(densities(base)[level]) for level in levels]
    rows = {}
    for name, (words, _) in VARIANTS.items():
        if name not in runs:
            rows[words] = ["not computed yet", *[NO_VALUE] * (len(levels) + 1)]
            continue
        results = runs[name]
        held = accuracies(results)
        cells = [spread(held.loc[level], accuracy_percent) for level in levels]
        rows[words] = [_numbers(results.experiment.seeds), *cells, duration(results.provenance["duration"])]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["seeds", *heads, "time"])


def variant_accuracy_table(runs: Mapping[str, "Results"]) -> pd.DataFrame:
    """Test accuracy of every variant (columns) at each level (rows), as text."""
    held = {
        VARIANTS[name][0]: [spread(row, accuracy_percent) for _, row in accuracies(results).iterrows()]
        for name, results in runs.items()
    }
    table = pd.DataFrame.from_dict(held, orient="index").T.fillna(NO_VALUE)
    return table.set_axis(densities(runs["lr_rewind"]).map(percent)).rename_axis(index=None, columns="density")


def variant_commands(experiment: Experiment, runs: Mapping[str, "Results"]) -> pd.DataFrame:
    """The command line that makes the tables of each variant: for the seeds of its run, or those of LR rewinding."""
    rows = {}
    for name, (words, changes) in VARIANTS.items():
        seeds = (runs.get(name) or runs["lr_rewind"]).experiment.seeds
        rows[words] = command(experiment.replace(**changes, seeds=seeds))
    return pd.DataFrame({"": rows})


def _numbers(seeds: Sequence[int]) -> str:
    return listed(map(str, seeds))


def missing_sentence(runs: Mapping[str, "Results"]) -> str:
    """Which variants are not there."""
    missing = [words for name, (words, _) in VARIANTS.items() if name not in runs]
    if not missing:
        return "All variants are here."
    return f"Not computed yet, and hence in no figure: {listed(missing)}."


def renda_sentence(runs: Mapping[str, "Results"]) -> str:
    """Whether LR rewinding keeps to the dense network's accuracy as far down as Renda et al. (2020) found."""
    held = accuracies(runs["lr_rewind"])
    near = (held["mean"] >= held["mean"].iloc[0] - RENDA_NEAR).cummin()
    down = held.loc[near, "density"].iloc[-1]
    points = f"{100 * RENDA_NEAR:g}"
    nearest = held.index[(np.log(held["density"]) - np.log(RENDA_DENSITY)).abs().argmin()]
    as_far = held.loc[nearest, "density"] >= down
    gap = 100 * (held["mean"].iloc[0] - held.loc[nearest, "mean"])
    side = "below" if gap > 0 else "above"
    verdict = "That is" if as_far else "That is not"
    return (
        f"LR rewinding stays within {points} percentage points of the dense network down to {percent(down)} of the "
        f"weights; at {percent(held.loc[nearest, 'density'])} it is {abs(gap):.2f} points {side} it. {verdict} as far "
        f"down as Renda et al. (2020) found on CIFAR-10, about {percent(RENDA_DENSITY)}."
    )


def finetune_sentence(runs: Mapping[str, "Results"]) -> str:
    """Whether LR rewinding beats fine-tuning at low densities, as Renda et al. (2020) found; over the seeds of both."""
    if "finetune" not in runs:
        return "Fine-tuning is not computed yet."
    gaps = variant_gaps(runs)
    if "finetune" not in gaps.index.unique("variant"):
        return "Fine-tuning and LR rewinding have no seed in common."
    gaps = gaps.loc["finetune"]
    gaps = gaps[gaps["density"] < RENDA_FINETUNE]
    if gaps.empty:
        return f"No level that both have is below {percent(RENDA_FINETUNE)}."
    better, always = int((gaps["mean"] < 0).sum()), int((gaps["high"] < 0).sum())
    agrees = "as" if better == len(gaps) else ("in part as" if better > len(gaps) / 2 else "unlike what")
    seeds = _common_seeds(runs, "finetune")
    each = f" on average, and at {always} of them with every one of {seeds} seeds" if seeds > 1 else " with one seed"
    return (
        f"Below {percent(RENDA_FINETUNE)} of the weights LR rewinding is more accurate than fine-tuning at {better} of "
        f"{counted(len(gaps), 'level')}{each} (fine-tuning is {_signed(gaps['mean'].min())} to "
        f"{_signed(gaps['mean'].max())} percentage points from it), {agrees} Renda et al. (2020) found on CIFAR-10."
    )


def fit_sentence(runs: Mapping[str, "Results"]) -> str:
    """Whether what LR rewinding and fine-tuning differ by is fit to the training images, or shows on test images."""
    if "finetune" not in (gaps := variant_gaps(runs, "train_accuracy")).index.unique("variant"):
        return "How well fine-tuning fits the training images is not computed yet."
    fit = gaps.loc["finetune"]
    fit = fit.loc[fit["density"] < RENDA_FINETUNE, "mean"]
    test = variant_gaps(runs).loc[("finetune", fit.index), "mean"]
    if fit.empty:
        return f"No level that both have is below {percent(RENDA_FINETUNE)}."
    ahead = int((fit < 0).sum())
    text = (
        f"On the training images fine-tuning is {_signed(fit.min())} to {_signed(fit.max())} points from LR rewinding "
        f"at these levels, and behind at {ahead} of {len(fit)}."
    )
    if ahead == len(fit) and (test < 0).sum() <= len(fit) / 2:
        text += (
            " So LR rewinding does train further, as it should; but what it gains here is fit to the training images, "
            "which the test images do not reward."
        )
    return text


def variant_gaps(runs: Mapping[str, "Results"], column: str = "test_accuracy") -> pd.DataFrame:
    """Test accuracy above that of LR rewinding with the same seed, in percentage points, by (variant, level).

    `column`: another accuracy of the table of performance. Columns as in `over_seeds`; a variant that shares no seed
    with LR rewinding is not in it.
    """
    tables, base = {}, runs["lr_rewind"].performance
    for name, results in runs.items():
        if name == "lr_rewind":
            continue
        both = base.merge(results.performance[["seed", "level", column]], on=["seed", "level"])
        if len(both):
            gap = 100 * (both[f"{column}_y"] - both[f"{column}_x"])
            tables[name] = over_seeds(both.assign(value=gap, status="ok"), "level")
    if not tables:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], []], names=["variant", "level"]))
    return pd.concat(tables, names=["variant"])


def _common_seeds(runs: Mapping[str, "Results"], name: str) -> int:
    """How many seeds a variant shares with LR rewinding."""
    return len(set(runs[name].experiment.seeds) & set(runs["lr_rewind"].experiment.seeds))


def variant_gap_table(runs: Mapping[str, "Results"]) -> pd.DataFrame:
    """`variant_gaps` as text: density (rows) by variant (columns)."""
    gaps = variant_gaps(runs)
    columns = {
        f"{VARIANTS[name][0]} ({counted(_common_seeds(runs, name), 'seed')})": [
            _signed_spread(row) for _, row in gaps.loc[name].reindex(densities(runs["lr_rewind"]).index).iterrows()
        ]
        for name in gaps.index.unique("variant")
    }
    table = pd.DataFrame(columns, densities(runs["lr_rewind"]).map(percent))
    return table.rename_axis(index=None, columns="density")


def gap_sentence(runs: Mapping[str, "Results"]) -> str:
    """How far each variant's accuracy is from that of LR rewinding where the fewest weights are left, seed by seed."""
    gaps = variant_gaps(runs)
    if gaps.empty:
        return "There is nothing here that LR rewinding could be compared with."
    last = densities(runs["lr_rewind"]).index[-1]
    parts = [
        f"{VARIANTS[name][0]} {_signed_spread(gaps.loc[name, last])} ({counted(_common_seeds(runs, name), 'seed')})"
        for name in gaps.index.unique("variant")
        if (name, last) in gaps.index
    ]
    return (
        f"At {percent(densities(runs['lr_rewind'])[last])} of the weights, in percentage points of test accuracy above "
        f"LR rewinding with the same seed: {listed(parts)}."
    )


def _signed(points: float) -> str:
    """Percentage points with their sign, in two decimals; what rounds to nothing is 0.00."""
    rounded = round(points, 2)
    return f"{rounded:+.2f}".replace("-", "\u2212") if rounded else "0.00"


def _signed_spread(summary: pd.Series) -> str:
    if np.isnan(summary["mean"]):
        return NO_VALUE
    mean, low, high = (_signed(summary[name]) for name in ("mean", "low", "high"))
    return mean if low == high else f"{mean} ({low} to {high})"


def variant_means(
    runs: Mapping[str, "Results"], density: float, measures: Sequence[str] | None = None, view: str | None = None
) -> pd.DataFrame:
    """Similarity to the dense network by variant (rows) and measure (columns), mean over layers.

    At the level that is nearest to a density in the run with LR rewinding, over the layers in which the scores of all
    variants are ok.
    """
    level = nearest_level(runs["lr_rewind"], density)
    profiles = {name: profile_means(results, level, measures=measures, view=view) for name, results in runs.items()}
    sound = pd.concat(profiles, names=["variant"]).stack().unstack("variant").dropna()
    return sound.groupby(level=-1, sort=False).mean().T.reindex(list(runs))


def variant_means_table(
    runs: Mapping[str, "Results"], *, density: float = 0.1, measures: Sequence[str] | None = None
) -> pd.DataFrame:
    """`variant_means` as text."""
    means = variant_means(runs, density, measures or one_of_each_family(runs["lr_rewind"]))
    text = means.map(lambda value: NO_VALUE if np.isnan(value) else score_text(value))
    return text.rename(index=lambda name: VARIANTS[name][0], columns=title).rename_axis(index=None, columns=None)


def variant_similarity_sentence(
    runs: Mapping[str, "Results"], *, density: float = 0.1, measures: Sequence[str] | None = None
) -> str:
    """Which way of retraining leaves representations nearest to the dense network's, and which farthest."""
    measures = measures or one_of_each_family(runs["lr_rewind"])
    means = variant_means(runs, density, measures)
    pruned = means.drop(index="no_pruning", errors="ignore")
    if pruned.empty or len(pruned) < 2:
        return "There is nothing here that LR rewinding could be compared with."
    parts = [
        f"by {named(measure)}, {_best_and_worst(pruned[measure].sort_values(ascending=False))}" for measure in means
    ]
    start = percent(densities(runs["lr_rewind"])[nearest_level(runs["lr_rewind"], density)])
    where = "averaged over the layers in which every score is ok"
    return f"With {start} of the weights left, and {where}: {'; '.join(parts)}."


def _best_and_worst(ranked: pd.Series) -> str:
    first, last = ranked.index[0], ranked.index[-1]
    return (
        f"{VARIANTS[first][0]} is nearest to the dense network ({ranked.iloc[0]:.2f}) and {VARIANTS[last][0]} farthest "
        f"from it ({ranked.iloc[-1]:.2f})"
    )


def no_pruning_sentence(
    runs: Mapping[str, "Results"], *, density: float = 0.1, measures: Sequence[str] | None = None
) -> str:
    """How much representations change by training on alone, without pruning."""
    if "no_pruning" not in runs:
        return "Retraining without pruning is not computed yet."
    measures = measures or one_of_each_family(runs["lr_rewind"])
    means = variant_means(runs, density, measures)
    parts = [
        f"{means.loc['no_pruning', measure]:.2f} by {named(measure)}, where the pruned network is at "
        f"{means.loc['lr_rewind', measure]:.2f}"
        for measure in means
    ]
    if not parts:
        return "There is no layer here in which every score is ok."
    start = "Trained on for as many epochs without losing a weight, a network is this similar to what it was"
    return f"{start} ({counted(_common_seeds(runs, 'no_pruning'), 'seed')}): {'; '.join(parts)}."


def variant_similarity_table(
    runs: Mapping[str, "Results"], *, density: float = 0.1, measures: Sequence[str] | None = None
) -> pd.DataFrame:
    """Similarity to the dense network by variant (rows), measure and layer (columns) near a density, as text."""
    measures = measures or one_of_each_family(runs["lr_rewind"])
    level = nearest_level(runs["lr_rewind"], density)
    rows = {}
    for name, results in runs.items():
        scores = select(results, measures)
        summary = over_seeds(scores[scores["level"] == level], ["measure", "layer_index"])
        layers = layers_in(scores)
        rows[VARIANTS[name][0]] = {
            (title(measure), layers[index]): spread(summary.loc[measure, index], score_text)
            for measure in measures
            for index in layers.index
        }
    return pd.DataFrame.from_dict(rows, orient="index").T.rename_axis(index=["measure", "layer"])


def retraining_sentences(
    runs: Mapping[str, "Results"], other: Mapping[str, "Results"], *, density: float = 0.1
) -> dict[str, str]:
    """The conclusions of the page on ways of retraining; those of figures by the name of the function in `plots`.

    `other`: the same runs for the dataset that the page ends with, or none.
    """
    return {
        "missing": missing_sentence(runs),
        "retraining_accuracy": f"{renda_sentence(runs)} {finetune_sentence(runs)}",
        "retraining_similarity": no_pruning_sentence(runs, density=density),
        "retraining_profiles": variant_similarity_sentence(runs, density=density),
        "retraining_gaps": gap_sentence(runs),
        "retraining_fit": fit_sentence(runs),
        "other": " ".join(
            [renda_sentence(other), finetune_sentence(other), variant_similarity_sentence(other, density=density)]
            if other
            else ["Nothing of it is computed yet."]
        ),
    }


# All studies ------------------------------------------------------------------------------------------------


def stored_studies(
    *,
    profiles: Sequence[str] = STUDY_PROFILES,
    measures: Sequence[str],
    view: str = "flatten",
    store: str | PathLike | None = None,
) -> dict[str, "Results"]:
    """Every study that is stored, by its name in words: of each architecture and dataset the first of these profiles.

    A study is pruned and retrained as its profile says, and compared with all references.
    """
    found = {}
    for profile in profiles:
        for stored, _ in Store(store).stored():
            asked = Experiment(stored.architecture, stored.dataset, profile=profile, measures=measures, views=[view])
            if stored.name != asked.name or study_title(asked) in found:
                continue
            seeds = stored_seeds(asked, store)
            if seeds:
                found[study_title(asked)] = load(asked.replace(seeds=seeds), store=store)
    order = [(architecture, dataset) for architecture in ARCHITECTURES for dataset in DATASETS]
    return dict(
        sorted(
            found.items(), key=lambda item: order.index((item[1].experiment.architecture, item[1].experiment.dataset))
        )
    )


def study_table(all_studies: Mapping[str, "Results"], *, density: float = 0.1) -> pd.DataFrame:
    """One row for each study: its size, its accuracies, and what it was computed on for how long."""
    rows = {}
    for name, results in all_studies.items():
        experiment, held, made = results.experiment, accuracies(results), results.provenance
        level = nearest_level(results, density)
        rows[name] = {
            "profile": experiment.profile,
            "width": f"{experiment.width:g}",
            "seeds": _numbers(experiment.seeds),
            "levels": str(experiment.levels),
            "epochs a level": str(experiment.epochs),
            "dense": spread(held.iloc[0], accuracy_percent),
            f"near {percent(density)}": f"{spread(held.loc[level], accuracy_percent)} at "
            f"{percent(held.loc[level, 'density'])}",
            "data": made["data"]["source"],
            "device": made["device"],
            "time": duration(made["duration"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def studies_accuracy_table(all_studies: Mapping[str, "Results"]) -> pd.DataFrame:
    """Test accuracy of every study (columns) at each level's density (rows), as text."""
    columns = {}
    for name, results in all_studies.items():
        held = accuracies(results)
        columns[name] = pd.Series([spread(row, accuracy_percent) for _, row in held.iterrows()], held.index)
        columns[name].index = held["density"].round(4)
    table = pd.DataFrame(columns).sort_index(ascending=False).fillna(NO_VALUE)
    return table.rename(index=percent).rename_axis(index=None, columns="density")


def least_similar(all_studies: Mapping[str, "Results"]) -> pd.DataFrame:
    """By (study, measure): the least similar layer at the last level, `value` and `depth` (0 first … 1 last).

    Only measures that are ok in every layer are in it.
    """
    rows = {}
    for name, results in all_studies.items():
        profile = profile_means(results, densities(results).index[-1]).dropna(axis="columns")
        for measure in profile:
            place = int(profile[measure].argmin())
            rows[name, measure] = {
                "layer": profile.index[place],
                "depth": place / max(len(profile) - 1, 1),
                "value": profile[measure].iloc[place],
            }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["layer", "depth", "value"])
    return table.set_axis(pd.MultiIndex.from_tuples(table.index, names=["study", "measure"]))


def fall_density(all_studies: Mapping[str, "Results"]) -> pd.DataFrame:
    """By (study, measure): the `density` at which the mean over sound layers first falls below `CHANGED`; NaN: never.

    `last` is the density of the study's last level.
    """
    rows = {}
    for name, results in all_studies.items():
        measured = densities(results)
        profiles = {level: profile_means(results, level) for level in measured.index}
        for measure in profiles[0]:
            table = pd.DataFrame({level: profile[measure] for level, profile in profiles.items()}).dropna()
            below = table.mean() < CHANGED
            if len(table):
                rows[name, measure] = {
                    "density": measured[below.idxmax()] if below.any() else np.nan,
                    "last": measured.iloc[-1],
                    "layers": len(table),
                }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["density", "last", "layers"])
    return table.set_axis(pd.MultiIndex.from_tuples(table.index, names=["study", "measure"]))


def pair_agreement(all_studies: Mapping[str, "Results"]) -> pd.DataFrame:
    """Kendall's τ of every two measures (rows) in each study (columns)."""
    columns = {}
    for name, results in all_studies.items():
        matrix = rank_agreement(select(results))
        columns[name] = {
            (one, other): matrix.loc[one, other]
            for place, one in enumerate(matrix.index)
            for other in matrix.index[place + 1 :]
        }
    return pd.DataFrame(columns).rename_axis(index=["measure", "other"])


def conclusion_table(all_studies: Mapping[str, "Results"]) -> pd.DataFrame:
    """What each measure (rows) concludes in each study (columns): the least similar layer, where similarity falls."""
    layer, fall = least_similar(all_studies)["layer"], fall_density(all_studies)
    measures = list(
        dict.fromkeys(measure for results in all_studies.values() for measure in results.experiment.measures)
    )
    columns = {}
    for name in all_studies:
        for words, text in (
            ("least similar", lambda key: layer.get(key, NO_VALUE)),
            (f"below {CHANGED:g} at", lambda key: _fall(fall, key)),
        ):
            columns[name, words] = {title(measure): text((name, measure)) for measure in measures}
    return pd.DataFrame(columns)


def _fall(fall: pd.DataFrame, key: tuple[str, str]) -> str:
    if key not in fall.index:
        return NO_VALUE
    density = fall.loc[key, "density"]
    return "never" if np.isnan(density) else percent(density)


def pair_table(all_studies: Mapping[str, "Results"]) -> pd.DataFrame:
    """Kendall's τ of every two measures (rows) in each study (columns), as text."""
    table = pair_agreement(all_studies)
    text = table.map(lambda tau: NO_VALUE if np.isnan(tau) else f"{tau:.2f}")
    return text.set_axis(
        pd.MultiIndex.from_tuples([tuple(map(title, pair)) for pair in table.index], names=["measure", "other"])
    )


def all_accuracy_sentence(all_studies: Mapping[str, "Results"]) -> str:
    """How far down each study keeps its accuracy within a percentage point of the dense network's."""
    parts = []
    for name, results in all_studies.items():
        held = accuracies(results)
        near = (held["mean"] >= held["mean"].iloc[0] - 0.01).cummin()
        down = percent(held.loc[near, "density"].iloc[-1])
        parts.append(f"{name} ({accuracy_percent(held['mean'].iloc[0])} when dense) to {down}")
    return (
        f"Accuracy is never more than one percentage point below the dense network's down to these densities: "
        f"{listed(parts)}."
    )


def all_layers_sentence(all_studies: Mapping[str, "Results"]) -> str:
    """Which layer each measure calls least similar, study by study, and whether it is one in between in all.

    Only a measure that is ok in every layer of every study is spoken of for all; of others it is said where they are.
    """
    table, parts = least_similar(all_studies), []
    if table.empty:
        return "In no study is a measure ok in every layer at the last level."
    for name, rows in table.groupby(level="study", sort=False):
        by_layer = rows.reset_index("measure").groupby("layer", sort=False)["measure"].agg(list)
        parts.append(f"{listed(f'{layer} by {listed(map(named, by))}' for layer, by in by_layer.items())} in {name}")
    inner = table["depth"].between(0, 1, inclusive="neither").unstack("study").reindex(columns=list(all_studies))
    always = [measure for measure in table.index.unique("measure") if inner.loc[measure].eq(True).all()]
    by = f"By {_names(always)}" if always else "By no measure"
    return " ".join(
        [
            f"At the last level the least similar layer is {'; '.join(parts)}.",
            f"{by} {'it is' if always else 'is it'} a layer in between in every study.",
            *_not_in_every_study(all_studies, table),
        ]
    )


def _not_in_every_study(all_studies: Mapping[str, "Results"], table: pd.DataFrame) -> list[str]:
    """In which studies `least_similar` has the measures that it does not have in all; no sentence if it has all."""
    by_studies: dict[tuple[str, ...], list[str]] = {}
    for measure in dict.fromkeys(name for results in all_studies.values() for name in results.experiment.measures):
        if not MEASURES[measure].is_distance:
            held = tuple(name for name in all_studies if (name, measure) in table.index)
            by_studies.setdefault(held, []).append(measure)
    by_studies.pop(tuple(all_studies), None)
    nowhere = by_studies.pop((), [])
    if not by_studies:
        return [f"In no study {_verb(nowhere, 'is')} {_names(nowhere)} ok in every layer."] if nowhere else []
    parts = []
    for held, measures in by_studies.items():
        parts.append(f"{_names(measures)} {_verb(measures, 'is')} ok in every layer in {listed(held)} only")
    text = "; ".join(parts) + (f", and {_names(nowhere)} in no study" if nowhere else "")
    return [f"{text[0].upper()}{text[1:]}."]


def _names(measures: Sequence[str]) -> str:
    return listed(map(named, measures))


def _verb(subjects: Sequence[str], singular: str) -> str:
    """A verb in the number of its subjects."""
    plural = {"is": "are", "does": "do", "falls": "fall"}
    return singular if len(subjects) == 1 else plural[singular]


def all_fall_sentence(all_studies: Mapping[str, "Results"]) -> str:
    """Which measures are among the first to fall, and which among the last, in every study; if none are, in each study.

    Measures that are tied count alike. With it: over how many layers the means of these measures are.
    """
    fall, below = fall_density(all_studies), f"below {CHANGED:g}"
    if fall["density"].isna().all():
        return f"In no study does a measure fall {below}."
    ends = {name: _first_and_last(fall, name) for name in all_studies}
    firsts, lasts = zip(*ends.values(), strict=True)
    first, last = _in_all(firsts), _in_all(lasts)
    measures = fall.index.unique("measure")
    if len(last) == len(measures):  # In each study all fall at once or none does: no measure is behind the others.
        last = []
    said = []
    if first:
        said.append(f"{_among(first, firsts, 'first')} to fall {below}")
    if last:
        said.append(_last_to_fall(fall, last, lasts, "below it" if first else below))
    if len(first) == len(measures):
        text = f"In every study all measures fall {below} at once"
    elif said:
        text = f"In every study {', and '.join(said)}"
        if len(said) == 1:
            text += f"; which falls {'last' if first else 'first'} depends on the study"
    else:
        parts = "; ".join(f"{_order(fall, name, *ends[name])} in {name}" for name in all_studies)
        text = f"Which measure falls {below} first, and which last, depends on the study: {parts}"
    named_there = {*first, *last} if said else {measure for tied in (*firsts, *lasts) for measure in tied}
    return f"{text}. {_layers_of_means(fall, [measure for measure in measures if measure in named_there])}"


def _first_and_last(fall: pd.DataFrame, study: str) -> tuple[list[str], list[str]]:
    """All measures that are the first to fall in a study (none if nothing falls), and all that are last or never do."""
    density = fall["density"][fall.index.isin([study], level="study")].droplevel("study")
    order = density.fillna(0)  # Never comes after the last level.
    return list(density.index[density == density.max()]), list(order.index[order == order.min()])


def _in_all(by_study: Sequence[list[str]]) -> list[str]:
    return [measure for measure in by_study[0] if all(measure in tied for tied in by_study)]


def _among(measures: Sequence[str], by_study: Sequence[list[str]], place: str) -> str:
    """For example "mean CCA is the first", or "is among the first" if others are tied with it in a study."""
    tied = any(len(others) > len(measures) for others in by_study)
    return f"{_names(measures)} {_verb(measures, 'is')} {'among ' if tied else ''}the {place}"


def _last_to_fall(fall: pd.DataFrame, last: Sequence[str], lasts: Sequence[list[str]], below: str) -> str:
    never = fall.loc[fall.index.isin(last, level="measure"), "density"].isna()
    if never.all():
        return f"{_names(last)} never {_verb(last, 'falls')} {below}"
    reserve = f" or never {_verb(last, 'does')}" if never.any() else ""
    return f"{_among(last, lasts, 'last')} to fall {below}{reserve}"


def _order(fall: pd.DataFrame, study: str, first: Sequence[str], last: Sequence[str]) -> str:
    """What falls first and last in a study: "mean CCA first, and linear CKA and NBS never"."""
    if not first:
        return "none at all"
    if first == last:
        return "all at once"
    never = np.isnan(fall.loc[(study, last[0]), "density"])
    return f"{_names(first)} first, and {_names(last)} {'never' if never else 'last'}"


def _layers_of_means(fall: pd.DataFrame, measures: Sequence[str]) -> str:
    """Over how many layers the means of these measures are, from study to study."""
    by_number: dict[str, list[str]] = {}
    for measure in measures:
        layers = fall.loc[fall.index.isin([measure], level="measure"), "layers"]
        low, high = layers.min(), layers.max()
        by_number.setdefault(f"{low}" if low == high else f"{low} to {high}", []).append(measure)
    over = "different layers, those" if len(by_number) > 1 else "the layers"
    parts = "; ".join(f"{number} for {_names(those)}" for number, those in by_number.items())
    return f"The means are over {over} in which a measure is ok at every level: {parts}."


def all_agreement_sentence(all_studies: Mapping[str, "Results"]) -> str:
    """Which two measures agree most and least, on average over the studies, and how far studies differ in that."""
    table = pair_agreement(all_studies)
    means = table.mean(axis=1).dropna().sort_values()
    if means.empty:
        return "There are no two measures here whose ranks can be compared."
    least, most = (
        f"{listed(map(named, pair))} agree {word} (Kendall's τ {means[pair]:.2f} on average, "
        f"{table.loc[pair].min():.2f} to {table.loc[pair].max():.2f})"
        for word, pair in (("least", means.index[0]), ("most", means.index[-1]))
    )
    return f"As to which layers and levels are more similar, {most}, and {least}."


def all_sentences(all_studies: Mapping[str, "Results"]) -> dict[str, str]:
    """The conclusions of the page on all studies; those of figures by the name of the function in `plots`."""
    return {
        "studies": f"{len(all_studies)} {'study' if len(all_studies) == 1 else 'studies'}: {listed(all_studies)}",
        "studies_accuracy": all_accuracy_sentence(all_studies),
        "studies_layers": all_layers_sentence(all_studies),
        "studies_fall": all_fall_sentence(all_studies),
        "studies_agreement": all_agreement_sentence(all_studies),
    }
