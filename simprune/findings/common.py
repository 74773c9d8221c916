"""What all tables and sentences share: choosing scores, summing them up over seeds, names and numbers as text."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simprune.analysis import is_ok
from simprune.errors import InputError, check_choice
from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.results import Results

NO_VALUE = "–"
REMARK = "*"
PER_CENT = "\u00a0%"

PROPER_NAMES = ("Jaccard", "Jensen", "Procrustes")

REFERENCE_WORDS = {
    "dense": "the dense network",
    "previous": "the network one level before",
    "sibling": "a dense network of another seed",
    "untrained": "the untrained network",
}


INVARIANCE_WORDS = {
    "translation": "shift",
    "isotropic_scaling": "scale",
    "permutation": "permutation of units",
    "orthogonal": "rotation",
    "invertible_linear": "invertible linear map",
}


# Choosing and summing up ------------------------------------------------------------------------------------


def select(
    results: "Results",
    measures: Sequence[str] | None = None,
    view: str | None = None,
    reference: str = "dense",
) -> pd.DataFrame:
    """The scores of one reference and one view (default: the experiment's first), of all measures or of those named.

    Raises `InputError` for what the results do not hold.
    """
    table = results.similarity
    check_choice("reference", reference, table["reference"].unique())
    check_choice("view", view := view or results.experiment.views[0], table["view"].unique())
    chosen = table[(table["reference"] == reference) & (table["view"] == view)]
    if measures is None:
        return chosen
    held = chosen["measure"].unique()
    return chosen[chosen["measure"].isin([check_choice("measures", name, held) for name in measures])]


def measures_in(scores: pd.DataFrame) -> list[str]:
    """The measures of a table of scores, in its order."""
    return list(scores["measure"].unique())


def layers_in(scores: pd.DataFrame) -> pd.Series:
    """Layer index → layer name, in network order."""
    return scores.drop_duplicates("layer_index").set_index("layer_index")["layer"].sort_index()


def over_seeds(table: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
    """Mean, least and greatest `value` over seeds for each group, its `density`, and whether every status is ok.

    A seed without a value is left out of the mean, and `ok` is False there.
    """
    groups = table.groupby(by, sort=True)
    return pd.DataFrame(
        {
            "mean": groups["value"].mean(),
            "low": groups["value"].min(),
            "high": groups["value"].max(),
            "density": groups["density"].mean(),
            "ok": is_ok(table["status"]).groupby([table[name] for name in np.atleast_1d(by)]).all(),
        }
    )


def densities(results: "Results") -> pd.Series:
    """Level → measured density, the mean over seeds."""
    return results.performance.groupby("level")["density"].mean()


def nearest_level(results: "Results", density: float) -> int:
    """The level whose measured density is nearest to `density` in ratio.

    Raises `InputError` if `density` is not in (0, 1].
    """
    if not 0 < density <= 1:
        raise InputError(f"density: {density!r} is not in (0, 1]")
    return int((np.log(densities(results)) - np.log(density)).abs().idxmin())


# Words ------------------------------------------------------------------------------------------------------


def title(measure: str) -> str:
    """A measure's name in figures, tables and sentences."""
    return MEASURES[measure].title


def named(measure: str) -> str:
    """A measure's name within a sentence: small, but for proper names and abbreviations."""
    name = title(measure)
    return name if name.split()[0].isupper() or name.startswith(PROPER_NAMES) else name[0].lower() + name[1:]


def percent(share: float, digits: int = 3) -> str:
    """A share in per cent with that many significant digits."""
    return f"{100 * share:.{digits}g}{PER_CENT}"


def accuracy_percent(accuracy: float) -> str:
    """An accuracy in per cent with one decimal."""
    return f"{100 * accuracy:.1f}{PER_CENT}"


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours, whichever reads best."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def listed(words: Iterable[str]) -> str:
    """Words as an enumeration: "a", "a and b", "a, b and c"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def seed_numbers(seeds: Iterable[int]) -> str:
    """Seeds in a cell of a table: "0, 1, 2"."""
    return ", ".join(map(str, seeds))


def counted(number: int, noun: str) -> str:
    """A number of things: "one level", "12 levels"."""
    return f"one {noun}" if number == 1 else f"{number:,} {noun}s"


def spread(summary: pd.Series, form) -> str:
    """A mean, with its range where seeds differ."""
    if np.isnan(summary["mean"]):
        return NO_VALUE
    mark = "" if summary["ok"] else REMARK
    text = form(summary["mean"]) + mark
    low, high = form(summary["low"]), form(summary["high"])
    if low == high:
        return text
    return f"{text} ({low.removesuffix(PER_CENT)}–{high})"


def score_text(value: float) -> str:
    """A score in three decimals."""
    return f"{value:.3f}"


class TextTable:
    """A table of words: on a page its cells wrap, and where a page is narrow each row becomes a block of its own.

    An index that counts rows says nothing and is left out; the first column names the row.
    """

    def __init__(self, table: pd.DataFrame):
        self.table = table.reset_index() if table.index.names != [None] else table

    def __repr__(self) -> str:
        return self.table.to_string(index=False)

    def _repr_html_(self) -> str:
        names = [escape(str(name)) for name in self.table.columns]
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        rows = ""
        for row in self.table.astype(str).itertuples(index=False):
            first, *others = (escape(text) for text in row)
            cells = "".join(
                f'<td data-column="{name}">{text}</td>' for name, text in zip(names[1:], others, strict=True)
            )
            rows += f'<tr><th scope="row">{first}</th>{cells}</tr>\n'
        return f'<table class="dataframe words">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>'
