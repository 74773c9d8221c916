"""Figures of all studies."""

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simprune.analysis import accuracies
from simprune.plots.common import DASHES, DENSITY_LABEL, Style, density_axis, draw, legend, new_figure
from simprune.tables import title

if TYPE_CHECKING:
    from simprune.results import Results

# Studies, in the order in which they come: marks and greys, since colours are the measures'.
STUDY_EDGE = "#1a1a1a"
STUDY_STYLES = tuple(
    Style(colour, marker)
    for colour, marker in zip(("#1a1a1a", "#8a8a8a", "#d0d0d0", "#5a5a5a") * 2, "osD^vPXp", strict=True)
)


# All studies ------------------------------------------------------------------------------------------------


def _styles(studies: Iterable[str]) -> dict[str, Style]:
    return dict(zip(studies, cycle(STUDY_STYLES), strict=False))


def studies_accuracy(studies: Mapping[str, "Results"]) -> Figure:
    """Test accuracy of every study against density, in percentage points from its dense network's."""
    with new_figure(height=4.2) as (figure, notes):
        axes = figure.add_subplot()
        axes.axhline(0, color="#8a8a8a", linewidth=0.9, linestyle=DASHES)
        for name, style in _styles(studies).items():
            held = accuracies(studies[name])
            dense = held["mean"].iloc[0]
            held[["mean", "low", "high"]] = 100 * (held[["mean", "low", "high"]] - dense)
            draw(axes, held["density"], held, style.colour, style.marker, name, notes)
        density_axis(axes, np.concatenate([results.performance["density"] for results in studies.values()]))
        axes.set(xlabel=DENSITY_LABEL, ylabel="accuracy against dense (points)")
        legend(figure, axes, notes, ncols=2)
    return figure


def studies_agreement(table: pd.DataFrame) -> Figure:
    """Kendall's τ of every two measures: a row for each pair, a mark for each study, in the order of their means.

    `table`: of `pair_agreement`.
    """
    table = table.loc[table.mean(axis=1).sort_values(ascending=False).index]
    with new_figure(height=0.27 * len(table) + 1.6) as (figure, _):
        axes = figure.add_subplot()
        axes.axvline(0, color="#8a8a8a", linewidth=0.9)
        for name, style in _styles(table.columns).items():
            look = {"mfc": style.colour, "mec": STUDY_EDGE, "ms": 6, "label": name}
            axes.plot(table[name], range(len(table)), style.marker, **look)
        axes.set_yticks(range(len(table)), [" – ".join(map(title, pair)) for pair in table.index])
        axes.invert_yaxis()
        axes.set_xlim(min(-0.05, np.nanmin(table) - 0.05), 1.05)
        axes.set_xlabel("Kendall's τ")
        legend(figure, axes, set(), ncols=2)
    return figure
