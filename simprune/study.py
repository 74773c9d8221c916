"""Run an experiment: train, prune, compare; keep what is done, compute only what is missing."""

import datetime
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import nn

from simprune import data as datasets
from simprune import models, pruning
from simprune.comparison import RunComparison, Snapshot
from simprune.errors import InputError, check_choice
from simprune.experiment import ALL, Experiment
from simprune.measures import MEASURES
from simprune.representations import VIEWS, extract
from simprune.store import Checkpoint, SeedResult, Store
from simprune.training import FINAL_LEARNING_RATE, derived_seed, evaluate, steps_per_epoch, train

DEVICES = ("auto", "cpu", "cuda")
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas")


@dataclass(frozen=True)
class Results:
    """What an experiment gave: two tidy tables, a report of sparsity by layer, and how they were made.

    performance   one row per seed and level: seed, level, density, sparsity, train_loss, train_accuracy, test_loss,
                  test_accuracy, seconds; losses in nats, accuracies and densities in 0 … 1
    similarity    one row per score: seed, level, density, layer, layer_index, reference, view, measure, value, status
    sparsity      one row per seed, level and prunable layer: seed, level, layer, weights, kept, density
    provenance    experiment, versions, git commit, device, data fingerprint, start, duration (seconds), by seed too
    directory     where the tables are stored
    """

    experiment: Experiment
    performance: pd.DataFrame
    similarity: pd.DataFrame
    sparsity: pd.DataFrame
    provenance: dict[str, Any]
    directory: Path


def run(
    experiment: Experiment,
    *,
    data: str | PathLike | None = None,
    store: str | PathLike | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    download: bool = False,
) -> Results:
    """Give the results of an experiment: those that are stored are read, what is missing is computed and stored.

    `data` is the data root (default: `SIMPRUNE_DATA`), `store` the user's store (default: `SIMPRUNE_STORE`, or a
    folder under the user's cache folder), `device` "auto", "cpu" or "cuda". With `resume=False` nothing stored is
    used. Raises `InputError`, before any work and with nothing written, if what was given can't be run.
    """
    console = Console(stderr=True, quiet=not progress, force_jupyter=False)
    study = _Study(experiment, data, Store(store), _device(device), resume, download, console)
    return _collect(experiment, [study.seed(seed) for seed in experiment.seeds])


def load(experiment: Experiment, *, store: str | PathLike | None = None) -> Results:
    """The stored results of an experiment, from the user's store or else the shipped ones; nothing is computed.

    Raises `InputError` if a seed or a score that the experiment asks for is not stored.
    """
    place = Store(store)
    found = []
    for seed in experiment.seeds:
        fitting = [result for result in place.read_seed(experiment, seed) if _scores(experiment) <= result.scores()]
        if not fitting:
            raise InputError(
                f"seeds: no stored result of {experiment.name} holds seed {seed} with every score asked "
                f"for; compute it with simprune.run"
            )
        found.append(fitting[0])
    return _collect(experiment, found)


def _scores(experiment: Experiment) -> set[tuple[str, str, str]]:
    """The (reference, view, measure) triples that an experiment asks for."""
    return RunComparison.scores(experiment.references, experiment.views, experiment.measures)


def _device(device: str) -> torch.device:
    check_choice("device", device, DEVICES)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: 'cuda' was asked for, but PyTorch finds no CUDA device here; use 'cpu' or 'auto'")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


class _Study:
    """One call of `run`: what all its seeds share."""

    def __init__(self, experiment, data, store, device, resume, download, console):
        self.experiment: Experiment = experiment
        self.store: Store = store
        self.device: torch.device = device
        self.resume: bool = resume
        self.console: Console = console
        self._root, self._download = data, download
        self._dataset: datasets.Dataset | None = None
        self._fingerprint: str | None = None

    # Data -----------------------------------------------------------------------------------------------------------

    @property
    def dataset(self) -> datasets.Dataset:
        """The dataset on the device, read and checked against the experiment once, when it is first needed."""
        if self._dataset is None:
            experiment = self.experiment
            full = datasets.load(experiment.dataset, self._root, download=self._download)
            most = {"train_size": len(full.train_labels), "probe_size": len(full.test_labels)}
            for field, available in most.items():
                asked = getattr(experiment, field)
                if asked != ALL and asked > available:
                    raise InputError(f"{field}: {asked} is more than the {available:,} images of {experiment.dataset}")
            dataset = full.subset(None if experiment.train_size == ALL else experiment.train_size)
            steps = experiment.epochs * steps_per_epoch(len(dataset.train_labels), experiment.batch_size)
            if experiment.retraining == "weight_rewind" and experiment.rewind_step >= steps:
                raise InputError(
                    f"rewind_step: {experiment.rewind_step} is not before the end of the training, step {steps}"
                )
            experiment.check_shapes(channels=dataset.channels, image_size=dataset.image_size, classes=dataset.n_classes)
            self.store.prepare()
            self._fingerprint = dataset.fingerprint
            self.store.remember_fingerprint(
                datasets.state_of_files(experiment.dataset, self._root), dataset.fingerprint
            )
            self._dataset = dataset.to(self.device)
        return self._dataset

    @cached_property
    def probes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The probe inputs and their labels."""
        return datasets.probe_inputs(self.dataset, self.experiment.probe_size)

    def fingerprint_at_hand(self) -> str | None:
        """The fingerprint of the data if it is here; None if it is not."""
        if self._fingerprint is None:
            try:
                state = datasets.state_of_files(self.experiment.dataset, self._root)
            except InputError:
                return None
            self._fingerprint = self.store.fingerprint(state)
            if self._fingerprint is None:
                self._fingerprint = datasets.load(self.experiment.dataset, self._root).fingerprint
        return self._fingerprint

    # One seed -------------------------------------------------------------------------------------------------------

    def seed(self, seed: int) -> SeedResult:
        """The results of one seed, stored or computed."""
        wanted = _scores(self.experiment)
        stored = self._stored(seed) if self.resume else []
        for result in stored:
            if wanted <= result.scores():
                self.console.print(f"seed {seed}: read from {result.directory}", highlight=False, soft_wrap=True)
                return result
        start, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
        dataset = self.dataset  # refuses what can't be run
        chain = _Chain(self, seed)
        facts, trained = chain.train()
        mine = [result for result in stored if result.directory == self.store.directory(self.experiment)]
        # Scores of networks that are the very ones of the stored table are added to it; others replace it.
        kept = mine[0] if mine and not trained else None
        similarity = chain.compare(wanted - kept.scores() if kept else wanted)
        performance = pd.DataFrame([{"seed": seed, **level["performance"]} for level in facts])
        similarity.insert(0, "seed", seed)
        similarity.insert(2, "density", similarity["level"].map(performance.set_index("level")["density"]))
        if kept:
            similarity = pd.concat([kept.similarity, similarity], ignore_index=True)
        sparsity = pd.DataFrame(
            [{"seed": seed, "level": n, **row} for n, level in enumerate(facts) for row in level["sparsity"]]
        )
        provenance = {
            "experiment": self.experiment.replace(seeds=(seed,)).to_dict(),
            **_versions(),
            "device": _device_name(self.device),
            "threads": torch.get_num_threads(),
            "data": {"fingerprint": dataset.fingerprint, "source": dataset.source},
            "start": start.isoformat(timespec="seconds"),
            "duration": round(time.perf_counter() - clock, 2),
        }
        result = SeedResult(performance, similarity, sparsity, provenance)
        return self.store.write_seed(self.experiment, seed, result)

    def _stored(self, seed: int) -> list[SeedResult]:
        """The stored results of one seed that were made from the data at hand, or from any if none is at hand."""
        fitting = []
        for result in self.store.read_seed(self.experiment, seed):
            made_from, at_hand = result.provenance["data"]["fingerprint"], self.fingerprint_at_hand()
            if at_hand in (None, made_from):
                fitting.append(result)
            else:
                self.console.print(
                    f"seed {seed}: the result in {result.directory} was made from other data (fingerprint {made_from}, "
                    f"here {at_hand}); computing afresh",
                    highlight=False,
                    soft_wrap=True,
                )
        return fitting


class _Chain:
    """The networks of one seed: the dense one, and one per level."""

    def __init__(self, study: _Study, seed: int, experiment: Experiment | None = None):
        self.study, self.seed = study, seed
        self.experiment = study.experiment if experiment is None else experiment

    def _untrained(self, seed: int | None = None) -> nn.Module:
        dataset = self.study.dataset
        network = models.build(
            self.experiment.architecture,
            channels=dataset.channels,
            image_size=dataset.image_size,
            classes=dataset.n_classes,
            width=self.experiment.width,
            seed=self.seed if seed is None else seed,
        )
        return pruning.attach_masks(network).to(self.study.device)

    def network(self, level: int) -> nn.Module:
        """The trained network of one level, read from the store."""
        checkpoint = self._checkpoint(level)
        network = self._untrained()
        network.load_state_dict(checkpoint.state)
        return network

    def _checkpoint(self, level: int) -> Checkpoint | None:
        return self.study.store.read_network(self.experiment, self.seed, level, self.study.dataset.fingerprint)

    def train(self, levels: int | None = None) -> tuple[list[dict[str, Any]], bool]:
        """Train the networks that are missing; return what was measured at each level, and whether any was missing."""
        experiment, store = self.experiment, self.study.store
        levels = experiment.levels if levels is None else levels
        facts = []
        while self.study.resume and len(facts) <= levels:
            checkpoint = self._checkpoint(len(facts))
            if checkpoint is None:
                break
            facts.append(checkpoint.facts)
        missing = range(len(facts), levels + 1)
        if not missing:
            return facts, False
        with _progress(self.study.console, f"seed {self.seed}: training", len(missing) * experiment.epochs) as bar:
            for level in missing:
                checkpoint = self._train_level(level, bar)
                checkpoint = store.write_network(
                    experiment, self.seed, level, self.study.dataset.fingerprint, checkpoint
                )
                facts.append(checkpoint.facts)
        return facts, True

    def _train_level(self, level: int, bar: "_Bar") -> Checkpoint:
        """Make the network of a level from the one it starts from, which is in the store, and measure it."""
        experiment, dataset, clock = self.experiment, self.study.dataset, time.perf_counter()
        network = self._untrained() if level == 0 else self._pruned(level)
        options = self._retraining() if level > 0 else {}
        if options is not None:
            train(
                network,
                dataset,
                experiment.recipe(),
                order_seed=derived_seed(self.seed, "order", level),
                augmentation_seed=derived_seed(self.seed, "augmentation", level),
                on_epoch=lambda _: bar.advance(f"level {level} of {experiment.levels}"),
                **options,
            )
        train_loss, train_accuracy = evaluate(network, dataset.train_images, dataset.train_labels, dataset)
        test_loss, test_accuracy = evaluate(network, dataset.test_images, dataset.test_labels, dataset)
        density = pruning.density(network)
        bar.say(f"level {level}: density {density:.1%}, test accuracy {test_accuracy:.2%}")
        performance = {
            "level": level,
            "density": density,
            "sparsity": 1 - density,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "seconds": round(time.perf_counter() - clock, 3),
        }
        state = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        return Checkpoint(state, {"performance": performance, "sparsity": pruning.sparsity_report(network)})

    def _pruned(self, level: int) -> nn.Module:
        """The network that retraining starts from at a level above 0."""
        experiment = self.experiment
        if experiment.retraining == "reinitialise":
            donor = _Chain(self.study, self.seed, experiment.replace(retraining="lr_rewind"))
            donor.train(level)
            network = self._untrained(derived_seed(self.seed, "initial weights", level))
            pruning.load_masks(network, pruning.masks(donor.network(level)))
            return network
        network = self.network(0 if experiment.one_shot else level - 1).cpu()
        pruning.prune_to(
            network,
            pruning.nominal_density(experiment.rate, level),
            criterion=experiment.criterion,
            scope=experiment.scope,
            seed=derived_seed(self.seed, "pruning", level),
            keep_output=experiment.keep_output,
        )
        if experiment.retraining == "weight_rewind":
            masks = pruning.masks(network)
            network.load_state_dict(self._early_state)
            pruning.load_masks(network, masks)
        return network.to(self.study.device)

    def _retraining(self) -> dict[str, Any] | None:
        """The options of `train` above level 0; None where there is no training."""
        experiment = self.experiment
        if experiment.retraining == "none":
            return None
        if experiment.retraining == "weight_rewind":
            return {"first_step": experiment.rewind_step}
        if experiment.retraining == "finetune":
            return {"constant_learning_rate": experiment.learning_rate * FINAL_LEARNING_RATE}
        return {}

    @cached_property
    def _early_state(self) -> dict[str, torch.Tensor]:
        """The state of the dense network at the step that weight rewinding goes back to: its training, done again."""
        network = self._untrained()
        train(
            network,
            self.study.dataset,
            self.experiment.recipe(),
            order_seed=derived_seed(self.seed, "order", 0),
            augmentation_seed=derived_seed(self.seed, "augmentation", 0),
            last_step=self.experiment.rewind_step,
        )
        return network.state_dict()

    def _snapshot(self, network: nn.Module) -> Snapshot:
        return Snapshot(extract(network, self.study.probes[0]), pruning.weights(network), pruning.masks(network))

    def compare(self, wanted: set[tuple[str, str, str]]) -> pd.DataFrame:
        """The wanted scores of every level: level, layer, layer_index, reference, view, measure, value, status."""
        names = {reference for reference, _, _ in wanted}
        views = [view for view in VIEWS if any(view == wanted_view for _, wanted_view, _ in wanted)]
        measures = [name for name in MEASURES if any(name == measure for _, _, measure in wanted)]
        references = {}
        if "dense" in names:
            references["dense"] = self._snapshot(self.network(0))
        if "sibling" in names:
            sibling = _Chain(self.study, self.seed + 1)
            sibling.train(levels=0)
            references["sibling"] = self._snapshot(sibling.network(0))
        if "untrained" in names:
            references["untrained"] = self._snapshot(self._untrained())
        levels = self.experiment.levels + 1
        tables = []
        with _progress(self.study.console, f"seed {self.seed}: comparing", levels) as bar:
            comparison = RunComparison(
                references,
                views=views,
                measures=measures,
                previous="previous" in names,
                labels=self.study.probes[1],
                seed=self.experiment.probe_size,
            )
            for level in range(levels):
                scores = comparison.level(self._snapshot(self.network(level)))
                scores.insert(0, "level", level)
                tables.append(scores)
                bar.advance(f"level {level} of {self.experiment.levels}")
        table = pd.concat(tables, ignore_index=True)
        asked = pd.MultiIndex.from_frame(table[["reference", "view", "measure"]]).isin(list(wanted))
        return table[asked].reset_index(drop=True)


def _collect(experiment: Experiment, seeds: list[SeedResult]) -> Results:
    """The results of several seeds as one: their tables joined, the scores that were asked for picked out."""
    similarity = pd.concat([seed.similarity for seed in seeds], ignore_index=True)
    asked = pd.MultiIndex.from_frame(similarity[["reference", "view", "measure"]]).isin(list(_scores(experiment)))
    first = seeds[0].provenance
    provenance = {
        **first,
        "experiment": experiment.to_dict(),
        "duration": round(sum(seed.provenance["duration"] for seed in seeds), 2),
        "seeds": {number: seed.provenance for number, seed in zip(experiment.seeds, seeds, strict=True)},
    }
    return Results(
        experiment=experiment,
        performance=pd.concat([seed.performance for seed in seeds], ignore_index=True),
        similarity=similarity[asked].reset_index(drop=True),
        sparsity=pd.concat([seed.sparsity for seed in seeds], ignore_index=True),
        provenance=provenance,
        directory=seeds[0].directory,
    )


# Provenance ---------------------------------------------------------------------------------------------------------


def _versions() -> dict[str, Any]:
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
    }


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


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


# Progress -----------------------------------------------------------------------------------------------------------


class _Bar:
    """A progress bar on a terminal; elsewhere (a log, a notebook) one line per thing said."""

    def __init__(self, console: Console, title: str, total: int):
        self.console, self.title = console, title
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=console.quiet or not console.is_terminal,
        )
        self.task = self.progress.add_task(title, total=total)

    def advance(self, what: str) -> None:
        """One step done, of what."""
        self.progress.update(self.task, advance=1, description=f"{self.title}, {what}")

    def say(self, text: str) -> None:
        """A line that stays."""
        self.progress.console.print(f"{self.title.split(':')[0]}, {text}", highlight=False, soft_wrap=True)


@contextmanager
def _progress(console: Console, title: str, total: int) -> Iterator[_Bar]:
    bar = _Bar(console, title, total)
    with bar.progress:
        yield bar
