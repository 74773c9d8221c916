"""Run an experiment: train, prune, compare; keep what is done, compute only what is missing."""

import datetime
import platform
import subprocess
import time
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from torch import nn

from simprune import data as datasets
from simprune import diagnostics as diagnostic_tables
from simprune import models, pruning, resources
from simprune.comparison import RunComparison, Snapshot
from simprune.errors import InputError, check_choice, shown
from simprune.experiment import ALL, Experiment
from simprune.measures import MEASURES
from simprune.progress import Progress, Steps
from simprune.representations import VIEWS, extract
from simprune.results import Results, joined, scores
from simprune.store import Checkpoint, Say, SeedResult, Store, networks_checksum
from simprune.training import FINAL_LEARNING_RATE, derived_seed, evaluate, mixed_precision, steps_per_epoch, train

DEVICES = ("auto", "cpu", "cuda")
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas")


def run(
    experiment: Experiment,
    *,
    data: str | PathLike | None = None,
    store: str | PathLike | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    download: bool = False,
    diagnostics: bool = False,
) -> Results:
    """Give the results of an experiment: those that are stored are read, what is missing is computed and stored.

    `data` is the data root (default: `SIMPRUNE_DATA`), `store` the user's store (default: `SIMPRUNE_STORE`, or a
    folder under the user's cache folder), `device` "auto", "cpu" or "cuda". With `resume=False` nothing stored is
    used. With `diagnostics` the tables of `diagnostics.TABLES` that are missing are computed too, from the networks
    in the store: none but a missing sibling is trained for them. Raises `InputError`, before any work and with
    nothing written, if what was given can't be run; and where networks that diagnostics need are not in the store.
    """
    _check_experiment(experiment)
    study = _Study(experiment, data, Store(store), _device(device), resume, download, Progress(progress))
    seeds = [study.seed(seed) for seed in experiment.seeds]
    make = study.diagnose if diagnostics else study.diagnosed
    tables = [make(seed, result) for seed, result in zip(experiment.seeds, seeds, strict=True)]
    held, found = (dict(zip(experiment.seeds, those, strict=True)) for those in (seeds, tables))
    return joined(experiment, held, found, scores(experiment))


def _check_experiment(experiment: object) -> None:
    if not isinstance(experiment, Experiment):
        raise InputError(f"experiment: {shown(experiment)} is not an Experiment; make one with simprune.Experiment(…)")


def _device(device: str) -> torch.device:
    check_choice("device", device, DEVICES)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: 'cuda' was asked for, but PyTorch finds no CUDA device here; use 'cpu' or 'auto'")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


class _Study:
    """One call of `run`: what all its seeds share."""

    def __init__(self, experiment, data, store, device, resume, download, progress):
        self.experiment: Experiment = experiment
        self.store: Store = store
        self.device: torch.device = device
        self.resume: bool = resume
        self.progress: Progress = progress
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
            self._check_resources(full)
            self.store.prepare()
            self._fingerprint = dataset.fingerprint
            self.store.remember_fingerprint(
                datasets.state_of_files(experiment.dataset, self._root), dataset.fingerprint
            )
            self._dataset = dataset.to(self.device)
        return self._dataset

    def _check_resources(self, dataset: datasets.Dataset) -> None:
        """Refuse what this machine can't do, and say what it may be too small for."""
        needed = resources.estimate(
            self.experiment,
            channels=dataset.channels,
            image_size=dataset.image_size,
            classes=dataset.n_classes,
            images=len(dataset.train_labels) + len(dataset.test_labels),
        )
        resources.check(needed, self.store.root, self.warn, stored=self.store.networks_size(self.experiment))

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
        result, _ = self._complete(seed)
        if result is not None:
            if result.directory == self.store.directory(self.experiment):
                self.store.mend_description(self.experiment, result, self.warn)
            return result
        _ = self.dataset  # refuses what can't be run
        with self.store.writing(self.experiment, seed, self.warn):
            # Another process may have made them since, and only now is it certain that none is writing them.
            result, stored = self._complete(seed, mend=self.warn)
            return self._compute(seed, stored) if result is None else result

    def _complete(self, seed: int, mend: Say | None = None) -> tuple[SeedResult | None, list[SeedResult]]:
        """The stored result that holds every score asked for, if there is one; and all that are stored."""
        stored = self._stored(seed, mend) if self.resume else []
        for result in stored:
            if scores(self.experiment) <= result.scores():
                self.progress.say(f"seed {seed}: read from {result.directory}")
                return result, stored
        return None, stored

    def _compute(self, seed: int, stored: list[SeedResult]) -> SeedResult:
        """Train and compare what is missing of one seed, and write its tables."""
        start, clock = datetime.datetime.now(datetime.UTC), time.perf_counter()
        dataset, wanted = self.dataset, scores(self.experiment)
        chain = _Chain(self, seed)
        performance = _performance(seed, facts := chain.train())
        mine = [result for result in stored if result.directory == self.store.directory(self.experiment)]
        # Scores of networks that are the very ones of the stored table are added to it; others replace it.
        kept = mine[0] if mine and mine[0].networks == networks_checksum(performance) else None
        similarity = chain.compare(wanted - kept.scores() if kept else wanted)
        similarity.insert(0, "seed", seed)
        similarity.insert(2, "density", similarity["level"].map(performance.set_index("level")["density"]))
        if kept:
            similarity = pd.concat([kept.similarity, similarity], ignore_index=True)
        sparsity = pd.DataFrame(
            [{"seed": seed, "level": n, **row} for n, level in enumerate(facts) for row in level["sparsity"]]
        )
        provenance = {
            "experiment": self.experiment.replace(seeds=(seed,)).to_dict(),
            **self._circumstances(),
            "data": {"fingerprint": dataset.fingerprint, "source": dataset.source},
            "start": start.isoformat(timespec="seconds"),
            "duration": round(time.perf_counter() - clock, 2),
        }
        result = SeedResult(performance, similarity, sparsity, provenance)
        return self.store.write_seed(self.experiment, seed, result)

    def _circumstances(self) -> dict[str, Any]:
        """What computes here: versions, device, threads, precision of training."""
        mixed = mixed_precision(_Chain(self, 0)._untrained(), self.device)
        return {
            **_versions(),
            "device": _device_name(self.device),
            "threads": torch.get_num_threads(),
            "precision": "bfloat16 and float32" if mixed else "float32",
        }

    def diagnosed(self, seed: int, result: SeedResult, mend: Say | None = None) -> dict[str, pd.DataFrame]:
        """The stored diagnostics of the networks of a result."""
        return self.store.read_diagnostics(self.experiment, seed, result.networks, mend)

    def diagnose(self, seed: int, result: SeedResult) -> dict[str, pd.DataFrame]:
        """All diagnostics of the networks of a result, stored or computed; each is stored when it is done."""
        found = self.diagnosed(seed, result) if self.resume else {}
        missing = [name for name in diagnostic_tables.TABLES if name not in found]
        if not missing:
            return found
        with self.store.writing(self.experiment, seed, self.warn):
            return self._diagnose(seed, result)

    def _diagnose(self, seed: int, result: SeedResult) -> dict[str, pd.DataFrame]:
        """Compute and store the diagnostics that are still missing."""
        found = self.diagnosed(seed, result, self.warn) if self.resume else {}
        missing = [name for name in diagnostic_tables.TABLES if name not in found]
        networks = _Chain(self, seed).probed(result)
        density = result.performance.set_index("level")["density"]
        with self.progress.steps(f"seed {seed}: diagnostics", len(missing)) as bar:
            for name in missing:
                bar.begin(name)
                clock = time.perf_counter()
                table = diagnostic_tables.TABLES[name](networks)
                table.insert(0, "seed", seed)
                if "level" in table:
                    table.insert(2, "density", table["level"].map(density))
                seconds = round(time.perf_counter() - clock, 2)
                provenance = {**self._circumstances(), "seconds": seconds}
                self.store.write_diagnostics(self.experiment, seed, result.networks, name, table, provenance)
                found[name] = table
                bar.say(f"{name}: {len(table):,} rows in {seconds:.0f} s")
                bar.advance(name)
        return found

    def warn(self, text: str) -> None:
        """Say what the user has to know, even one who asked for no progress."""
        Console(stderr=True, force_jupyter=False).print(text, highlight=False, markup=False, soft_wrap=True)

    def _stored(self, seed: int, mend: Say | None) -> list[SeedResult]:
        """The stored results of one seed that were made from the data at hand, or from any if none is at hand."""
        fitting = []
        for result in self.store.read_seed(self.experiment, seed, mend):
            made_from, at_hand = result.provenance["data"]["fingerprint"], self.fingerprint_at_hand()
            if at_hand in (None, made_from):
                fitting.append(result)
            else:
                self.progress.say(
                    f"seed {seed}: the result in {result.directory} was made from other data (fingerprint {made_from}, "
                    f"here {at_hand}); computing afresh"
                )
        return fitting


class _Chain:
    """The networks of one seed: the dense one, and one per level."""

    def __init__(self, study: _Study, seed: int, experiment: Experiment | None = None):
        self.study, self.seed = study, seed
        self.experiment = study.experiment if experiment is None else experiment
        self._sums: dict[int, str] = {}  # of the networks that the tables are of
        self._dense_is_new = False  # then pruned networks in the store were made from another one
        self._dense_is_made = False  # then it is taken from the store, whatever else is not

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
        if checkpoint is None or checkpoint.facts["sha256"] != self._sums.get(level, checkpoint.facts["sha256"]):
            raise RuntimeError(
                f"the network of seed {self.seed}, level {level}, was changed in the store by another process; "
                f"run the same command again"
            )
        network = self._untrained()
        network.load_state_dict(checkpoint.state)
        return network

    def _checkpoint(self, level: int, mend: Say | None = None) -> Checkpoint | None:
        fingerprint = self.study.dataset.fingerprint
        return self.study.store.read_network(self.experiment, self.seed, level, fingerprint, mend)

    def train(self, levels: int | None = None) -> list[dict[str, Any]]:
        """Train the networks that are missing; return what was measured at each level."""
        levels = self.experiment.levels if levels is None else levels
        facts = self._present(0, levels)
        missing = levels + 1 - len(facts)
        self._say_found(len(facts), levels)
        if missing and levels and self.experiment.retraining in pruning.WITH_DONOR:
            self._train_donor(levels)
        if missing:
            epochs = missing * self.experiment.epochs
            with self.study.progress.steps(f"seed {self.seed}: training", epochs) as bar:
                # Runs that share only the dense network wait for each other only while it is trained.
                facts = self._train(0, 0, bar)
                facts += self._train(1, levels, bar) if levels else []
        self._sums = {level: fact["sha256"] for level, fact in enumerate(facts)}
        return facts

    @cached_property
    def _donor(self) -> "_Chain":
        """The run whose masks new weights are trained under."""
        return _Chain(self.study, self.seed, self.experiment.replace(retraining="lr_rewind"))

    def _train_donor(self, levels: int) -> None:
        """Train the donor of masks, once for all levels; both runs start from one dense network, which is its."""
        self.study.progress.say(f"seed {self.seed}: first the run with lr_rewind, whose masks are taken")
        self._donor.train(levels)
        self._dense_is_made, self._dense_is_new = True, self._donor._dense_is_new

    def _say_found(self, found: int, levels: int) -> None:
        """Say which networks are in the store; nothing where none is, or none but a sibling was asked for."""
        if found and levels:
            which = "level 0 of {} is" if found == 1 else f"levels 0 to {found - 1} of {{}} are"
            rest = "the rest is trained" if found <= levels else "nothing is trained"
            self.study.progress.say(f"seed {self.seed}: {which.format(levels)} in the store, {rest}")

    def _train(self, first: int, last: int, bar: Steps) -> list[dict[str, Any]]:
        """Train those networks from level `first` to level `last` that are missing, with the right to write them."""
        store, fingerprint, warn = self.study.store, self.study.dataset.fingerprint, self.study.warn
        with store.training(self.experiment, self.seed, last, warn):
            facts = [] if first and self._dense_is_new else self._present(first, last, mend=warn)
            for level in range(first + len(facts), last + 1):
                checkpoint = self._train_level(level, bar)
                checkpoint = store.write_network(self.experiment, self.seed, level, fingerprint, checkpoint)
                facts.append(checkpoint.facts)
                self._dense_is_new |= level == 0
        return facts

    def _present(self, first: int, last: int, mend: Say | None = None) -> list[dict[str, Any]]:
        """What was measured on the networks from level `first` on, as far as they are in the store without a gap."""
        facts = []
        while (level := first + len(facts)) <= last and (self.study.resume or (level == 0 and self._dense_is_made)):
            checkpoint = self._checkpoint(level, mend)
            if checkpoint is None or not self._fits(checkpoint):
                break
            made_from = checkpoint.facts.get("parent")  # the networks of version 0.1.0 do not say it
            if made_from is not None and made_from != self._parent(level, {first + n: f for n, f in enumerate(facts)}):
                break
            facts.append(checkpoint.facts)
        return facts

    def _parent(self, level: int, known: Mapping[int, dict[str, Any]] | None = None) -> str | None:
        """The checksum of the network whose weights or masks a level starts from; None if that is not in the store.

        `known`: what is known of levels already.
        """
        if level == 0:
            return None
        chain = self._donor if self.experiment.retraining in pruning.WITH_DONOR else self
        place = level if chain is not self else 0 if self.experiment.one_shot else level - 1
        if chain is self and known and place in known:
            return known[place]["sha256"]
        checkpoint = chain._checkpoint(place)
        return None if checkpoint is None else checkpoint.facts["sha256"]

    def _fits(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint has the shapes of the experiment's networks, and says what was measured."""
        shapes = {name: tensor.shape for name, tensor in checkpoint.state.items()}
        return shapes == self._shapes and {"performance", "sparsity"} <= set(checkpoint.facts)

    @cached_property
    def _shapes(self) -> dict[str, torch.Size]:
        return {name: tensor.shape for name, tensor in self._untrained().state_dict().items()}

    def _train_level(self, level: int, bar: Steps) -> Checkpoint:
        """Make the network of a level from the one it starts from, which is in the store, and measure it."""
        experiment, dataset, clock = self.experiment, self.study.dataset, time.perf_counter()
        network = self._untrained() if level == 0 else self._pruned(level)
        options = self._retraining(level) if level > 0 else {}
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
        facts = {
            "performance": performance,
            "sparsity": pruning.sparsity_report(network),
            "parent": self._parent(level),
        }
        return Checkpoint(state, facts)

    def _pruned(self, level: int) -> nn.Module:
        """The network that retraining starts from at a level above 0."""
        experiment = self.experiment
        if experiment.retraining == "reinitialise":
            network = self._untrained(derived_seed(self.seed, "initial weights", level))
            pruning.load_masks(network, pruning.masks(self._donor.network(level)))
            return network
        network = self.network(0 if experiment.one_shot else level - 1).cpu()
        if experiment.retraining == "held":
            return network.to(self.study.device)
        if experiment.retraining == "regrown":
            pruning.zero(network, pruning.masks(self._donor.network(level).cpu()))
            return network.to(self.study.device)
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

    def _retraining(self, level: int) -> dict[str, Any] | None:
        """The options of `train` at a level above 0; None where there is no training."""
        experiment = self.experiment
        if experiment.retraining == "held":
            kept = pruning.masks(self._donor.network(level))
            return {"trainable": {f"{layer}.weight_orig": mask for layer, mask in kept.items()}}
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

    def probed(self, result: SeedResult) -> diagnostic_tables.ProbedRun:
        """The stored networks that gave a result, for diagnostics; the sibling is trained if it is not there.

        Raises `InputError` if they are not there, or if those that are there gave other results.
        """
        found = [self._checkpoint(level) for level in range(self.experiment.levels + 1)]
        facts = [level.facts for level in found if level]
        if None in found or networks_checksum(_performance(self.seed, facts)) != result.networks:
            raise InputError(
                f"diagnostics: the networks of seed {self.seed} are not in the store {str(self.study.store.root)!r}; "
                f"with resume=False (--no-resume) they are trained again"
            )
        sibling = _Chain(self.study, self.seed + 1)
        if sibling._checkpoint(0) is None:
            sibling.train(levels=0)
        inputs, labels = self.study.probes
        return diagnostic_tables.ProbedRun(
            levels=self.experiment.levels,
            network=self.network,
            sibling=lambda: sibling.network(0),
            inputs=inputs,
            labels=labels,
            seed=self.experiment.probe_size,
        )

    def compare(self, wanted: set[tuple[str, str, str]]) -> pd.DataFrame:
        """The wanted scores of every level: `level` and the columns of `RunComparison.level`."""
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
        with self.study.progress.steps(f"seed {self.seed}: comparing", levels) as bar:
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


def _performance(seed: int, facts: list[dict[str, Any]]) -> pd.DataFrame:
    """What was measured at each level, as a table."""
    return pd.DataFrame([{"seed": seed, **level["performance"]} for level in facts])


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
