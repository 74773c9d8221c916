"""All studies beside each other."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis import accuracies, profile_means, rank_agreement
from simprune.data import DATASETS
from simprune.experiment import Experiment
from simprune.findings.common import (
    NO_VALUE,
    accuracy_percent,
    densities,
    duration,
    listed,
    named,
    nearest_level,
    percent,
    seed_numbers,
    select,
    spread,
    title,
)
from simprune.findings.results import CHANGED
from simprune.findings.studies import study_title
from simprune.measures import MEASURES
from simprune.models import ARCHITECTURES
from simprune.results import load, stored_seeds
from simprune.store import Store

if TYPE_CHECKING:
    from simprune.results import Results

STUDY_PROFILES = ("paper", "laptop")


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
            if stored_seeds(asked, store):
                found[study_title(asked)] = load(asked, every_seed=True, store=store)
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
            "seeds": seed_numbers(experiment.seeds),
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
