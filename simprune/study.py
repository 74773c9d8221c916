"""Run an experiment: train, prune, compare; keep what is done, compute only what is missing."""

import datetime
import platform
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from simprune import data as datasets
from simprune import diagnostics as diagnostic_tables
from simprune import models, pruning, resources
from simprune.comparison import RunComparison, Snapshot
from simprune.errors import InputError, check_choice, check_list, shown
from simprune.experiment import ALL, Experiment
from simprune.measures import MEASURES
from simprune.progress import Progress, Steps
from simprune.representations import VIEWS, extract
from simprune.results import Results, joined, scores
from simprune.retraining import RETRAINING, Start
from simprune.store import Checkpoint, Say, SeedResult, Store, networks_checksum
from simprune.training import Arithmetic, Position, derived_seed, evaluate, fastest_arithmetic, steps_per_epoch, train

DEVICES = ("auto", "cpu", "cuda")
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas")

Facts = dict[str, Any]  # what is known of one network: see `Run.make`


def run(
    experiment: Experiment,
    *,
    data: str | PathLike | None = None,
    store: str | PathLike | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    download: bool = False,
    diagnostics: bool | Iterable[str] = False,
) -> Results:
    """Give the results of an experiment: those that are stored are read, what is missing is computed and stored.

    `data` is the data root (default: `SIMPRUNE_DATA`), `store` the user's store (default: `SIMPRUNE_STORE`, or a
    folder under the user's cache folder), `device` "auto", "cpu" or "cuda". With `resume=False` nothing stored is
    used. `diagnostics`: the tables of `diagnostics.TABLES` of these names (True: all) are computed too where they are
    missing, from the networks in the store: none but a missing sibling is trained for them.
    Raises `InputError`, before any work and with nothing written, if what was given can't be run; and where networks
    that diagnostics need are not in the store.
    """
    if not isinstance(experiment, Experiment):
        raise InputError(f"experiment: {shown(experiment)} is not an Experiment; make one with simprune.Experiment(…)")
    wanted = _wanted(diagnostics)
    study = _Study(experiment, data, Store(store), _device(device), resume, download, Progress(progress))
    stored = {seed: _complete(study, seed)[0] for seed in experiment.seeds}
    for seed, result in stored.items():
        if result is not None and _missing(wanted, _stored_diagnostics(study, seed, result, wanted)):
            study.store.prepare(experiment, seed)
            _checksums(_Run(study, experiment, seed), result)
    held = {seed: _seed_result(study, seed, result) for seed, result in stored.items()}
    tables = {seed: _diagnose(study, seed, result, wanted) for seed, result in held.items()}
    return joined(experiment, held, tables, scores(experiment))


def _wanted(diagnostics: bool | Iterable[str]) -> list[str]:
    """The names of tables of diagnostics, in their order."""
    known = diagnostic_tables.TABLES
    if isinstance(diagnostics, bool):
        return list(known) if diagnostics else []
    if isinstance(diagnostics, Collection) and not isinstance(diagnostics, str) and not diagnostics:
        return []
    chosen = {check_choice("diagnostics", name, known) for name in check_list("diagnostics", diagnostics)}
    return [name for name in known if name in chosen]


def _device(device: str) -> torch.device:
    check_choice("device", device, DEVICES)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: 'cuda' was asked for, but PyTorch finds no CUDA device here; use 'cpu' or 'auto'")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


@dataclass(frozen=True)
class _Study:
    """One call of `run`: what was asked for, and what all its seeds share."""

    experiment: Experiment
    root: str | PathLike | None
    store: Store
    device: torch.device
    resume: bool
    download: bool
    progress: Progress
    made: set[tuple[str, int, int]] = field(default_factory=set)  # the networks that this call has made

    @cached_property
    def whole(self) -> datasets.Dataset:
        """The dataset as it is found, with all its training images."""
        return datasets.load(self.experiment.dataset, self.root, download=self.download)

    @cached_property
    def dataset(self) -> datasets.Dataset:
        """The dataset on the device, with the training images that the experiment asks for."""
        size = self.experiment.train_size
        return self.whole.subset(None if size == ALL else size).to(self.device)

    @cached_property
    def probes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The probe inputs and their labels."""
        return datasets.probe_inputs(self.dataset, self.experiment.probe_size)

    @cached_property
    def fingerprint_at_hand(self) -> str | None:
        """The fingerprint of the data if it is here; None if it is not."""
        try:
            known = self.store.fingerprint(datasets.state_of_files(self.experiment.dataset, self.root))
        except InputError:
            return None
        return self.whole.fingerprint if known is None else known

    def warn(self, text: str) -> None:
        """Say what the user has to know, even one who asked for no progress."""
        Progress().say(text)


def _check(study: _Study) -> None:
    """Raise `InputError` if the experiment can't be run on the data at hand, in this store, on this machine."""
    experiment, whole = study.experiment, study.whole
    _ = study.probes  # refuses sizes that the data do not have
    steps = experiment.epochs * steps_per_epoch(len(study.dataset.train_labels), experiment.batch_size)
    if RETRAINING[experiment.retraining].dense_recipe and experiment.rewind_step >= steps:
        raise InputError(f"rewind_step: {experiment.rewind_step} is not before the end of the training, step {steps}")
    shape = {"channels": whole.channels, "image_size": whole.image_size, "classes": whole.n_classes}
    experiment.check_shapes(**shape)
    network = models.build(experiment.architecture, **shape, width=experiment.width)
    alone = len(study.dataset.train_labels) % experiment.batch_size == 1
    pruning.check_network(network, torch.zeros(2, whole.channels, *whole.image_size), whole.n_classes, alone)
    images = len(whole.train_labels) + len(whole.test_labels)
    needed = resources.estimate(experiment, **shape, images=images)
    resources.check(needed, study.store.root, study.warn, stored=study.store.networks_size(experiment))


# One seed -----------------------------------------------------------------------------------------------------------


def _seed_result(study: _Study, seed: int, result: SeedResult | None) -> SeedResult:
    """The results of one seed: those that are stored, or computed where there are none."""
    experiment, store = study.experiment, study.store
    if result is not None:
        if result.directory == store.directory(experiment):
            store.mend_description(experiment, result, study.warn)
        return result
    _check(study)
    store.prepare(experiment, seed)
    store.remember_fingerprint(datasets.state_of_files(experiment.dataset, study.root), study.dataset.fingerprint)
    with store.writing(experiment, seed, study.warn):
        # Another process may have made them since, and only now is it certain that none is writing them.
        result, stored = _complete(study, seed, mend=study.warn)
        return _compute(study, seed, stored) if result is None else result


def _complete(study: _Study, seed: int, mend: Say | None = None) -> tuple[SeedResult | None, list[SeedResult]]:
    """The stored result that holds every score asked for, if there is one; and all that are stored."""
    stored = _stored(study, seed, mend) if study.resume else []
    for result in stored:
        if scores(study.experiment) <= result.scores():
            study.progress.say(f"seed {seed}: read from {result.directory}")
            return result, stored
    return None, stored


def _stored(study: _Study, seed: int, mend: Say | None) -> list[SeedResult]:
    """The stored results of one seed that were made from the data at hand, or from any if none is at hand."""
    fitting = []
    for result in study.store.read_seed(study.experiment, seed, mend):
        made_from, at_hand = result.provenance["data"]["fingerprint"], study.fingerprint_at_hand
        if at_hand in (None, made_from):
            fitting.append(result)
        else:
            study.progress.say(
                f"seed {seed}: the result in {result.directory} was made from other data (fingerprint {made_from}, "
                f"here {at_hand}); computing afresh"
            )
    return fitting


def _compute(study: _Study, seed: int, stored: list[SeedResult]) -> SeedResult:
    """Train and compare what is missing of one seed, and write its tables."""
    experiment, wanted = study.experiment, scores(study.experiment)
    start = datetime.datetime.now(datetime.UTC)
    networks = _Run(study, experiment, seed)
    facts = networks.make(experiment.levels)
    clock = time.perf_counter()
    performance = _performance(seed, facts)
    mine = [result for result in stored if result.directory == study.store.directory(experiment)]
    # Scores of networks, the sibling among them, that are the very ones of the stored table are added to it; others
    # replace it. Older records do not say which sibling it was.
    kept = mine[0] if mine and mine[0].networks == networks_checksum(performance) else None
    missing = wanted - kept.scores() if kept else wanted
    references = dict(kept.provenance.get("references", {})) if kept else {}
    if any(reference == "sibling" for reference, _, _ in missing):
        sibling = networks.sibling_facts()["sha256"]
        if references.get("sibling", sibling) != sibling:
            kept, missing = None, wanted
        references["sibling"] = sibling
    similarity = _compare(networks, facts, missing)
    similarity.insert(0, "seed", seed)
    similarity.insert(2, "density", similarity["level"].map(performance.set_index("level")["density"]))
    if kept:
        similarity = pd.concat([kept.similarity, similarity], ignore_index=True)
    sparsity = pd.DataFrame(
        [{"seed": seed, "level": n, **row} for n, level in enumerate(facts) for row in level["sparsity"]]
    )
    comparison = time.perf_counter() - clock + (kept.provenance.get("comparison", 0) if kept else 0)
    trained = [{name: level.get(name) for name in ("precision", "processor")} for level in facts]
    provenance = {
        "experiment": experiment.replace(seeds=(seed,)).to_dict(),
        **_circumstances(study),
        "precision": " and ".join(dict.fromkeys(level["precision"] for level in trained if level["precision"])),
        "levels": trained,
        "references": references,
        "data": {"fingerprint": study.dataset.fingerprint, "source": study.dataset.source},
        "start": start.isoformat(timespec="seconds"),
        "comparison": round(comparison, 2),
        "duration": round(float(performance["seconds"].sum()) + comparison, 2),
    }
    return study.store.write_seed(experiment, seed, SeedResult(performance, similarity, sparsity, provenance))


def _performance(seed: int, facts: Iterable[Facts]) -> pd.DataFrame:
    """What was measured at each level, as a table."""
    return pd.DataFrame([{"seed": seed, **level["performance"]} for level in facts])


# The networks of one seed -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """The networks of one seed of an experiment: the dense one, level 0, and one for each level."""

    study: _Study
    experiment: Experiment
    seed: int

    @cached_property
    def donor(self) -> "_Run | None":
        """The run whose masks are taken, for ways of retraining that take some."""
        if not RETRAINING[self.experiment.retraining].donor:
            return None
        return _Run(self.study, self.experiment.replace(retraining="lr_rewind"), self.seed)

    def make(self, levels: int) -> list[Facts]:
        """Make each network up to a level unless it is there; what is known of each.

        A network is there if it is in the store, whole, of this experiment's shapes, and was made from the networks
        (`parent`) that the level starts from now.
        """
        store, warn, donated = self.study.store, self.study.warn, None
        if levels and self.donor:
            self.study.progress.say(f"seed {self.seed}: first the run with lr_rewind, whose masks are taken")
            donated = self.donor.make(levels)
        facts = self._there([], levels, donated)
        self._say_found(len(facts), levels)
        if len(facts) > levels:
            return facts
        epochs = sum(self.experiment.recipe(level).epochs for level in range(len(facts), levels + 1))
        with self.study.progress.steps(f"seed {self.seed}: training", epochs) as bar:
            # Runs that share only the dense network wait for each other only while it is trained.
            for first, last in ((0, 0), (1, levels)) if levels else ((0, 0),):
                with store.training(self.experiment, self.seed, last, warn):
                    facts = self._there(facts[:first], last, donated, warn)
                    while len(facts) <= last:
                        facts.append(self._make_level(facts, donated, bar))
        return facts

    def _there(
        self, facts: list[Facts], last: int, donated: list[Facts] | None, mend: Say | None = None
    ) -> list[Facts]:
        """What is known of networks, and of those after them up to a level, as far as they are there without a gap."""
        facts = list(facts)
        while (level := len(facts)) <= last and (self.study.resume or self._name(level) in self.study.made):
            found = self.read(level, mend)
            if found is None or not self._fits(found) or found.facts.get("parent") != self._parent(facts, donated):
                break
            facts.append(found.facts)
        return facts

    def _parent(self, before: list[Facts], donated: list[Facts] | None) -> str | None:
        """The checksums of the networks that the next level is made from: the one before, and that of the masks."""
        if not (level := len(before)):
            return None
        start = before[0 if self.experiment.one_shot else level - 1]["sha256"]
        return start if donated is None else f"{start} {donated[level]['sha256']}"

    def _name(self, level: int) -> tuple[str, int, int]:
        return self.experiment.network_key(level), self.seed, level

    def _fits(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint has the shapes of the experiment's networks, and says what was measured."""
        shapes = {name: tensor.shape for name, tensor in checkpoint.state.items()}
        return shapes == self._shapes and {"performance", "sparsity"} <= set(checkpoint.facts)

    @cached_property
    def _shapes(self) -> dict[str, torch.Size]:
        return {name: tensor.shape for name, tensor in self.untrained().state_dict().items()}

    def _say_found(self, found: int, levels: int) -> None:
        """Say which networks are in the store; nothing where none is, or none but a sibling was asked for."""
        if found and levels:
            which = "level 0 of {} is" if found == 1 else f"levels 0 to {found - 1} of {{}} are"
            rest = "the rest is trained" if found <= levels else "nothing is trained"
            self.study.progress.say(f"seed {self.seed}: {which.format(levels)} in the store, {rest}")

    def untrained(self, seed: int | None = None) -> nn.Module:
        """The untrained network, on the CPU, with masks of ones. `seed`: of its weights, where not the run's."""
        dataset = self.study.dataset
        network = models.build(
            self.experiment.architecture,
            channels=dataset.channels,
            image_size=dataset.image_size,
            classes=dataset.n_classes,
            width=self.experiment.width,
            seed=self.seed if seed is None else seed,
        )
        return pruning.attach_masks(network)

    def read(self, level: int, mend: Say | None = None) -> Checkpoint | None:
        """What is stored of a level, if it is of the data at hand."""
        return self.study.store.read_network(self.experiment, self.seed, level, self.study.dataset.fingerprint, mend)

    def network(self, level: int, sha256: str | None = None) -> nn.Module:
        """The network of a level, read from the store, on the CPU. Raises if it is not there (with this checksum)."""
        found = self.read(level)
        if found is None or sha256 not in (None, found.facts["sha256"]):
            raise RuntimeError(
                f"the network of seed {self.seed}, level {level}, was changed in the store by another process; "
                f"run the same command again"
            )
        network = self.untrained()
        network.load_state_dict(found.state)
        return network

    def _make_level(self, before: list[Facts], donated: list[Facts] | None, bar: Steps) -> Facts:
        """Train, measure and store the network of the level after those before, which are in the store."""
        level, experiment, store, clock = len(before), self.experiment, self.study.store, time.perf_counter()
        mode, start = RETRAINING[experiment.retraining], self._start(before, donated)
        network = (self.untrained() if level == 0 else mode.start(start)).to(self.study.device)
        options = {} if level == 0 else mode.options(start)
        facts: Facts = {"parent": self._parent(before, donated)}
        if options is not None:
            recipe = experiment.recipe(0 if mode.dense_recipe else level)
            facts |= self._train(network, level, recipe, options, facts["parent"], clock, bar)
        dataset = self.study.dataset
        train_loss, train_accuracy = evaluate(network, dataset.train_images, dataset.train_labels, dataset)
        test_loss, test_accuracy = evaluate(network, dataset.test_images, dataset.test_labels, dataset)
        density = pruning.density(network)
        bar.say(f"level {level}: density {density:.1%}, test accuracy {test_accuracy:.2%}")
        facts["performance"] = {
            "level": level,
            "density": density,
            "sparsity": 1 - density,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "seconds": round(facts.pop("seconds", 0) + time.perf_counter() - clock, 3),
        }
        facts["sparsity"] = pruning.sparsity_report(network)
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
        written = store.write_network(experiment, self.seed, level, dataset.fingerprint, Checkpoint(state, facts))
        self.study.made.add(self._name(level))
        return written.facts

    def _start(self, before: list[Facts], donated: list[Facts] | None) -> Start:
        level = len(before)
        first = 0 if self.experiment.one_shot else level - 1
        return Start(
            self.experiment,
            self.seed,
            level,
            before=lambda: self.network(first, before[first]["sha256"]),
            untrained=self.untrained,
            early=lambda: self._early,
            donated=lambda: pruning.masks(self.donor.network(level, donated[level]["sha256"])),
        )

    def _train(
        self,
        network: nn.Module,
        level: int,
        recipe: Any,
        options: Mapping[str, Any],
        parent: str | None,
        clock: float,
        bar: Steps,
    ) -> Facts:
        """Train a level's network, from where a run that was stopped within the level got to; how it was done."""
        experiment, dataset, store = self.experiment, self.study.dataset, self.study.store
        place = (experiment, self.seed, level, dataset.fingerprint)
        here = {"processor": _processor(self.study.device)}
        kept = store.read_position(*place) if self.study.resume else None
        position, arithmetic, seconds = None, None, 0.0
        if kept is not None and kept.facts.get("parent") == parent:
            seconds = kept.facts["seconds"]
            if kept.facts["processor"] == here["processor"]:
                arithmetic = Arithmetic(*kept.facts["arithmetic"])
        arithmetic = arithmetic or fastest_arithmetic(network, tuple(dataset.train_images.shape[1:]), self.study.device)
        if seconds:
            position = Position(kept.facts["step"], kept.state, arithmetic)
            done = position.step // steps_per_epoch(len(dataset.train_labels), recipe.batch_size)
            bar.say(f"level {level}: goes on after epoch {done} of {recipe.epochs}")
            for _ in range(done):
                bar.advance(f"level {level} of {experiment.levels}")

        def keep(position: Position) -> None:
            spent = seconds + time.perf_counter() - clock
            facts = {"step": position.step, "arithmetic": list(position.arithmetic), "parent": parent, **here}
            store.write_position(*place, Checkpoint(position.state, facts | {"seconds": spent}))

        train(
            network,
            dataset,
            recipe,
            order_seed=derived_seed(self.seed, "order", level),
            augmentation_seed=derived_seed(self.seed, "augmentation", level),
            arithmetic=arithmetic,
            position=position,
            keep=keep,
            on_epoch=lambda _: bar.advance(f"level {level} of {experiment.levels}"),
            **options,
        )
        return {"precision": str(arithmetic), **here, "seconds": seconds}

    @cached_property
    def _early(self) -> dict[str, torch.Tensor]:
        """The state of the dense network at the step that weight rewinding goes back to: its training, done again.

        A way of retraining that does not say so would share its key among all steps.
        """
        if not RETRAINING[self.experiment.retraining].dense_recipe:
            raise InputError(
                f"retraining: {self.experiment.retraining!r} goes back to a step, so its Mode needs dense_recipe=True"
            )
        network = self.untrained().to(self.study.device)
        train(
            network,
            self.study.dataset,
            self.experiment.recipe(),
            order_seed=derived_seed(self.seed, "order", 0),
            augmentation_seed=derived_seed(self.seed, "augmentation", 0),
            last_step=self.experiment.rewind_step,
        )
        return network.state_dict()

    @cached_property
    def _next(self) -> "_Run":
        return _Run(self.study, self.experiment, self.seed + 1)

    def sibling_facts(self) -> Facts:
        """What is known of the dense network of the next seed, trained if it is not there."""
        (facts,) = self._next.make(0)
        return facts

    def sibling(self) -> nn.Module:
        """The dense network of the next seed, trained if it is not there."""
        return self._next.network(0, self.sibling_facts()["sha256"])


# Comparing ----------------------------------------------------------------------------------------------------------


def _snapshot(study: _Study, network: nn.Module) -> Snapshot:
    network = network.to(study.device)
    return Snapshot(extract(network, study.probes[0]), pruning.weights(network), pruning.masks(network))


# The networks behind REFERENCES, but "previous", which each level is for the next.
SOURCES: dict[str, Callable[[_Run, list[Facts]], nn.Module]] = {
    "dense": lambda networks, facts: networks.network(0, facts[0]["sha256"]),
    "sibling": lambda networks, facts: networks.sibling(),
    "untrained": lambda networks, facts: networks.untrained(),
}


def _compare(networks: _Run, facts: list[Facts], wanted: set[tuple[str, str, str]]) -> pd.DataFrame:
    """The wanted scores of every level: the columns of `RunComparison.level` after a leading one, level."""
    study = networks.study
    names, all_views, all_measures = (set(column) for column in zip(*wanted, strict=True)) if wanted else (set(),) * 3
    references = {name: _snapshot(study, SOURCES[name](networks, facts)) for name in SOURCES if name in names}
    tables = []
    with study.progress.steps(f"seed {networks.seed}: comparing", len(facts)) as bar:
        comparison = RunComparison(
            references,
            views=[view for view in VIEWS if view in all_views],
            measures=[name for name in MEASURES if name in all_measures],
            previous="previous" in names,
            labels=study.probes[1],
            seed=networks.experiment.probe_size,
        )
        for level, known in enumerate(facts):
            table = comparison.level(_snapshot(study, networks.network(level, known["sha256"])))
            table.insert(0, "level", level)
            tables.append(table)
            bar.advance(f"level {level} of {networks.experiment.levels}")
    table = pd.concat(tables, ignore_index=True)
    asked = pd.MultiIndex.from_frame(table[["reference", "view", "measure"]]).isin(list(wanted))
    return table[asked].reset_index(drop=True)


def _diagnose(study: _Study, seed: int, result: SeedResult, wanted: list[str]) -> dict[str, pd.DataFrame]:
    """The stored diagnostics of the networks of a result, and those wanted; each of these is stored when it is done."""
    found = _stored_diagnostics(study, seed, result, wanted)
    if not _missing(wanted, found):
        return found
    with study.store.writing(study.experiment, seed, study.warn):
        found = _stored_diagnostics(study, seed, result, wanted, study.warn)
        missing = _missing(wanted, found)
        networks = _probed(study, seed, result)
        density = result.performance.set_index("level")["density"]
        with study.progress.steps(f"seed {seed}: diagnostics", len(missing)) as bar:
            for name in missing:
                bar.begin(name)
                clock = time.perf_counter()
                table = diagnostic_tables.TABLES[name](networks)
                table.insert(0, "seed", seed)
                if "level" in table:
                    table.insert(2, "density", table["level"].map(density))
                seconds = round(time.perf_counter() - clock, 2)
                provenance = {**_circumstances(study), "seconds": seconds}
                study.store.write_diagnostics(study.experiment, seed, result.networks, name, table, provenance)
                found[name] = table
                bar.say(f"{name}: {len(table):,} rows in {seconds:.0f} s")
                bar.advance(name)
    return found


def _stored_diagnostics(
    study: _Study, seed: int, result: SeedResult, wanted: list[str], mend: Say | None = None
) -> dict[str, pd.DataFrame]:
    """The stored diagnostics of the networks of a result, but for those that are to be computed afresh."""
    found = study.store.read_diagnostics(study.experiment, seed, result.networks, mend)
    return {name: table for name, table in found.items() if study.resume or name not in wanted}


def _missing(wanted: list[str], found: Collection[str]) -> list[str]:
    return [name for name in wanted if name not in found]


def _checksums(networks: _Run, result: SeedResult) -> list[str]:
    """The checksums of the stored networks that gave a result, by level.

    Raises `InputError` if they are not there, or if those that are there gave other results.
    """
    found = [networks.read(level) for level in range(networks.experiment.levels + 1)]
    facts = [] if None in found else [level.facts for level in found]
    if not facts or networks_checksum(_performance(networks.seed, facts)) != result.networks:
        raise InputError(
            f"diagnostics: the networks of seed {networks.seed} are not in the store "
            f"{str(networks.study.store.root)!r}; with resume=False (--no-resume) they are trained again"
        )
    return [level["sha256"] for level in facts]


def _probed(study: _Study, seed: int, result: SeedResult) -> diagnostic_tables.ProbedRun:
    """The stored networks that gave a result, for diagnostics; the sibling is trained if it is not there.

    Raises `InputError` if they are not there; one that is replaced later raises `RuntimeError` when it is used.
    """
    networks = _Run(study, study.experiment, seed)
    checksums = _checksums(networks, result)
    sibling = networks.sibling().to(study.device)
    inputs, labels = study.probes
    return diagnostic_tables.ProbedRun(
        levels=study.experiment.levels,
        network=lambda level: networks.network(level, checksums[level]).to(study.device),
        sibling=lambda: sibling,
        inputs=inputs,
        labels=labels,
        dataset=study.dataset,
        augmentation=study.experiment.augmentation,
        seed=study.experiment.probe_size,
    )


# Provenance ---------------------------------------------------------------------------------------------------------


def _circumstances(study: _Study) -> dict[str, Any]:
    """What computes here: versions, device, threads."""
    from simprune import __version__

    packages = {}
    for package in PACKAGES:
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "not installed"
    return {
        "simprune": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "packages": packages,
        "device": _processor(study.device),
        "threads": torch.get_num_threads(),
    }


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"


def _git_commit() -> str | None:
    """The commit of the checkout that the package runs from, marked if it was changed; None outside one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        describe = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
