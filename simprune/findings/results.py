"""Tables and sentences of a results page, and of the methods pages."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis import clustered, is_ok, pairs_in, profile_means, rank_agreement, verdicts
from simprune.data import DATASETS
from simprune.findings.common import (
    INVARIANCE_WORDS,
    NO_VALUE,
    REFERENCE_WORDS,
    REMARK,
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
from simprune.measures import MEASURES
from simprune.models import ARCHITECTURES

if TYPE_CHECKING:
    from simprune.results import Results

# Accuracy counts as kept while it is at most this far below the dense network's.
TOLERANCE = 0.01
# A layer counts as changed once its similarity is below this.
CHANGED = 0.9


def accuracy_table(results: "Results") -> pd.DataFrame:
    """Level, density and accuracies, as text."""
    table = results.performance
    columns = {"density": densities(results).map(percent)}
    for words, column in (("test accuracy", "test_accuracy"), ("training accuracy", "train_accuracy")):
        summary = over_seeds(table.assign(value=table[column], status="ok"), "level")
        columns[words] = [spread(row, accuracy_percent) for _, row in summary.iterrows()]
    return pd.DataFrame(columns).rename_axis(index=None, columns="level")


def similarity_table(results: "Results", **choice) -> pd.DataFrame:
    """Score by measure and layer (rows) and density (columns), mean over seeds, as text. `choice` as in `select`.

    A star marks a score whose status is not "ok" for every seed, a dash a score without a value.
    """
    summary = over_seeds(select(results, **choice), ["measure", "layer_index", "level"])
    text = summary["mean"].map(score_text).where(summary["ok"], summary["mean"].map(score_text) + REMARK)
    text = text.where(summary["mean"].notna(), NO_VALUE)
    return _with_names(text.unstack("level"), results, **choice).rename(columns=densities(results).map(percent))


def profile_table(results: "Results", *, density: float = 0.1, **choice) -> pd.DataFrame:
    """Score by layer (rows) and measure (columns) at the level nearest to a density, with the range over seeds."""
    scores = select(results, **choice)
    scores = scores[scores["level"] == nearest_level(results, density)]
    summary = over_seeds(scores, ["measure", "layer_index"])
    text = pd.Series([spread(row, score_text) for _, row in summary.iterrows()], index=summary.index)
    table = text.unstack("measure")[measures_in(scores)]
    return table.rename(index=layers_in(scores), columns=title).rename_axis(index=None, columns="layer")


def remarks_table(results: "Results", **choice) -> pd.DataFrame:
    """Every status other than "ok" without its notes: in which measure and layer it occurs, and in how many scores."""
    scores = select(results, **choice)
    marked = scores[~is_ok(scores["status"])].assign(status=verdicts)
    counts = marked.groupby(["measure", "layer_index", "status"], sort=False).size().rename("scores").to_frame()
    counts = counts.reset_index("status")
    return _with_names(counts, results, **choice)


def side_by_side(comparisons: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of `simprune.compare` by name, as one table of text: a row for each measure, a column for each name."""
    columns = {
        name: [spread(row, score_text) for _, row in _single(table).iterrows()] for name, table in comparisons.items()
    }
    measures = next(iter(comparisons.values())).index
    return pd.DataFrame(columns, index=[title(measure) for measure in measures]).rename_axis(columns="measure")


def _single(table: pd.DataFrame) -> pd.DataFrame:
    """Scores of one comparison in the columns of `over_seeds`."""
    values = {column: table["value"] for column in ("mean", "low", "high")}
    return pd.DataFrame({**values, "ok": is_ok(table["status"])})


def invariance_table(measures: Sequence[str]) -> pd.DataFrame:
    """Which changes of a representation leave each measure as it is (✓), and whether it is symmetric."""
    rows = {
        title(name): [
            *(kind in MEASURES[name].invariances for kind in INVARIANCE_WORDS),
            MEASURES[name].symmetric,
        ]
        for name in measures
    }
    table = pd.DataFrame(rows, index=[*INVARIANCE_WORDS.values(), "symmetric"]).T
    return table.map({True: "✓", False: ""}.get).rename_axis(columns="measure")


def agreement_table(results: "Results", **choice) -> pd.DataFrame:
    """Kendall's τ between measures, as text, in the order of the figure."""
    agreement = clustered(rank_agreement(select(results, **choice)))
    text = agreement.map(lambda tau: NO_VALUE if np.isnan(tau) else f"{tau:.2f}")
    return text.rename(index=title, columns=title)


def layer_density_table(results: "Results") -> pd.DataFrame:
    """Density of each prunable layer (columns) at each density of the network (rows), mean over seeds, as text."""
    sparsity = results.sparsity
    layers = list(dict.fromkeys(sparsity["layer"]))
    table = sparsity.groupby(["level", "layer"])["density"].mean().unstack()[layers]
    return table.map(percent).rename(index=densities(results).map(percent)).rename_axis(index=None, columns="network")


def experiment_table(results: "Results") -> pd.DataFrame:
    """What was run and how it came about: the fields that decide the numbers, and the provenance."""
    experiment, made = results.experiment, results.provenance
    seeds = made.get("seeds", {0: made}).values()
    commits = list(dict.fromkeys(seed["git_commit"] for seed in seeds if seed["git_commit"]))
    fields = {
        "architecture": experiment.architecture,
        "dataset": experiment.dataset,
        "profile": experiment.profile,
        "seeds": listed(map(str, experiment.seeds)),
        "pruning": f"{percent(experiment.rate)} of the weights left at each of {experiment.levels} levels, "
        f"by {experiment.criterion}, {experiment.scope}",
        "retraining": f"{experiment.retraining}, {counted(experiment.epochs, 'epoch')} a level",
        "training images": str(experiment.train_size),
        "probe inputs": str(experiment.probe_size),
        "computed on": circumstances(results),
        "data": f"{made['data']['source']}, fingerprint {made['data']['fingerprint']}",
        "versions": f"simprune {made['simprune']}, Python {made['python']}, "
        + ", ".join(f"{package} {version}" for package, version in made["packages"].items()),
        "commit": ", ".join(commits) if commits else "not recorded",
    }
    return pd.DataFrame({"": fields})


def circumstances(results: "Results") -> str:
    """What a result was computed on, when and for how long, and if not all of it in float32, in what."""
    made = results.provenance
    precision = made.get("precision", "float32")  # no record from before there was a choice
    mixed = "" if precision == "float32" else f", trained in {precision}"
    days = sorted({seed["start"][:10] for seed in made.get("seeds", {0: made}).values()})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{made['device']}{mixed}, {when}, in {duration(made['duration'])}"


def _with_names(table: pd.DataFrame, results: "Results", **choice) -> pd.DataFrame:
    """A table by (measure, layer index), with titles and layer names, in the order of the results."""
    scores = select(results, **choice)
    layers = layers_in(scores)
    measures = measures_in(scores)
    table = table.sort_index(key=lambda keys: keys.map(measures.index) if keys.name == "measure" else keys)
    names = [(title(measure), layers[index]) for measure, index in table.index]
    return table.set_axis(pd.MultiIndex.from_tuples(names, names=["measure", "layer"])).rename_axis(columns=None)


# Sentences --------------------------------------------------------------------------------------------------


def run_sentence(results: "Results") -> str:
    """What was trained, pruned and compared."""
    experiment, layers = results.experiment, results.similarity["layer"].nunique()
    dataset = experiment.dataset
    if dataset in DATASETS:
        dataset = f"{dataset} ({DATASETS[dataset].title})"
    return (
        f"{ARCHITECTURES[experiment.architecture].title} was trained on {dataset} with {_seeds(results)} and pruned in "
        f"{counted(experiment.levels, 'level')}, each taking {percent(experiment.rate)} of the weights that were left, "
        f"down to a density of {percent(densities(results).iloc[-1])}. It is compared at {counted(layers, 'layer')} on "
        f"{experiment.probe_size:,} probe inputs, in the view {experiment.views[0]}."
    )


def _seeds(results: "Results") -> str:
    return counted(len(results.experiment.seeds), "seed")


def remarks_sentence(results: "Results", **choice) -> str:
    """How many scores have a status other than "ok", and which."""
    scores = select(results, **choice)
    counts = verdicts(scores[~is_ok(scores["status"])]).value_counts()
    if counts.empty:
        return "All scores have the status ok."
    named = [f"“{name}” ({count:,})" for name, count in counts.head(3).items()]
    if len(counts) > 3:
        named.append(f"{len(counts) - 3} others")
    return f"Of {len(scores):,} scores, {counts.sum():,} have a status other than ok: {listed(named)}."


def accuracy_sentence(results: "Results") -> str:
    """How accurate the dense network is, and down to which density that lasts."""
    table = results.performance
    accuracy = over_seeds(table.assign(value=table["test_accuracy"], status="ok"), "level")
    dense, last = accuracy.iloc[0], accuracy.iloc[-1]
    text = f"The dense network classifies {spread(dense, accuracy_percent)} of the test images correctly"
    if len(accuracy) == 1:
        return f"{text}."
    lasting = accuracy[(accuracy["mean"] >= dense["mean"] - TOLERANCE).cummin()]
    if len(lasting) == len(accuracy):
        return (
            f"{text}; accuracy is never more than one percentage point below that, down to "
            f"{percent(last['density'])} of the weights, where it is {accuracy_percent(last['mean'])}."
        )
    return (
        f"{text}; accuracy is at most one percentage point below that down to "
        f"{percent(lasting['density'].iloc[-1])} of the weights, and with {percent(last['density'])} left it is "
        f"{accuracy_percent(last['mean'])}."
    )


def least_similar_sentence(results: "Results", **choice) -> str:
    """Which layer each measure calls least similar at the last level."""
    measured = densities(results)
    profile = profile_means(results, measured.index[-1], **choice).dropna(axis="columns", how="all")
    if profile.empty:
        return "No similarity is ok at the last level."
    by_layer: dict[str, list[str]] = {}
    for measure, layer in profile.idxmin().items():
        by_layer.setdefault(layer, []).append(named(measure))
    start = f"With {percent(measured.iloc[-1])} of the weights left, the least similar layer is"
    missing = profile.columns[profile.isna().any()]
    reserve = f" For {listed(map(named, missing))} only the layers with an ok score count." if len(missing) else ""
    if len(by_layer) == 1:
        return f"{start} {next(iter(by_layer))} for every measure shown.{reserve}"
    return f"{start} {listed(f'{layer} for {listed(names)}' for layer, names in by_layer.items())}.{reserve}"


def spread_facts(results: "Results", *, density: float = 0.1, **choice) -> dict[str, str] | None:
    """Where measures differ most at the level nearest to a density, and between which; None where nothing is ok.

    Only layers in which every measure's score is ok are looked at. Keys: `density`, `layer`, `low`, `lowest` (the
    measure), `high`, `highest`, `gap`, for the layer of least spread `close_layer`, `close_low`, `close_high`, and
    `compared`, which layers these are.
    """
    level = nearest_level(results, density)
    profile = profile_means(results, level, **choice)
    sound = profile.dropna()
    if sound.empty:
        return None
    gap = sound.max(axis=1) - sound.min(axis=1)
    far, close = sound.loc[gap.idxmax()], sound.loc[gap.idxmin()]
    return {
        "density": percent(densities(results)[level]),
        "layer": far.name,
        "low": f"{far.min():.2f}",
        "lowest": named(far.idxmin()),
        "high": f"{far.max():.2f}",
        "highest": named(far.idxmax()),
        "gap": f"{gap.max():.2f}",
        "close_layer": close.name,
        "close_low": f"{close.min():.2f}",
        "close_high": f"{close.max():.2f}",
        "compared": _compared(len(sound), len(profile)),
    }


def _compared(sound: int, layers: int) -> str:
    """Which layers a sentence is about."""
    return "all layers" if sound == layers else f"the {counted(sound, 'layer')} in which every score is ok"


def spread_sentence(results: "Results", *, density: float = 0.1, **choice) -> str:
    """How far apart the measures are at the level nearest to a density."""
    fact = spread_facts(results, density=density, **choice)
    if fact is None:
        return "There is no layer here in which every score is ok."
    return (
        f"With {fact['density']} of the weights left, and over {fact['compared']}, the measures differ most in "
        f"{fact['layer']}, from {fact['low']} ({fact['lowest']}) to {fact['high']} ({fact['highest']}), and least in "
        f"{fact['close_layer']}, from {fact['close_low']} to {fact['close_high']}."
    )


def change_sentence(results: "Results", **choice) -> str:
    """At which density each measure, averaged over the layers in which all is ok, first falls below `CHANGED`."""
    measured = densities(results)
    profiles = pd.concat({level: profile_means(results, level, **choice) for level in measured.index}, names=["level"])
    sound = profiles.notna().all(axis=1).groupby(level=1).all()
    if not sound.any():
        return "There is no layer here in which every score is ok."
    average = profiles[profiles.index.get_level_values(1).isin(sound.index[sound])].groupby("level").mean()
    below = average < CHANGED
    first = below.idxmax().where(below.any())
    falling = [f"{named(name)} at {percent(measured[level])}" for name, level in first.dropna().sort_values().items()]
    never = [named(name) for name in first.index[first.isna()]]
    start = (
        f"Averaged over {_compared(sound.sum(), len(sound))}, similarity to "
        f"{REFERENCE_WORDS[choice.get('reference', 'dense')]}"
    )
    if not falling:
        return f"{start} stays at {CHANGED:g} or above for every measure shown."
    stays = f"; for {listed(never)} it never does" if never else ""
    return f"{start} first falls below {CHANGED:g} for {listed(falling)} of the weights{stays}."


def agreement_facts(results: "Results", **choice) -> dict[str, str] | None:
    """The least, the median and the greatest Kendall's τ between two measures; None where there is no such pair.

    Keys: `least`, `least_pair`, `median`, `greatest`, `greatest_pair`.
    """
    agreement = rank_agreement(select(results, **choice))
    pairs = pairs_in(agreement)
    if pairs.empty:
        return None
    words = [listed(map(named, pair)) for pair in (pairs.index[0], pairs.index[-1])]
    return {
        "least": f"{pairs.iloc[0]:.2f}",
        "least_pair": words[0],
        "median": f"{pairs.median():.2f}",
        "greatest": f"{pairs.iloc[-1]:.2f}",
        "greatest_pair": words[1],
    }


def agreement_sentence(results: "Results", **choice) -> str:
    """How much the measures agree on which representations are more similar."""
    fact = agreement_facts(results, **choice)
    if fact is None:
        return "There are no two measures here whose ranks can be compared."
    return (
        f"Over the layers and levels in which both scores are ok, Kendall's τ between two measures runs from "
        f"{fact['least']} ({fact['least_pair']}) to {fact['greatest']} ({fact['greatest_pair']}), with a median of "
        f"{fact['median']}."
    )


def layer_density_sentence(results: "Results") -> str:
    """Which layers keep the greatest and the smallest share of their weights at the last level."""
    last = results.sparsity["level"].max()
    share = results.sparsity[results.sparsity["level"] == last].groupby("layer")["density"].mean()
    return (
        f"With {percent(densities(results).iloc[-1])} of all prunable weights left, {share.idxmax()} keeps "
        f"{percent(share.max())} of its own and {share.idxmin()} {percent(share.min())}."
    )


def facts(results: "Results", *, density: float = 0.1) -> dict[str, str]:
    """What the book's first page says of a run, as text: the level nearest to a density against the dense network.

    Keys: those of `spread_facts` and of `agreement_facts`, where there are any, and `density`, `dense_accuracy`,
    `pruned_accuracy`, `seeds` (their number in words).
    """
    accuracy = results.performance.groupby("level")["test_accuracy"].mean()
    level = nearest_level(results, density)
    return {
        **(spread_facts(results, density=density) or {}),
        **(agreement_facts(results) or {}),
        "density": percent(densities(results)[level]),
        "dense_accuracy": accuracy_percent(accuracy.iloc[0]),
        "pruned_accuracy": accuracy_percent(accuracy[level]),
        "seeds": _seeds(results),
    }


def sentences(results: "Results", *, density: float = 0.1) -> dict[str, str]:
    """The conclusion of every figure of a results page, by the name of the figure's function in `plots`.

    Two more go with them: `run`, what was done, and `remarks`, which scores are to be read with care.
    """
    return {
        "run": run_sentence(results),
        "performance": accuracy_sentence(results),
        "layer_densities": layer_density_sentence(results),
        "similarity_heatmaps": least_similar_sentence(results),
        "similarity_by_density": change_sentence(results),
        "layer_profiles": spread_sentence(results, density=density),
        "measure_agreement": agreement_sentence(results),
        "remarks": remarks_sentence(results),
    }
