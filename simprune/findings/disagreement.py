"""What the pages on known answers, the guide and the earlier papers share; gone with the last that is not rewritten."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

import pandas as pd

from simprune.errors import InputError
from simprune.experiment import Experiment
from simprune.findings.common import NO_VALUE, PER_CENT, counted, listed
from simprune.results import load, stored_seeds

if TYPE_CHECKING:
    from simprune.results import Results

Studies = Mapping[str, "Results"]

NOT_COMPUTED = "The tables that this needs were not computed for the studies at hand."


def load_studies(wanted: Iterable[Sequence], store: str | PathLike | None = None) -> dict[str, "Results"]:
    """The stored results of some studies, by their names in words; what is not stored is left out.

    `wanted` lists studies as [architecture, dataset, profile, seed, …], without seeds: all that are stored. Tables of
    diagnostics that only some of the seeds have are kept for these. Of two profiles of one study the first is taken.
    Raises `InputError` if none is stored.
    """
    found = {}
    for architecture, dataset, profile, *seeds in wanted:
        experiment = Experiment(architecture, dataset, profile=profile)
        if experiment.title in found:
            continue
        stored = [seed for seed in stored_seeds(experiment, store) if not seeds or seed in seeds]
        if stored:
            found[experiment.title] = load(experiment.replace(seeds=stored), store=store)
    if not found:
        raise InputError("studies: none of them is stored; compute one with simprune.run")
    return found


def studies_sentence(studies: Studies, wanted: Iterable[Sequence] = ()) -> str:
    """Which studies a page is about, with how many seeds, and which of those wanted are not stored."""
    each = [f"{name} ({counted(len(results.experiment.seeds), 'seed')})" for name, results in studies.items()]
    text = f"This page is about {counted(len(studies), 'study').replace('studys', 'studies')}: {listed(each)}."
    names = [Experiment(*study[:2], profile=study[2]).title for study in wanted]
    absent = list(dict.fromkeys(name for name in names if name not in studies))
    without = [name for name, results in studies.items() if not results.diagnostics]
    if absent:
        text += f" Not stored, and left out: {listed(absent)}."
    if without:
        text += f" Tables beyond the scores themselves were not computed for {listed(without)}."
    for name, results in studies.items():
        held = {seed for table in results.diagnostics.values() for seed in table["seed"].unique()}
        if held and len(held) < len(results.experiment.seeds):
            text += f" Tables beyond the scores were computed for {counted(len(held), 'seed')} only of {name}."
    return text


def share_text(share: float) -> str:
    """A share in whole per cent, with a decimal where it is below one per cent and not rounding."""
    if pd.isna(share):
        return NO_VALUE
    form = ".1f" if 5e-4 <= abs(share) < 0.0095 else ".0f"
    return f"{100 * share + 0.0:{form}}{PER_CENT}".replace("-0\u00a0%", "0\u00a0%").replace("-", "−")


def _number(value: float, form: str = ".2f") -> str:
    return NO_VALUE if pd.isna(value) else f"{value:{form}}".replace("-", "−")
