"""The runs of a sweep: of every study in a table one for each seed, and what it may take.

Nothing but Python and simprune's reader of the table is used: Snakemake has an environment of its own.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from simprune import studies

# Numbers depend on the number of threads in their last digits, so it belongs to a run, not to the machine it is on.
THREADS = 2
# What a run may take, with room: memory in MB, time in minutes. A run that is retried gets more of both.
NEEDS = {
    "quick": {"mem_mb": 2_000, "runtime": 30, "gpu": 0},
    "laptop": {"mem_mb": 14_000, "runtime": 240, "gpu": 0},
    "overnight": {"mem_mb": 16_000, "runtime": 960, "gpu": 0},
    "paper": {"mem_mb": 16_000, "runtime": 120, "gpu": 1},
}
NEEDS_OF_LENET5_PAPER = {"mem_mb": 8_000, "runtime": 600, "gpu": 0}


@dataclass(frozen=True)
class Run:
    """One job: one seed of a study."""

    study: studies.Study
    seed: int

    @property
    def name(self) -> str:
        """A file name that tells the runs of a table apart."""
        return f"{self.study.name}-seed_{self.seed}"

    @property
    def arguments(self) -> list[str]:
        """The arguments of `simprune run`."""
        return self.study.arguments([self.seed])

    @property
    def needs(self) -> dict[str, int]:
        """Memory (MB), time (minutes) and accelerators."""
        if (self.study["architecture"], self.study["profile"]) == ("lenet5", "paper"):
            return NEEDS_OF_LENET5_PAPER
        return NEEDS[self.study["profile"]]


def read(table: str | Path = studies.STUDIES) -> dict[str, Run]:
    """The runs of a table of studies by name, each once. Raises `InputError` for a table that can't be read as one."""
    runs = [Run(study, seed) for study in studies.read(table) for seed in study.seeds]
    return {run.name: run for run in runs}
