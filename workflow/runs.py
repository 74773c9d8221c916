"""The table of runs: a CSV file in which a cell may hold several values, and a row stands for all their combinations.

Only the standard library is used: Snakemake reads this in an environment in which simprune need not be installed.
"""

import csv
import hashlib
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("architecture", "dataset", "profile", "seeds", "retraining", "criterion", "options")
# Numbers depend on the number of threads in their last digits, so it belongs to a run, not to the machine it is on.
THREADS = 2
# What a run may take, with room: memory in MB, time in minutes. A run that is retried gets more of both.
NEEDS = {
    "quick": {"mem_mb": 2_000, "runtime": 30, "gpu": 0},
    "laptop": {"mem_mb": 6_000, "runtime": 240, "gpu": 0},
    "paper": {"mem_mb": 16_000, "runtime": 120, "gpu": 1},
}
NEEDS_OF_LENET5_PAPER = {"mem_mb": 8_000, "runtime": 600, "gpu": 0}


@dataclass(frozen=True)
class Run:
    """One job: an experiment with one seed. `options` are further options of `simprune run`, as in a shell."""

    architecture: str
    dataset: str
    profile: str
    seed: int
    retraining: str
    criterion: str
    options: str = ""

    @property
    def name(self) -> str:
        """A file name that tells the runs of a table apart."""
        parts = [self.architecture, self.dataset.rstrip("/").rsplit("/", 1)[-1], self.profile]
        parts += [self.retraining, self.criterion]
        told = self.options or self.dataset if "/" in self.dataset else self.options
        if told:
            parts.append(hashlib.sha256(f"{self.dataset} {self.options}".encode()).hexdigest()[:8])
        return re.sub(r"[^\w.-]", "_", "-".join([*parts, f"seed_{self.seed}"]))

    @property
    def arguments(self) -> list[str]:
        """The arguments of `simprune run`."""
        fixed = ["--profile", self.profile, "--seeds", str(self.seed)]
        fixed += ["--retraining", self.retraining, "--criterion", self.criterion]
        return [self.architecture, self.dataset, *fixed, *self.options.split()]

    @property
    def needs(self) -> dict[str, int]:
        """Memory (MB), time (minutes) and accelerators."""
        if (self.architecture, self.profile) == ("lenet5", "paper"):
            return NEEDS_OF_LENET5_PAPER
        return NEEDS.get(self.profile, NEEDS["paper"])


def read(table: str | Path) -> dict[str, Run]:
    """The runs of a table by name, each once. Raises `ValueError` for a table that can't be read as one."""
    try:
        return _read(table)
    except (csv.Error, UnicodeDecodeError) as error:  # a quote that is not closed, other than text
        raise ValueError(f"{table}: it is no CSV file ({error})") from None


def _read(table: str | Path) -> dict[str, Run]:
    runs = {}
    with open(table, newline="", encoding="utf-8") as stream:
        rows = csv.DictReader((line for line in stream if not line.startswith("#")), strict=True)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{table}: the columns are {rows.fieldnames}, where {', '.join(COLUMNS)} are needed")
        for number, row in enumerate(rows, start=1):
            if None in row or None in row.values():
                raise ValueError(f"{table}: row {number} has not one cell for each column")
            options = " ".join(row["options"].split())
            cells = [row[column].split() for column in COLUMNS if column != "options"]
            if not all(cells):
                raise ValueError(f"{table}: row {number} has an empty cell (only options may be empty)")
            for architecture, dataset, profile, seed, retraining, criterion in itertools.product(*cells):
                if not seed.isdecimal():
                    raise ValueError(f"{table}: row {number}: the seed {seed!r} is not a whole number")
                run = Run(architecture, dataset, profile, int(seed), retraining, criterion, options)
                runs[run.name] = run
    if not runs:
        raise ValueError(f"{table}: no row")
    return runs
