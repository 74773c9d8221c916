"""The ways of pruning and retraining beside each other."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from os import PathLike
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from simprune.analysis import accuracies, one_of_each_family, profile_means
from simprune.experiment import Experiment
from simprune.findings.common import (
    NO_VALUE,
    accuracy_percent,
    counted,
    densities,
    duration,
    layers_in,
    listed,
    named,
    nearest_level,
    over_seeds,
    percent,
    score_text,
    seed_numbers,
    select,
    spread,
    title,
)
from simprune.findings.studies import command, unfinished_gain
from simprune.results import load, stored_seeds

if TYPE_CHECKING:
    from simprune.results import Results

# What Renda et al. (2020) found of LR rewinding on CIFAR-10: so near to the dense network, down to that density,
RENDA_NEAR, RENDA_DENSITY = 0.005, 0.2
# and better than fine-tuning below that one.
RENDA_FINETUNE = 0.4
# A level is near that density if it is at most so many times away.
RENDA_AWAY = 1.5
# The better and the worse of what they compared, where a tenth of the weights is left.
RENDA_ORDER = (("lr_rewind", "finetune"), ("weight_rewind", "finetune"))
RENDA_AHEAD = 0.001  # an accuracy less than a tenth of a percentage point above another is no lead

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
SIBLING = "dense, another seed"
ANOTHER_SEED = {"sibling": "another seed"}


def stored_variants(
    experiment: Experiment, store: str | PathLike | None = None, seeds: Sequence[int] | None = None
) -> dict[str, "Results"]:
    """The stored results of an experiment and of its variants, by the names in `VARIANTS`, each with all its seeds.

    With `seeds`, of those only.

    Those that are not stored, or of other data than the experiment's, are left out; nothing is given if the experiment
    itself is not stored.
    """
    runs = {}
    for name, (_, changes) in VARIANTS.items():
        variant = experiment.replace(**changes)
        held = [seed for seed in stored_seeds(variant, store) if seeds is None or seed in seeds]
        if held:
            runs[name] = load(variant.replace(seeds=held), store=store)
        elif name == "lr_rewind":
            return {}
    made_from = {name: results.provenance["data"]["fingerprint"] for name, results in runs.items()}
    return {name: results for name, results in runs.items() if made_from[name] == made_from["lr_rewind"]}


def load_retraining(wanted: Iterable[Sequence], store: str | PathLike | None = None) -> dict[str, "Results"]:
    """`stored_variants` of the first study ([architecture, dataset, profile, …]) that has two ways of `RENDA_ORDER`."""
    for architecture, dataset, profile, *_ in wanted:
        experiment = Experiment(
            architecture, dataset, profile=profile, measures=["linear_cka"], views=["flatten"], references=["dense"]
        )
        found = stored_variants(experiment, store)
        if any(set(pair) <= set(found) for pair in RENDA_ORDER):
            return found
    return {}


def variant_table(runs: Mapping[str, "Results"], at: Sequence[float] = (0.4, 0.2, 0.1)) -> pd.DataFrame:
    """Mean test accuracy of every variant (rows) at the levels nearest to some densities (columns), as text.

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
        cells = [accuracy_percent(held.loc[level, "mean"]) for level in levels]
        rows[words] = [seed_numbers(results.experiment.seeds), *cells, duration(results.provenance["duration"])]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["seeds", *heads, "time"])


def variant_accuracy_table(runs: Mapping[str, "Results"]) -> pd.DataFrame:
    """Test accuracy of every variant (columns) at each level (rows), as text, mean and range over its own seeds."""
    held = {}
    for name, results in runs.items():
        words = f"{VARIANTS[name][0]} ({counted(len(results.experiment.seeds), 'seed')})"
        held[words] = [spread(row, accuracy_percent) for _, row in accuracies(results).iterrows()]
    table = pd.DataFrame.from_dict(held, orient="index").T.fillna(NO_VALUE)
    return table.set_axis(densities(runs["lr_rewind"]).map(percent)).rename_axis(index=None, columns="density")


def variant_commands(experiment: Experiment, runs: Mapping[str, "Results"]) -> pd.DataFrame:
    """The command line that makes the tables of each variant: for the seeds of its run, or those of LR rewinding."""
    rows = {}
    for name, (words, changes) in VARIANTS.items():
        seeds = (runs.get(name) or runs["lr_rewind"]).experiment.seeds
        rows[words] = command(experiment.replace(**changes, seeds=seeds))
    return pd.DataFrame({"": rows})


def missing_sentence(runs: Mapping[str, "Results"]) -> str:
    """Which variants are not there."""
    missing = [words for name, (words, _) in VARIANTS.items() if name not in runs]
    if not missing:
        return "Every way was run."
    return f"Not computed yet, and hence in no figure: {listed(missing)}."


class RewindingFacts(NamedTuple):
    """How LR rewinding keeps to the dense network's accuracy, mean over seeds.

    `down`: the least density down to which it is never more than `RENDA_NEAR` below it; `density`: that of the level
    nearest to `RENDA_DENSITY`; `gap`: its accuracy less the dense network's there; `worst`: the least gap down to
    there; `holds`: whether that is as near as Renda et al. (2020) found.
    """

    down: float
    density: float
    gap: float
    worst: float
    holds: bool


def renda_facts(results: "Results") -> RewindingFacts | None:
    """Whether a run keeps its accuracy as far down as Renda et al. (2020) found; None without a level near there."""
    held = accuracies(results)
    gaps = held["mean"] - held["mean"].iloc[0]
    away = (np.log(held["density"]) - np.log(RENDA_DENSITY)).abs()
    at = away.idxmin()
    if at == held.index[0] or away[at] > np.log(RENDA_AWAY):
        return None
    near = (gaps >= -RENDA_NEAR).cummin()
    worst = gaps.loc[held.index[1] : at].min()
    return RewindingFacts(
        held.loc[near, "density"].iloc[-1], held.loc[at, "density"], gaps[at], worst, bool(worst >= -RENDA_NEAR)
    )


def renda_sentence(runs: Mapping[str, "Results"]) -> str:
    """Whether LR rewinding keeps to the dense network's accuracy as far down as Renda et al. (2020) found."""
    facts = renda_facts(runs["lr_rewind"])
    found = f"Renda et al. (2020) found on CIFAR-10, about {percent(RENDA_DENSITY)}"
    if facts is None:
        return f"No level is near the density down to which LR rewinding keeps its accuracy as {found}."
    side = "below" if facts.gap < 0 else "above"
    text = (
        f"LR rewinding stays within {100 * RENDA_NEAR:g} percentage points of the dense network down to "
        f"{percent(facts.down)} of the weights; at {percent(facts.density)} it is {abs(100 * facts.gap):.2f} points "
        f"{side} it. That is {'' if facts.holds else 'not '}as far down as {found}."
    )
    if (gain := unfinished_gain(runs["lr_rewind"])) is not None:
        text += f" But the dense network was not trained to its end: later levels gain {100 * gain:.1f} points."
    return text


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
    """Similarity to the dense network by variant (rows) and measure (columns), mean over layers and seeds.

    At the level that is nearest to a density in the run with LR rewinding, over the layers in which the scores of all
    variants are ok. A variant may have fewer seeds than LR rewinding: its mean is then that of LR rewinding plus the
    mean difference from it with the seeds that both have, so that no row is higher only for its seeds; one that shares
    no seed is left out. A row `sibling`: the dense networks of other seeds, where LR rewinding was compared with them.
    """
    sound = _sound_profiles(runs, density, measures, view)
    return sound.groupby(level="measure", sort=False).mean().T.reindex(sound.columns)


def _sound_profiles(
    runs: Mapping[str, "Results"], density: float, measures: Sequence[str] | None = None, view: str | None = None
) -> pd.DataFrame:
    """`variant_means` before it is averaged over layers: (layer, measure) by variant, the layers that are ok in all."""
    base, names = runs["lr_rewind"], ["layer", "measure"]
    level, choice = nearest_level(base, density), {"measures": measures, "view": view}
    own = profile_means(base, level, **choice).stack().rename_axis(names)
    profiles = {}
    for name, results in runs.items():
        seeds = set(results.experiment.seeds) & set(base.experiment.seeds)
        if seeds:
            theirs, ours = (profile_means(_on(seeds, one), level, **choice).stack() for one in (results, base))
            profiles[name] = own + (theirs - ours).rename_axis(names)
    if has_siblings(base):
        profiles["sibling"] = profile_means(base, 0, reference="sibling", **choice).stack().rename_axis(names)
    table = pd.DataFrame(profiles).dropna().rename_axis(columns="variant")
    return table.reindex(own.index.intersection(table.index, sort=False))


def _on(seeds: Collection[int], results: "Results") -> SimpleNamespace:
    """The scores and accuracies of some seeds only."""
    similarity, performance = (table[table["seed"].isin(seeds)] for table in (results.similarity, results.performance))
    return SimpleNamespace(experiment=results.experiment, similarity=similarity, performance=performance)


def has_siblings(results: "Results") -> bool:
    """Whether a run was compared with dense networks of other seeds."""
    return "sibling" in results.similarity["reference"].unique()


def variant_means_table(
    runs: Mapping[str, "Results"], *, density: float = 0.1, measures: Sequence[str] | None = None
) -> pd.DataFrame:
    """`variant_means` as text."""
    means = variant_means(runs, density, measures or one_of_each_family(runs["lr_rewind"]))
    text = means.map(lambda value: NO_VALUE if np.isnan(value) else score_text(value))
    words = {name: words for name, (words, _) in VARIANTS.items()} | {"sibling": SIBLING}
    return text.rename(index=words, columns=title).rename_axis(index=None, columns=None)


def variant_similarity_sentence(
    runs: Mapping[str, "Results"], *, density: float = 0.1, measures: Sequence[str] | None = None
) -> str:
    """Which way of retraining leaves representations nearest to the dense network's, and which farthest."""
    measures = measures or one_of_each_family(runs["lr_rewind"])
    means = variant_means(runs, density, measures)
    pruned = means.drop(index=["no_pruning", "sibling"], errors="ignore")
    if pruned.empty or len(pruned) < 2:
        return "There is nothing here that LR rewinding could be compared with."
    parts = [
        f"by {named(measure)}, {_best_and_worst(pruned[measure].sort_values(ascending=False))}" for measure in means
    ]
    start = percent(densities(runs["lr_rewind"])[nearest_level(runs["lr_rewind"], density)])
    layers = _sound_profiles(runs, density, measures).groupby(level="measure", sort=False).size()
    over = listed(f"{number} by {named(measure)}" for measure, number in layers.items())
    where = f"averaged over the layers in which every score is ok ({over})"
    return f"With {start} of the weights left, and {where}: {'; '.join(parts)}."


def _best_and_worst(ranked: pd.Series) -> str:
    """The nearest and the farthest, with those that are as near or as far in two decimals."""
    rounded = ranked.round(2)
    first, last = ([VARIANTS[name][0] for name in ranked.index[rounded == rounded.iloc[end]]] for end in (0, -1))
    if rounded.iloc[0] == rounded.iloc[-1]:
        return f"all are equally near to the dense network ({ranked.iloc[0]:.2f})"
    return (
        f"{listed(first)} {'is' if len(first) == 1 else 'are'} nearest to the dense network ({ranked.iloc[0]:.2f}) and "
        f"{listed(last)} farthest from it ({ranked.iloc[-1]:.2f})"
    )


def no_pruning_sentence(
    runs: Mapping[str, "Results"], *, density: float = 0.1, measures: Sequence[str] | None = None
) -> str:
    """How much representations change by training on alone, without pruning."""
    if "no_pruning" not in runs:
        return "Retraining without pruning is not computed yet."
    means = _beside_lr_rewinding(runs, "no_pruning", density, measures)
    parts = _held_against(means, "no_pruning", {"lr_rewind": "pruned", **ANOTHER_SEED})
    if not parts:
        return "There is no layer here in which every score is ok."
    beside = "the pruned network" + (" and a dense one of another seed" if has_siblings(runs["lr_rewind"]) else "")
    text = (
        f"Trained on for as many epochs without losing a weight, a network is this similar to what it was, beside "
        f"{beside} ({counted(_common_seeds(runs, 'no_pruning'), 'seed')}): {'; '.join(parts)}."
    )
    means = means.round(2)
    if "sibling" in means.index and (no_nearer := means.loc["no_pruning"] <= means.loc["sibling"]).any():
        text += f" By {listed(map(named, means.columns[no_nearer]))} that is no nearer than another seed."
    return text


def masks_sentence(
    runs: Mapping[str, "Results"], *, density: float = 0.1, measures: Sequence[str] | None = None
) -> str:
    """Whether new weights under the masks of LR rewinding come nearer to the dense network than another seed does."""
    if "reinitialise" not in runs:
        return "New weights under the same masks are not computed yet."
    base = runs["lr_rewind"]
    level = nearest_level(base, density)
    seeds = set(runs["reinitialise"].experiment.seeds) & set(base.experiment.seeds)
    if not seeds:
        return "New weights under the same masks and LR rewinding have no seed in common."
    new, kept = (
        accuracy_percent(accuracies(_on(seeds, results))["mean"].loc[level]) for results in (runs["reinitialise"], base)
    )
    text = (
        f"With {percent(densities(base)[level])} of the weights left, new weights under the same masks "
        f"({counted(len(seeds), 'seed')}) classify {new} of the test images, LR rewinding "
        f"{kept}."
    )
    means = _beside_lr_rewinding(runs, "reinitialise", density, measures)
    parts = _held_against(means, "reinitialise", {"lr_rewind": "LR rewinding", **ANOTHER_SEED})
    if not parts:
        return text
    text += f" They are this similar to the dense network: {'; '.join(parts)}."
    if "sibling" not in means.index:
        return text
    no_nearer = means.round(2).loc["reinitialise"] <= means.round(2).loc["sibling"]
    those, others = (list(map(named, means.columns[chosen])) for chosen in (no_nearer, ~no_nearer))
    if not those:
        return f"{text} By each of these that is nearer than another seed."
    rest = (
        f", by {listed(others)} it is"
        if others
        else ", so that masks alone keep no more than two trainings share anyway"
    )
    return f"{text} By {listed(those)} that is no nearer than another seed{rest}."


def _beside_lr_rewinding(
    runs: Mapping[str, "Results"], name: str, density: float, measures: Sequence[str] | None
) -> pd.DataFrame:
    """`variant_means` of one variant and LR rewinding, whatever the others have no score for."""
    pair = {"lr_rewind": runs["lr_rewind"], name: runs[name]}
    return variant_means(pair, density, measures or one_of_each_family(runs["lr_rewind"]))


def _held_against(means: pd.DataFrame, name: str, others: Mapping[str, str]) -> list[str]:
    """What a variant scores by each measure, and beside it what others score: "0.90 by NBS (LR rewinding 0.80)"."""
    parts = []
    for measure in means if name in means.index else ():
        beside = (f"{words} {means.loc[other, measure]:.2f}" for other, words in others.items() if other in means.index)
        parts.append(f"{means.loc[name, measure]:.2f} by {named(measure)} ({', '.join(beside)})")
    return parts


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
        "retraining_masks": masks_sentence(runs, density=density),
        "other": _other_sentences(other, density) if other else "Nothing of it is computed yet.",
    }


def _other_sentences(runs: Mapping[str, "Results"], density: float) -> str:
    """What is found of the ways on another dataset; nothing of those that were not run there."""
    sentences = {
        "finetune": finetune_sentence(runs),
        "no_pruning": no_pruning_sentence(runs, density=density),
        "reinitialise": masks_sentence(runs, density=density),
    }
    said = [text for name, text in sentences.items() if name in runs]
    return " ".join([renda_sentence(runs), *said, variant_similarity_sentence(runs, density=density)])
