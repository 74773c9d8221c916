"""Names that have moved to `analysis` and `tables`; gone with the last page that is not rewritten."""

from collections.abc import Iterable

import pandas as pd

from simprune.analysis import densities, layers_in, measures_in, nearest_level, over_seeds, select
from simprune.analysis.summaries import Range
from simprune.tables import (
    INVARIANCE_WORDS,
    NO_VALUE,
    PER_CENT,
    REFERENCE_WORDS,
    REMARK,
    TextTable,
    cell,
    counted,
    duration,
    listed,
    named,
    percent,
    title,
)
from simprune.tables import accuracy as accuracy_percent
from simprune.tables import score as score_text

__all__ = [
    "INVARIANCE_WORDS",
    "NO_VALUE",
    "PER_CENT",
    "REFERENCE_WORDS",
    "REMARK",
    "TextTable",
    "accuracy_percent",
    "counted",
    "densities",
    "duration",
    "layers_in",
    "listed",
    "measures_in",
    "named",
    "nearest_level",
    "over_seeds",
    "percent",
    "score_text",
    "seed_numbers",
    "select",
    "spread",
    "title",
]


def seed_numbers(seeds: Iterable[int]) -> str:
    """Seeds in a cell of a table: "0, 1, 2"."""
    return ", ".join(map(str, seeds))


def spread(summary: pd.Series, form) -> str:
    """A mean, with its range where seeds differ."""
    return cell(Range(summary["mean"], summary["low"], summary["high"], summary["ok"]), form)
