"""Results, and the one rule by which stored ones are found and read.

What is stored is shown, what is not is absent. A seed is looked for in the user's store and then among the results that
come with the project. Of the scores asked for those are given that every seed holds. All seeds were made from the same
data: from those of which most seeds are stored, the user's before the shipped ones.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from simprune import data
from simprune.comparison import REFERENCES, RunComparison
from simprune.errors import InputError, check_path, shown
from simprune.experiment import Experiment
from simprune.measures import MEASURES
from simprune.representations import VIEWS
from simprune.store import SHIPPED, SeedResult, Store

Score = tuple[str, str, str]  # reference, view, measure


@dataclass(frozen=True)
class Results:
    """What an experiment gave: two tidy tables, a report of sparsity by layer, and how they were made.

    Attributes:
        performance: one row per seed and level: seed, level, density, sparsity, train_loss, train_accuracy, test_loss,
            test_accuracy, seconds; losses in nats, accuracies and densities in 0 … 1
        similarity: one row per score: seed, level, density, layer, layer_index, reference, view, measure, value,
            status, note
        sparsity: one row per seed, level and prunable layer: seed, level, layer, weights, kept, density
        provenance: experiment, versions, git commit, device, data fingerprint, start, duration (seconds of training and
            comparison; of records without `comparison`, those of the last call), by seed too
        directory: where the tables are stored
        diagnostics: name -> table: those of `diagnostics.TABLES` that are stored, of the seeds that have them, with a
            leading column seed
    """

    experiment: Experiment
    performance: pd.DataFrame
    similarity: pd.DataFrame
    sparsity: pd.DataFrame
    provenance: dict[str, Any]
    directory: Path
    diagnostics: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def are_shipped(self) -> bool:
        """Whether these are the tables of every seed of this experiment that come with the project."""
        folder = SHIPPED / self.experiment.name
        sums = {f"seed-{seed}": made.get("sha256") for seed, made in self.provenance["seeds"].items()}
        there = {place.parent.name: json.loads(place.read_text()) for place in folder.glob("seed-*/provenance.json")}
        return bool(there) and sums == {name: made["sha256"] for name, made in there.items()}


def load(
    experiment: Experiment | str | PathLike, *, every_seed: bool = False, store: str | PathLike | None = None
) -> Results:
    """The stored results of an experiment, from the user's store or else the shipped ones; nothing is computed.

    `experiment` may be a folder of results instead (as `run` prints it), or its name in the store, as `simprune list`
    has it: then all that is in it is read. With `every_seed`, all seeds that are stored are read instead of the
    experiment's. The `experiment` of the results says which seeds and scores they hold. Raises `InputError` if a seed,
    or every score that the experiment asks for, is not stored; and if seeds are stored of different data only.
    """
    place = Store(store)
    if not isinstance(experiment, Experiment):
        experiment, place = _described(experiment, place)
    copies = _copies(place, experiment, _seeds(place, experiment) if every_seed else experiment.seeds)
    if every_seed:
        copies = _of_one_data(copies)
    elif missing := [seed for seed, those in copies.items() if not those]:
        raise InputError(f"seeds: no stored result of {experiment.name} holds seed {missing[0]}; {COMPUTE}")
    if not copies:
        raise InputError(f"seeds: no result of {experiment.name} is stored; {COMPUTE}")
    found = _best(copies, asked := scores(experiment))
    held = asked.intersection(*(result.scores() for result in found.values()))
    if not held:
        raise InputError(f"measures: no score that is asked for is stored of {experiment.name}; {COMPUTE}")
    tables = {seed: place.read_diagnostics(experiment, seed, result.networks) for seed, result in found.items()}
    return joined(narrowed(experiment.replace(seeds=tuple(found)), held), found, tables, held)


COMPUTE = "compute it with simprune.run (on a page: compute = True)"


def stored_seeds(experiment: Experiment, store: str | PathLike | None = None) -> tuple[int, ...]:
    """The seeds of an experiment that are stored, by the user or shipped, and were made from the same data."""
    place = Store(store)
    return tuple(_of_one_data(_copies(place, experiment, _seeds(place, experiment))))


def stored(store: str | PathLike | None = None) -> dict[str, Experiment]:
    """Every experiment of which something is stored, by its folder's name, the user's first; with all its seeds."""
    found: dict[str, tuple[str, Experiment]] = {}
    for experiment, folder in Store(store).stored():
        name, known = found.get(experiment.key, (folder.name, experiment))
        found[experiment.key] = name, known.replace(seeds={*known.seeds, *experiment.seeds})
    return dict(found.values())


def shipped() -> dict[str, Results]:
    """The results that come with the project, by their folder's name."""
    return {folder.name: load(folder) for _, folder in Store(SHIPPED, shipped=None).stored()}


# Finding --------------------------------------------------------------------------------------------------------------


def scores(experiment: Experiment) -> set[Score]:
    """The (reference, view, measure) triples that an experiment asks for; a dense network alone has none before it."""
    references = [name for name in experiment.references if experiment.levels or name != "previous"]
    return RunComparison.scores(references, experiment.views, experiment.measures)


def _described(folder: str | PathLike, place: Store) -> tuple[Experiment, Store]:
    """The experiment in a folder of results, and the store that holds it. `folder`: a path, or a name in the store."""
    if not isinstance(folder, str | PathLike):
        raise InputError(f"experiment: {shown(folder)} is not an Experiment; make one with simprune.Experiment(…)")
    path = check_path("experiment", folder).resolve()
    roots = [path.parent, *(root for root in (place.root, place.shipped) if root is not None and path.parent != root)]
    for root in roots:
        for experiment, directory in Store(root, shipped=None).stored():
            if directory.name == path.name:
                everything = experiment.replace(measures=list(MEASURES), views=VIEWS, references=REFERENCES)
                return everything, Store(root, shipped=None)
    raise InputError(f"experiment: {shown(str(folder))} is not an Experiment, and no folder of results")


def _seeds(place: Store, experiment: Experiment) -> list[int]:
    """The seeds of an experiment of which something is there, whole or not."""
    return sorted({seed for other, _ in place.stored() if other.key == experiment.key for seed in other.seeds})


def _copies(place: Store, experiment: Experiment, seeds: Iterable[int]) -> dict[int, list[SeedResult]]:
    """The stored results of each seed, the user's before the shipped one."""
    return {seed: place.read_seed(experiment, seed) for seed in seeds}


def _of_one_data(copies: dict[int, list[SeedResult]]) -> dict[int, list[SeedResult]]:
    """Those that were made from the data that most seeds are stored of."""
    made_from = _data_of_most(copies)
    chosen = {seed: [one for one in those if _fingerprint(one) == made_from] for seed, those in copies.items()}
    return {seed: those for seed, those in chosen.items() if those}


def _best(copies: dict[int, list[SeedResult]], asked: set[Score]) -> dict[int, SeedResult]:
    """Of each seed the stored result that holds most of the scores asked for, from the same data where there is one."""
    same = _of_one_data(copies)
    return {
        seed: max(same.get(seed, those), key=lambda result: len(asked & result.scores()))
        for seed, those in copies.items()
    }


def _fingerprint(result: SeedResult) -> str:
    return result.provenance["data"]["fingerprint"]


def _data_of_most(copies: dict[int, list[SeedResult]]) -> str | None:
    """The fingerprint of the data that most seeds are stored of; of two the one that comes first, the user's."""
    made_from = Counter(name for those in copies.values() for name in dict.fromkeys(map(_fingerprint, those)))
    return made_from.most_common(1)[0][0] if made_from else None


# Joining --------------------------------------------------------------------------------------------------------------


def narrowed(experiment: Experiment, held: set[Score]) -> Experiment:
    """The experiment with those references, views and measures only of which a score is held."""
    references, views, measures = (set(names) for names in zip(*held, strict=True))
    return experiment.replace(
        references=[name for name in experiment.references if name in references],
        views=[name for name in experiment.views if name in views] or experiment.views,
        measures=[name for name in experiment.measures if name in measures],
    )


def joined(
    experiment: Experiment,
    seeds: dict[int, SeedResult],
    diagnostics: dict[int, dict[str, pd.DataFrame]],
    asked: set[Score],
) -> Results:
    """The results of several seeds as one: their tables joined, the scores that were asked for picked out.

    Raises `InputError` if they were made from different data.
    """
    first = next(iter(seeds.values()))
    for seed, result in seeds.items():
        if _fingerprint(result) != _fingerprint(first):
            raise InputError(
                f"seeds: the stored results of {experiment.name} are of different data, of fingerprint "
                f"{_fingerprint(first)} for seed {next(iter(seeds))} and of {_fingerprint(result)} for seed {seed}; "
                f"simprune.run computes them from the data at hand"
            )
    similarity = pd.concat([result.similarity for result in seeds.values()], ignore_index=True)
    chosen = pd.MultiIndex.from_frame(similarity[["reference", "view", "measure"]]).isin(list(asked))
    names = list(dict.fromkeys(name for tables in diagnostics.values() for name in tables))
    return Results(
        experiment=experiment,
        performance=pd.concat([result.performance for result in seeds.values()], ignore_index=True),
        similarity=similarity[chosen].reset_index(drop=True),
        sparsity=pd.concat([result.sparsity for result in seeds.values()], ignore_index=True),
        provenance={
            **first.provenance,
            "experiment": experiment.to_dict(),
            "duration": round(sum(result.provenance["duration"] for result in seeds.values()), 2),
            "seeds": {seed: result.provenance for seed, result in seeds.items()},
        },
        directory=first.directory,
        diagnostics={name: _joined([made[name] for made in diagnostics.values() if name in made]) for name in names},
    )


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables below each other; one without rows, which has no types either, leaves those of the others as they are."""
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


# The data at hand -----------------------------------------------------------------------------------------------------


def fingerprint_at_hand(dataset: str, store: Store, root: str | PathLike | None = None) -> str | None:
    """The fingerprint of a dataset's images in the data root; None if they are not there.

    Images are decoded once (CIFAR-10: 11 s); the store remembers the fingerprint of files with the same content.
    """
    try:
        state = data.state_of_files(dataset, root)
        known = store.fingerprint(state)
        if known is None:
            known = data.load(dataset, root).fingerprint
            store.remember_fingerprint(state, known)
    except (InputError, OSError):  # no data, or a store that may only be read
        return None
    return known


def other_data(
    results: Results, *, store: str | PathLike | None = None, root: str | PathLike | None = None
) -> str | None:
    """The fingerprint of the data at hand where it is not that of the results; None where it is or none are here."""
    at_hand = fingerprint_at_hand(results.experiment.dataset, Store(store), root)
    return None if at_hand == results.provenance["data"]["fingerprint"] else at_hand
