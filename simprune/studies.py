"""The table of studies: what the book shows and what a sweep makes.

Its columns are fields of `Experiment`. A row is a study; an empty cell leaves its field to the profile. The seeds of a
study stand in one cell, separated by blanks; any other cell that holds several values stands for as many studies.
Reading it takes nothing but Python, so that Snakemake can in an environment of its own.
"""

import csv
import hashlib
import itertools
import re
from ast import literal_eval
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simprune.errors import InputError, shown
from simprune.places import project_file

if TYPE_CHECKING:
    from simprune.experiment import Experiment

STUDIES = project_file("studies.csv")
NEEDED = ("architecture", "dataset", "profile", "seeds")
LISTS = ("views", "measures", "references")  # fields of several values, separated by commas


@dataclass(frozen=True)
class Study:
    """One study: the fields of its experiment that are not left to the profile, as text, and its seeds."""

    fields: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]

    def __getitem__(self, field: str) -> str:
        return dict(self.fields).get(field, "")

    @property
    def name(self) -> str:
        """A file name that tells the studies of a table apart."""
        parts = [self["architecture"], self["dataset"].rstrip("/").rsplit("/", 1)[-1], self["profile"]]
        name = "-".join(parts + [f"{field}_{value}" for field, value in self.fields if field not in NEEDED])
        if re.fullmatch(r"[\w.-]+", name) and "/" not in self["dataset"]:
            return name
        return re.sub(r"[^\w.-]", "_", name) + "-" + hashlib.sha256(str(self.fields).encode()).hexdigest()[:8]

    @property
    def experiment(self) -> "Experiment":
        """What the study runs. Raises `InputError` where a field isn't one or its value is not valid."""
        from simprune.experiment import Experiment

        return Experiment(**{field: _value(field, text) for field, text in self.fields}, seeds=self.seeds)

    def arguments(self, seeds: Iterable[int]) -> list[str]:
        """The arguments of `simprune run` for these seeds."""
        options = ["--seeds", ",".join(map(str, seeds))]
        for field, text in self.fields:
            if field not in ("architecture", "dataset"):
                option = "--" + field.replace("_", "-")
                flag = {"True": option, "False": option.replace("--", "--no-", 1)}.get(text)
                options += [flag] if flag else [option, text]
        return [self["architecture"], self["dataset"], *options]


def read(table: str | Path = STUDIES) -> list[Study]:
    """The studies of a table, each once. Raises `InputError` for a file that can't be read as one."""
    try:
        with open(table, newline="", encoding="utf-8") as stream:
            rows = csv.DictReader((line for line in stream if not line.startswith("#")), strict=True)
            missing = [column for column in NEEDED if column not in (rows.fieldnames or ())]
            if missing:
                raise InputError(f"{table}: the column {missing[0]} is missing")
            studies = [study for number, row in enumerate(rows, start=1) for study in _studies(table, number, row)]
    except FileNotFoundError:
        raise InputError(f"{table}: the table of studies is not there; it stands in a copy of the project") from None
    except (OSError, csv.Error, UnicodeDecodeError) as error:  # a quote that is not closed, other than text
        raise InputError(f"{table}: it can't be read as a CSV file ({error})") from None
    if not studies:
        raise InputError(f"{table}: no row")
    return list(dict.fromkeys(studies))


def _studies(table: str | Path, number: int, row: dict[str, str]) -> list[Study]:
    """The studies that a row stands for."""
    if None in row or None in row.values():
        raise InputError(f"{table}: row {number} has not one cell for each column")
    cells = {column: text.split() for column, text in row.items()}
    empty = [column for column in NEEDED if not cells[column]]
    if empty:
        raise InputError(f"{table}: row {number}: the cell of {empty[0]} is empty")
    seeds = cells.pop("seeds")
    if wrong := [seed for seed in seeds if not seed.isdecimal()]:
        raise InputError(f"{table}: row {number}: the seed {shown(wrong[0])} is not a whole number")
    given = {column: values for column, values in cells.items() if values}
    combinations = itertools.product(*given.values())
    return [Study(tuple(zip(given, values, strict=True)), tuple(map(int, seeds))) for values in combinations]


def _value(field: str, text: str) -> Any:
    """The value of a field as `Experiment` takes it."""
    if field in LISTS:
        return tuple(text.split(","))
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text
