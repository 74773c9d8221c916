"""Choosing scores, and summing them up over seeds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from simprune.analysis.scores import is_ok
from simprune.errors import InputError, check_choice
from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.results import Results

# At most so many measures are drawn where each takes a column.
COLUMNS = 3


class Range(NamedTuple):
    """A mean over seeds, the least and the greatest value, and whether every score's status is ok."""

    mean: float
    low: float
    high: float
    ok: bool = True


def select(
    results: "Results", measures: Sequence[str] | None = None, view: str | None = None, reference: str = "dense"
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


def over_seeds(table: pd.DataFrame, by: str | list[str], value: str = "value") -> pd.DataFrame:
    """Mean, least and greatest value of a column over seeds for each group, its `density`, and whether all is `ok`.

    A seed without a value is left out of the mean, and `ok` is False there. Without a column `status` all is ok.
    """
    groups = table.groupby(by, sort=True)
    ok = is_ok(table["status"]) if "status" in table else table[value].notna()
    return pd.DataFrame(
        {
            "mean": groups[value].mean(),
            "low": groups[value].min(),
            "high": groups[value].max(),
            "density": groups["density"].mean(),
            "ok": ok.groupby([table[name] for name in np.atleast_1d(by)]).all(),
        }
    )


def ranges(summary: pd.DataFrame) -> pd.Series:
    """The rows of `over_seeds`, a `Range` each."""
    rows = summary[["mean", "low", "high", "ok"]].itertuples(index=False, name=None)
    return pd.Series([Range(*row) for row in rows], index=summary.index, dtype=object)


def densities(results: "Results") -> pd.Series:
    """Level → measured density, the mean over seeds."""
    return results.performance.groupby("level")["density"].mean()


def nearest_level(results: "Results", density: float) -> int:
    """The level whose measured density is nearest to `density` in ratio.

    Raises `InputError` if `density` is not in (0, 1], and for a run that loses no weight: its levels are all as dense.
    The level of such a control is that of the run beside which it stands.
    """
    if not 0 < density <= 1:
        raise InputError(f"density: {density!r} is not in (0, 1]")
    measured = densities(results)
    if len(measured) > 1 and (measured == 1).all():
        raise InputError(f"density: no level of this run is at {density:g}, since it loses no weight")
    return int((np.log(measured) - np.log(density)).abs().idxmin())


def accuracies(results: "Results", column: str = "test_accuracy") -> pd.DataFrame:
    """Test accuracy, 0 … 1, by level, as in `over_seeds`; `column`: another one of the table of performance."""
    return over_seeds(results.performance, "level", column)


def profile_means(results: "Results", level: int, **choice) -> pd.DataFrame:
    """Mean over seeds of each similarity (columns) in each layer (rows) at one level. `choice` as in `select`.

    Distances are left out. NaN where not every seed's score is ok: what is said rests on sound scores only.
    """
    scores = select(results, **choice)
    scores = scores[(scores["level"] == level) & ~scores["measure"].map(lambda name: MEASURES[name].is_distance)]
    summary = over_seeds(scores, ["layer_index", "measure"])
    table = summary["mean"].where(summary["ok"]).unstack()
    return table.rename(index=layers_in(scores))[measures_in(scores)]


def one_of_each_family(results: "Results", measures: Sequence[str] | None = None, view: str | None = None) -> list[str]:
    """At most three similarities of different families: of each the one with the most scores that are ok."""
    scores = select(results, measures, view)
    scores = scores[~scores["measure"].map(lambda name: MEASURES[name].is_distance)]
    sound = is_ok(scores["status"]).groupby(scores["measure"], sort=False).mean()
    families = sound.groupby(sound.index.map(lambda name: MEASURES[name].family), sort=False)
    return list(families.idxmax())[:COLUMNS]
