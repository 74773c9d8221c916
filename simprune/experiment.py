"""Experiment: what to run. Frozen, validated at construction, hashable; a profile fills in what is not given."""

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from typing import Any

from simprune.comparison import REFERENCES
from simprune.data import AUGMENTATIONS, DATASETS, check_dataset, content, identify, short_name
from simprune.errors import InputError, check_choice, check_list, check_number, check_whole, shown
from simprune.measures import MEASURES, STUDY
from simprune.models import ARCHITECTURES, Architecture, build, check_width
from simprune.pruning import CRITERIA, OUTPUT, SCOPES, check_levels, prunable
from simprune.representations import VIEWS
from simprune.retraining import RETRAINING
from simprune.training import Recipe

ALL = "all"

# Part of every hash: raise it when a change of the code changes the numbers of a seed or the layout of its tables.
RESULTS_SCHEMA = 2

FIRST_MEASURES = ("mean_cca", "svcca", "pwcca", "linear_cka", "nbs")


# What profiles share: the whole study, and that with a schedule that reaches its end.
_STUDY = {
    "rewind_step": 500,
    "train_size": ALL,
    "probe_size": 1000,
    "views": VIEWS,
    "measures": STUDY,
    "references": REFERENCES,
}
_TO_ITS_END = {
    **_STUDY,
    "levels": 4,
    "rate": 0.488,  # the densities of every third level at 20 %: 51, 26, 13 and 7 %
    "schedule": "linear",
    "nesterov": True,
}

# What a profile fills in, whatever the architecture …
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "quick": {
        "title": "first look, class, tests: minutes at the most on a laptop",
        "levels": 10,
        "rewind_step": 50,
        "train_size": 10_000,
        "probe_size": 500,
        "views": ("flatten",),
        "measures": FIRST_MEASURES,
        "references": ("dense",),
    },
    "laptop": {
        "title": "an evening on a laptop: full data, half-width convolutional networks, trained to their end",
        **_TO_ITS_END,
    },
    "overnight": {
        "title": "the study on a CPU: full data, full width, a schedule that reaches its end; a night for each seed",
        **_TO_ITS_END,
    },
    "paper": {
        "title": "the study: full data, full width, 12 levels at 20 %; LeNet-5 on a CPU, the rest on a GPU",
        **_STUDY,
        "levels": 12,
    },
}

# … and what depends on both.
EPOCHS = {
    "quick": {"lenet5": 4, "default": 1},
    "laptop": {"default": 20},
    "overnight": {"lenet5": 20, "default": 24},
    "paper": {"lenet5": 20, "default": 50},
}
WIDTHS = {"quick": 0.5, "laptop": 0.5, "overnight": 1.0, "paper": 1.0}  # of architectures that can be widened

# Learning rate and weight decay by architecture; momentum 0.9 and batches of 128 for all.
# ResNet-20 and VGG as Renda et al. (2020); LeNet-5 by our own trials: 20 epochs of Fashion-MNIST reach 91.3 % of
# test accuracy at 0.05 and 90.9 % at 0.02 (seed 0).
RECIPES = {
    "lenet5": {"learning_rate": 0.05, "weight_decay": 5e-4},
    "resnet20": {"learning_rate": 0.1, "weight_decay": 2e-4},
    "default": {"learning_rate": 0.1, "weight_decay": 5e-4},
}
# For the schedule "linear", by trials at full width on CIFAR-10 (12 epochs, seed 0): VGG reaches 89.2 % accuracy,
# against 88.3 % by a cosine from 0.1; ResNet-20 88.1 % (weight decay 5e-4), against 86.0 % (2e-4).
LINEAR_RECIPES = {
    "lenet5": {"learning_rate": 0.05, "weight_decay": 5e-4},
    "default": {"learning_rate": 0.2, "weight_decay": 5e-4},
}


def _for(table: Mapping[str, Any], architecture: str) -> Any:
    return table.get(architecture, table["default"])


@dataclass(frozen=True)
class Experiment:
    """A pruning run and how its networks are compared: one architecture, one dataset, any number of seeds.

    A field that is not given (None) takes the profile's value. All are checked at construction; `InputError` names
    the field, the value and what is valid.

    Attributes:
        architecture: one of `models.ARCHITECTURES`
        dataset: one of `data.DATASETS`, or "folder:PATH", which is read and becomes "folder:PATH#FINGERPRINT"
        profile: one of `PROFILES`: the size of the study
        seeds: one run per seed: initial weights, order of the images, augmentation
        criterion: which weights are pruned: one of `pruning.CRITERIA`
        scope: "global" or "layerwise"
        retraining: what follows pruning: one of `retraining.RETRAINING`
        rewind_step: the step of the dense training that `weight_rewind` goes back to (other modes ignore it)
        one_shot: whether each level prunes the dense network at once, not the network of the level before
        keep_output: whether the output layer is left whole
        rate: share of the surviving weights pruned at each level, in (0, 1)
        levels: number of pruning levels after the dense network, level 0
        width: factor on the channels of the convolutional layers
        epochs: passes over the training images of the dense network
        retraining_epochs: those at each level after it; the learning rate takes the same course in that time
        train_size: number of training images (a stratified draw, the same for all seeds), or "all"
        probe_size: number of held-out test images on which representations are taken
        views: how activations become matrices: some of `representations.VIEWS`
        measures: some of `measures.MEASURES`; the profiles but quick compute `measures.STUDY`
        references: what each level is compared with: some of `comparison.REFERENCES`

    The others, from `batch_size` to `augmentation`, are those of `training.Recipe`.
    """

    architecture: str = "lenet5"
    dataset: str = "fashion_mnist_mini"
    profile: str = "quick"
    seeds: tuple[int, ...] = (0,)
    criterion: str = "magnitude"
    scope: str = "global"
    retraining: str = "lr_rewind"
    rewind_step: int | None = None
    one_shot: bool = False
    keep_output: bool = False
    rate: float | None = None
    levels: int | None = None
    width: float | None = None
    epochs: int | None = None
    retraining_epochs: int | None = None
    train_size: int | str | None = None
    batch_size: int = 128
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    schedule: str | None = None
    nesterov: bool | None = None
    augmentation: str | None = None
    probe_size: int | None = None
    views: tuple[str, ...] | None = None
    measures: tuple[str, ...] | None = None
    references: tuple[str, ...] | None = None

    def __post_init__(self):
        self._check_names()
        self._fill_in()
        self._check_numbers()
        self._set("dataset", identify(self.dataset))  # last: one's own images are read for it

    def _set(self, field: str, value: Any) -> None:
        object.__setattr__(self, field, value)

    def _check_names(self) -> None:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        check_dataset(self.dataset)
        check_choice("profile", self.profile, PROFILES)
        check_choice("criterion", self.criterion, CRITERIA)
        check_choice("scope", self.scope, SCOPES)
        check_choice("retraining", self.retraining, RETRAINING)
        if self.criterion == "none" and RETRAINING[self.retraining].donor:
            raise InputError(f"criterion: 'none' gives no masks, which retraining {self.retraining!r} takes")

    def _fill_in(self) -> None:
        usual = {"rate": 0.2, "schedule": "step", "nesterov": False, **PROFILES[self.profile]}
        del usual["title"]
        spec = DATASETS.get(self.dataset)
        if self.schedule is None:
            self._set("schedule", usual["schedule"])
        recipe = _for(LINEAR_RECIPES if self.schedule == "linear" else RECIPES, self.architecture)
        epochs = _for(EPOCHS[self.profile], self.architecture) if self.epochs is None else self.epochs
        usual |= {
            "epochs": epochs,
            "retraining_epochs": _half(epochs) if usual["schedule"] == "linear" else epochs,
            "width": WIDTHS[self.profile] if ARCHITECTURES[self.architecture].has_width else 1.0,
            "train_size": usual["train_size"] if spec else ALL,
            "learning_rate": recipe["learning_rate"],
            "weight_decay": recipe["weight_decay"],
            "augmentation": spec.augmentation if spec else AUGMENTATIONS[0],
        }
        for field, value in usual.items():
            if getattr(self, field) is None:
                self._set(field, value)
        if spec and self.train_size == spec.train_size:
            self._set("train_size", ALL)
        for field, choices in (("views", VIEWS), ("measures", MEASURES), ("references", REFERENCES)):
            self._set(field, _names(field, getattr(self, field), tuple(choices)))
        self._set("seeds", _seeds(self.seeds))

    def _check_numbers(self) -> None:
        spec = DATASETS.get(self.dataset)
        self._set("rate", check_number("rate", self.rate, "(0, 1)"))
        check_width(self.width, self.architecture)
        self._set("width", float(self.width))
        self._set("levels", check_whole("levels", self.levels, 0))
        self._set("rewind_step", check_whole("rewind_step", self.rewind_step, 0))
        for flag in ("one_shot", "keep_output"):
            if not isinstance(getattr(self, flag), bool):
                raise InputError(f"{flag}: {shown(getattr(self, flag))} is neither True nor False")
        if self.train_size != ALL:
            most = (spec.train_size, "training images") if spec else ()
            self._set("train_size", check_whole("train_size", self.train_size, 1, *most))
        most = (spec.test_size, "test images") if spec else ()
        self._set("probe_size", check_whole("probe_size", self.probe_size, 4, *most))
        for field, value in dataclasses.asdict(self.recipe()).items():
            self._set(field, value)
        self._set("retraining_epochs", check_whole("retraining_epochs", self.retraining_epochs, 1))
        if spec:
            self.check_shapes(channels=spec.channels, image_size=spec.image_size, classes=len(spec.classes))

    def check_shapes(self, *, channels: int, image_size: int | tuple[int, int], classes: int) -> None:
        """Raise `InputError` if the network can't be built for such images, or if pruning would empty it."""
        if ARCHITECTURES[self.architecture].build is None:
            return
        images = {"channels": channels, "image_size": image_size, "classes": classes}
        sizes = dict(_sizes(ARCHITECTURES[self.architecture], self.architecture, self.width, **images))
        if self.keep_output and sizes.pop(OUTPUT, None) is None:
            raise InputError(
                f"keep_output: {self.architecture} has no prunable layer called {OUTPUT!r}, by which it is known"
            )
        if self.criterion == "none":
            return
        check_levels(sizes, scope=self.scope, rate=self.rate, levels=self.levels)

    def recipe(self, level: int = 0) -> Recipe:
        """How the network of a level is trained: the dense one, or one that was pruned."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)}
        return Recipe(**fields | ({"epochs": self.retraining_epochs} if level else {}))

    def replace(self, **changes: Any) -> "Experiment":
        """The same experiment with some fields changed; what the profile fills in is not filled in again.

        But for `retraining_epochs`: they follow `epochs` where those alone are changed.
        """
        return dataclasses.replace(self, **({"retraining_epochs": None} if "epochs" in changes else {}) | changes)

    # Identity -------------------------------------------------------------------------------------------------------

    def canonical(self) -> dict[str, Any]:
        """The fields that decide the numbers of one seed, as plain data.

        Not in it: the seeds (each has results of its own), the profile (a name for values that are in it), and the
        measures, views and references (a score does not depend on which others are computed beside it).
        """
        return {**self._training(), **self._pruning(), "levels": self.levels, "probe_size": self.probe_size}

    def _training(self) -> dict[str, Any]:
        return {
            "schema": RESULTS_SCHEMA,
            "architecture": self.architecture,
            "dataset": content(self.dataset),
            "width": self.width,
            "train_size": self.train_size,
            **_given(dataclasses.asdict(self.recipe()), nesterov=False),
        }

    def _pruning(self) -> dict[str, Any]:
        fields = {
            "criterion": self.criterion,
            "scope": self.scope,
            "retraining": self.retraining,
            "rate": self.rate,
            **_given({"retraining_epochs": self.retraining_epochs}, retraining_epochs=self.epochs),
        }
        if RETRAINING[self.retraining].dense_recipe:
            fields["rewind_step"] = self.rewind_step
        return fields | {flag: True for flag in ("one_shot", "keep_output") if getattr(self, flag)}

    @property
    def key(self) -> str:
        """Checksum of `canonical()`: 12 hexadecimal digits."""
        return _checksum(self.canonical())

    def network_key(self, level: int) -> str:
        """Checksum of what decides the weights at a level: runs that share it share the network (dense ones most)."""
        return _checksum(self._training() if level == 0 else {**self._training(), **self._pruning()})

    @property
    def name(self) -> str:
        """`<architecture>-<dataset>-<profile>-<key>`: the name of the directory of its results."""
        return f"{self.architecture}-{short_name(self.dataset)}-{self.profile}-{self.key}"

    @property
    def title(self) -> str:
        """Architecture and dataset in words: "LeNet-5 on Fashion-MNIST"."""
        dataset = DATASETS[self.dataset].title if self.dataset in DATASETS else short_name(self.dataset)
        return f"{ARCHITECTURES[self.architecture].title} on {dataset.removeprefix('folder_')}"

    @property
    def command(self) -> str:
        """The command line that makes the tables of this experiment."""
        words = ["simprune", "run", self.architecture, self.dataset, "--profile", self.profile]
        return shlex.join([*words, "--seeds", ",".join(map(str, self.seeds)), *self.options])

    @property
    def options(self) -> tuple[str, ...]:
        """The words of the command line that say what is not as the profile has it.

        Measures, views and references are named only where the profile would not compute them anyway.
        """
        usual = Experiment(self.architecture, self.dataset, profile=self.profile)
        words: list[str] = []
        for field in dataclasses.fields(self):
            value, default = getattr(self, field.name), getattr(usual, field.name)
            option = "--" + field.name.replace("_", "-")
            if field.name in ("seeds", "architecture", "dataset", "profile") or value == default:
                continue
            if isinstance(value, bool):
                words.append(option if value else option.replace("--", "--no-", 1))
            elif isinstance(value, tuple):
                words += [] if set(value) <= set(default) else [option, ",".join(value)]
            else:
                words += [option, str(value)]
        return tuple(words)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    def to_json(self) -> str:
        """All fields as JSON text; `Experiment.from_json` reads it back."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Experiment":
        """The experiment that `to_json` wrote. Raises `InputError` for other text."""
        try:
            fields = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise InputError(f"experiment: {shown(text)} is not the JSON of an experiment")
        for name in fields:
            check_choice("experiment", name, [field.name for field in dataclasses.fields(cls)])
        return cls(**fields)


@cache
def _sizes(_: Architecture, name: str, width: float, **images: Any) -> tuple[tuple[str, int], ...]:
    """The prunable layers of a network, which is built without memory, and the number of their weights.

    Studies are made by the hundred when pages read results. The first argument tells a name that was given anew.
    """
    network = build(name, **images, width=width, device="meta")
    return tuple((layer, module.weight.numel()) for layer, module in prunable(network))


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]


def _given(fields: dict[str, Any], **usual: Any) -> dict[str, Any]:
    """The fields but those that are as they were when there was no choice, so that keys of then stay as they are."""
    return {name: value for name, value in fields.items() if name not in usual or value != usual[name]}


def _half(number: Any) -> Any:
    return max(1, number // 2) if isinstance(number, Integral) else number


def _names(field: str, values: Any, choices: tuple[str, ...]) -> tuple[str, ...]:
    """The chosen names in the order of `choices`, each once."""
    chosen = {check_choice(field, value, choices) for value in check_list(field, values)}
    return tuple(choice for choice in choices if choice in chosen)


def _seeds(values: Any) -> tuple[int, ...]:
    values = check_list("seeds", values)
    return tuple(sorted({check_whole("seeds", value, 0, 2**31 - 2, "allowed") for value in values}))
