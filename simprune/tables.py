"""How numbers are shown: significant digits, units, missing values, ranges over seeds.

Numbers stay numbers until they are shown: `table` makes text of a whole table, the functions under it of one number.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from html import escape
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from simprune.analysis import Range
from simprune.measures import MEASURES

NO_VALUE = "–"
REMARK = "*"  # a score whose status is not ok with every seed
PER_CENT = "\u00a0%"
MINUS = "\u2212"
ROUNDING = 1e-14
PROPER_NAMES = ("Jaccard", "Jensen", "Procrustes")
# What a network is compared with, within a sentence.
REFERENCE_WORDS = {
    "dense": "the dense network",
    "previous": "the network one level before",
    "sibling": "a dense network of another seed",
    "untrained": "the untrained network",
}
# Who stands beside the pruned network: `analysis.controls.COMPANY`.
WHO_WORDS = {
    "pruned": "pruned",
    "twin": "its twin",
    "held": "held",
    "regrown": "regrown",
    "sibling": "another seed",
    "untrained": "untrained",
    "chance": "chance",
}
# The tests of `analysis.known_answers`.
TEST_WORDS = {
    "trend": "distance grows with the level",
    "monotonicity": "nearer levels are nearer",
    "band_separation": "bands of density lie apart",
    "detection": "a change is noticed",
    "disagreement": "distance follows disagreement",
    "divergence": "distance follows divergence",
    "accuracy_gap": "distance follows accuracy",
    "removal": "lost weights move it away",
    "layer_identification": "a layer finds itself",
    "corruption_order": "corruptions come in order",
    "sensitivity": "damage is noticed",
    "specificity": "another seed is no damage",
}
CORRECTION_WORDS = {"none": "uncorrected", "chance": "chance-corrected", "debiased": "debiased"}

Form = Callable[[Any], str]


# One number ---------------------------------------------------------------------------------------------------


def number(value: float, digits: int = 3) -> str:
    """A number with that many significant digits: "0.0123", "1,240"; a whole one, such as a count, with all.

    What is nearer to zero than ROUNDING is shown as 0: what sums of doubles leave of a difference that is none.
    """
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace("-", MINUS)
    value = float(value)
    if abs(value) < ROUNDING:
        return "0"
    if not np.isfinite(value):
        return f"{value:g}"
    places = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    return f"{value:,.{places}f}".replace("-", MINUS)


def score(value: float) -> str:
    """A score in three decimals."""
    return f"{round(value, 3) + 0.0:.3f}".replace("-", MINUS)


def score2(value: float) -> str:
    """A score in two decimals, as in sentences and in matrices."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)


def percent(share: float, digits: int = 3) -> str:
    """A share in per cent with that many significant digits."""
    return f"{100 * share:.{digits}g}{PER_CENT}".replace("-", MINUS)


def accuracy(share: float) -> str:
    """An accuracy in per cent with one decimal."""
    return f"{100 * share:.1f}{PER_CENT}"


def points(share: float) -> str:
    """A difference of accuracies, 0 … 1, in percentage points with its sign and two decimals."""
    rounded = round(100 * share, 2)
    return f"{rounded:+.2f}".replace("-", MINUS) if rounded else "0.00"


def count(value: float) -> str:
    """A whole number."""
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours, whichever reads best."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


# A table ------------------------------------------------------------------------------------------------------


def table(
    numbers: pd.DataFrame, form: Form = number, by_column: Mapping[Hashable, Form] = MappingProxyType({})
) -> pd.DataFrame:
    """A table as text. `form`: how its numbers are shown, `by_column`: those of some columns otherwise.

    A cell may be a number, a `Range` (the mean, and the range where seeds differ; a star where not every status is ok),
    text, True or False (a tick or nothing), or missing (a dash). In rows and columns of `NAMES`, names are shown in
    words.
    """
    text = {
        place: [cell(value, by_column.get(column, form)) for value in numbers.iloc[:, place]]
        for place, column in enumerate(numbers.columns)
    }
    shown = pd.DataFrame(text, index=numbers.index, dtype=object).set_axis(numbers.columns, axis="columns")
    for axis in ("index", "columns"):
        for name in getattr(shown, axis).names:
            if name in NAMES:
                shown = shown.rename(**{axis: NAMES[name]}, level=name)
    return shown


def verdict_counts(panels: Mapping[str, pd.DataFrame], by: str = "study") -> pd.DataFrame:
    """How many measures put the first network farther : how many the second, as text, in a cell for each layer.

    `panels`: heading → rows of `analysis.effects.with_densities` of one effect and view, as for `plots.footprint`.
    Rows: the heading, called `by`, and the density.
    """
    verdicts = pd.concat({heading.replace("\n", " "): told for heading, told in panels.items()}, names=[by])
    verdicts = verdicts.reset_index(by)
    density = verdicts["density"].map(percent).rename("weights left")
    cells = verdicts["farther"].astype(str) + " : " + verdicts["nearer"].astype(str)
    return cells.groupby([verdicts[by], density, verdicts["layer"]], sort=False).first().unstack("layer", sort=False)


def cell(value: Any, form: Form = number) -> str:
    """One cell of a `table`."""
    if isinstance(value, Range):
        return _range(value, form)
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "✓" if value else ""
    return NO_VALUE if pd.isna(value) else form(value)


def _range(value: Range, form: Form) -> str:
    if pd.isna(value.mean):
        return NO_VALUE
    mean, low, high = form(value.mean), form(value.low), form(value.high)
    mean += "" if value.ok else REMARK
    if low == high:
        return mean
    between = " to " if MINUS in low + high or low.startswith("+") else "–"
    return f"{mean} ({low.removesuffix(PER_CENT)}{between}{high})"


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


# Names within a sentence --------------------------------------------------------------------------------------


def title(measure: str) -> str:
    """A measure's name in figures, tables and sentences."""
    return MEASURES[measure].title


def named(measure: str) -> str:
    """A measure's name within a sentence: small, but for proper names and abbreviations; a dash for none."""
    if not measure:
        return NO_VALUE
    name = title(measure)
    return name if name.split()[0].isupper() or name.startswith(PROPER_NAMES) else name[0].lower() + name[1:]


def listed(words: Iterable[str]) -> str:
    """Words as an enumeration: "a", "a and b", "a, b and c"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def counted(number: int, noun: str) -> str:
    """A number of things: "one level", "12 levels"."""
    return f"one {noun}" if number == 1 else f"{number:,} {noun}s"


# Rows and columns of these names are shown in words.
NAMES: Mapping[str, Callable[[Any], str]] = {
    "measure": title,
    "density": percent,
    "who": WHO_WORDS.__getitem__,
    "test": TEST_WORDS.__getitem__,
    "correction": CORRECTION_WORDS.__getitem__,
}
