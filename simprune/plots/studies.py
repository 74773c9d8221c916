"""Figures of the ways of retraining beside each other, and of all studies."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from simprune.analysis import accuracies, densities, layers_in, nearest_level, one_of_each_family, over_seeds, select
from simprune.findings import (
    CHANGED,
    SIBLING,
    VARIANTS,
    control_levels,
    fall_density,
    has_siblings,
    least_similar,
    pair_agreement,
)
from simprune.plots.common import (
    DASHES,
    DENSITY_LABEL,
    Style,
    density_axis,
    draw,
    layer_axis,
    legend,
    new_figure,
    panel,
    unit_axis,
)
from simprune.tables import REFERENCE_WORDS, percent, title

if TYPE_CHECKING:
    from simprune.results import Results

NEAR_DENSE = 4  # percentage points of accuracy below the dense network that are still drawn enlarged
VARIANT_STYLES = {
    "lr_rewind": Style("#08306b", "o"),
    "weight_rewind": Style("#2e9bd6", "^"),
    "finetune": Style("#00795c", "s"),
    "reinitialise": Style("#b069c9", "D"),
    "random": Style("#d55e00", "v"),
    "none": Style("#a98300", "P"),
    "no_pruning": Style("#7a7a7a", "*"),
}
SIBLING_LINE = {"color": "#1a1a1a", "linewidth": 1.1, "linestyle": DASHES, "label": SIBLING}
# Studies, in the order in which they come.
STUDY_STYLES = tuple(
    Style(colour, marker)
    for colour, marker in zip(
        ("#08306b", "#2e9bd6", "#d55e00", "#00795c", "#b069c9", "#a98300", "#9b1010", "#1a1a1a"),
        "osD^vPXp",
        strict=True,
    )
)


# Ways of pruning and retraining -----------------------------------------------------------------------------


def retraining_accuracy(runs: Mapping[str, "Results"]) -> Figure:
    """Test accuracy of every variant against density: all of it, and its distance from the dense network's.

    The distance is taken seed by seed, in percentage points. A variant that prunes nothing stands at the densities of
    the others. Dashed: the dense network.
    """
    positions = densities(runs["lr_rewind"])
    with new_figure(height=6.2) as (figure, notes):
        grid = figure.subplots(2, 1, sharex=True)
        line = {"color": VARIANT_STYLES["lr_rewind"].colour, "linewidth": 0.9, "linestyle": DASHES}
        distances = {name: _from_dense(results) for name, results in runs.items()}
        for axes, dense in zip(grid, (100 * accuracies(runs["lr_rewind"])["mean"].iloc[0], 0), strict=True):
            axes.axhline(dense, **line)
        for name, results in runs.items():
            held, style, words = accuracies(results), VARIANT_STYLES[name], VARIANTS[name][0]
            held[["mean", "low", "high"]] *= 100
            for axes, table in zip(grid, (held, distances[name]), strict=True):
                draw(axes, positions.loc[table.index], table, style.colour, style.marker, words, notes, size=4.5)
        grid[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}\u00a0%"))
        density_axis(grid[1], positions)
        grid[0].set(ylabel="accuracy on test images", ylim=(0, 100))
        grid[1].set(xlabel=DENSITY_LABEL, ylabel="points from the dense network", ylim=_near_dense(distances.values()))
        legend(figure, grid[0], notes, ncols=2)
    return figure


def _from_dense(results: "Results") -> pd.DataFrame:
    """Test accuracy above that of the dense network of the same seed, in percentage points, as in `over_seeds`."""
    table = results.performance
    dense = table[table["level"] == 0].set_index("seed")["test_accuracy"]
    gap = 100 * (table["test_accuracy"] - table["seed"].map(dense))
    return over_seeds(table.assign(value=gap, status="ok"), "level")


def _near_dense(distances: Iterable[pd.DataFrame]) -> tuple[float, float]:
    """Limits, in points, that hold all that is at most `NEAR_DENSE` points below the dense network."""
    table = pd.concat(distances)
    near = table[table["mean"] >= -NEAR_DENSE]
    return near["low"].clip(lower=-NEAR_DENSE).min() - 0.1, near["high"].max() + 0.1


def retraining_similarity(
    runs: Mapping[str, "Results"], *, measures: Sequence[str] | None = None, view: str | None = None
) -> Figure:
    """Similarity to the dense network against density, a line for each variant: rows are layers, columns measures.

    Dashed: dense networks of other seeds, where the run with LR rewinding was compared with them. `measures`: by
    default those of `one_of_each_family`.
    """
    base = runs["lr_rewind"]
    measures = list(measures or one_of_each_family(base, view=view))
    positions, layers = densities(base), layers_in(select(base, measures, view))
    with new_figure(height=1.0 * len(layers) + 1.5) as (figure, notes):
        grid = figure.subplots(len(layers), len(measures), squeeze=False, sharey=True)
        least = []
        for name, results in runs.items():
            scores, style = select(results, measures, view), VARIANT_STYLES[name]
            least.append(scores["value"].min())
            for row, index in enumerate(layers.index):
                for axes, measure in zip(grid[row], measures, strict=True):
                    chosen = (scores["layer_index"] == index) & (scores["measure"] == measure)
                    summary, words = over_seeds(scores[chosen], "level"), VARIANTS[name][0]
                    place = positions.loc[summary.index]
                    draw(axes, place, summary, style.colour, style.marker, words, notes, size=2.5)
        siblings = _siblings(base, measures, view)
        least.append(siblings["mean"].min())
        for row, index in enumerate(layers.index):
            for axes, measure in zip(grid[row], measures, strict=True):
                for level in siblings.loc[siblings.index.isin([(measure, index)]), "mean"]:
                    axes.axhline(level, **SIBLING_LINE)
                density_axis(axes, positions, few=True)
                panel(axes, title(measure) if row == 0 else "", layers[index] if measure == measures[0] else "")
                axes.tick_params(labelbottom=row == len(layers) - 1)
        unit_axis(grid[0, 0], least)
        grid[-1, len(measures) // 2].set_xlabel("density")
        figure.supylabel(f"similarity to {REFERENCE_WORDS['dense']}", fontsize=9)
        legend(figure, grid[0, 0], notes, ncols=2)
    return figure


def retraining_profiles(
    runs: Mapping[str, "Results"],
    *,
    density: float = 0.1,
    measures: Sequence[str] | None = None,
    view: str | None = None,
) -> Figure:
    """Similarity to the dense network along the layers at one density, a line for each variant, a panel per measure.

    Dashed: dense networks of other seeds, where the run with LR rewinding was compared with them.
    """
    base = runs["lr_rewind"]
    measures = list(measures or one_of_each_family(base, view=view))
    level = nearest_level(base, density)
    with new_figure(height=1.75 * len(measures) + 1.6) as (figure, notes):
        grid = figure.subplots(len(measures), 1, squeeze=False, sharex=True, sharey=True)
        least = []
        for name, results in runs.items():
            for axes, measure in zip(grid.flat, measures, strict=True):
                scores, style = select(results, [measure], view), VARIANT_STYLES[name]
                summary = over_seeds(scores[scores["level"] == level], "layer_index")
                least.append(summary["mean"].min())
                words = VARIANTS[name][0]
                draw(axes, range(len(summary)), summary, style.colour, style.marker, words, notes, size=4)
        siblings = _siblings(base, measures, view)
        least.append(siblings["mean"].min())
        for axes, measure in zip(grid.flat, measures, strict=True):
            axes.set_title(title(measure), loc="left")
            if len(siblings):
                axes.plot(siblings.loc[measure, "mean"].to_numpy(), **SIBLING_LINE)
        unit_axis(grid[0, 0], least)
        layer_axis(grid[-1, 0], layers_in(scores))
        figure.supylabel(
            f"similarity to {REFERENCE_WORDS['dense']} at density {percent(densities(base)[level])}", fontsize=9
        )
        legend(figure, grid[0, 0], notes, ncols=2)
    return figure


def _siblings(results: "Results", measures: Sequence[str], view: str | None) -> pd.DataFrame:
    """What the dense network scores against dense networks of other seeds, as in `over_seeds`, by (measure, layer)."""
    if not has_siblings(results):
        return pd.DataFrame({"mean": []})
    return control_levels(results, measures, view, ["sibling"])["sibling"]


# All studies ------------------------------------------------------------------------------------------------


def _styles(all_studies: Mapping[str, "Results"]) -> dict[str, Style]:
    return dict(zip(all_studies, cycle(STUDY_STYLES), strict=False))


def studies_accuracy(all_studies: Mapping[str, "Results"]) -> Figure:
    """Test accuracy of every study against density, in percentage points from its dense network's."""
    with new_figure(height=4.2) as (figure, notes):
        axes = figure.add_subplot()
        axes.axhline(0, color="#8a8a8a", linewidth=0.9, linestyle=DASHES)
        shares = []
        for name, style in _styles(all_studies).items():
            held = accuracies(all_studies[name])
            dense = held["mean"].iloc[0]
            held[["mean", "low", "high"]] = 100 * (held[["mean", "low", "high"]] - dense)
            draw(axes, held["density"], held, style.colour, style.marker, name, notes)
            shares.append(all_studies[name].performance["density"])
        density_axis(axes, np.concatenate(shares))
        axes.set(xlabel=DENSITY_LABEL, ylabel="accuracy against dense (points)")
        legend(figure, axes, notes, ncols=2)
    return figure


def studies_layers(all_studies: Mapping[str, "Results"]) -> Figure:
    """Where the least similar layer lies at the last level: a row for each measure, a mark for each study.

    From the first layer (left) to the last (right). Only measures that are ok in every layer of a study are drawn.
    """
    table = least_similar(all_studies)
    marks = {(name, measure): (row["depth"], row["layer"]) for (name, measure), row in table.iterrows()}
    with new_figure(height=_rows_height(all_studies, marks)) as (figure, _):
        axes = figure.add_subplot()
        for x, y, name, _ in _marks(axes, all_studies, marks):
            style = _styles(all_studies)[name]
            axes.plot(x[0], y, style.marker, color=style.colour, ms=6)
            axes.annotate(
                x[1],
                (x[0], y),
                (6, 0) if x[0] < 0.75 else (-6, 0),
                textcoords="offset points",
                fontsize=6.5,
                va="center",
                ha="left" if x[0] < 0.75 else "right",
            )
        axes.set_xlim(-0.05, 1.05)
        axes.set_xticks([0, 0.5, 1], ["first layer", "middle", "last layer"])
        _study_legend(figure, all_studies)
    return figure


def studies_fall(all_studies: Mapping[str, "Results"]) -> Figure:
    """At which density similarity first falls below `CHANGED`: a row for each measure, a mark for each study.

    Similarity to the dense network, on average over the layers in which the measure is ok. A hollow mark at the
    study's last density: it never falls so low.
    """
    table = fall_density(all_studies)
    marks = {key: (row["density"], row["last"]) for key, row in table.iterrows()}
    with new_figure(height=_rows_height(all_studies, marks)) as (figure, _):
        axes = figure.add_subplot()
        hollow = False
        for (density, last), y, name, _ in _marks(axes, all_studies, marks):
            style, never = _styles(all_studies)[name], np.isnan(density)
            hollow |= never
            face = "none" if never else style.colour
            axes.plot(last if never else density, y, style.marker, mec=style.colour, mfc=face, ms=6)
        density_axis(axes, np.concatenate([results.performance["density"] for results in all_studies.values()]))
        axes.set_xlabel(f"density at which similarity falls below {CHANGED:g}")
        never = Line2D([], [], linestyle="", marker="o", mfc="none", mec="#4d4d4d", label="never (last level)")
        _study_legend(figure, all_studies, [never] if hollow else [])
    return figure


def studies_agreement(all_studies: Mapping[str, "Results"]) -> Figure:
    """Kendall's τ of every two measures: a row for each pair, a mark for each study, in the order of their means."""
    table = pair_agreement(all_studies)
    table = table.loc[table.mean(axis=1).sort_values(ascending=False).index]
    with new_figure(height=0.24 * len(table) + 1.6) as (figure, _):
        axes = figure.add_subplot()
        axes.axvline(0, color="#8a8a8a", linewidth=0.9)
        for name, style in _styles(all_studies).items():
            axes.plot(table[name], range(len(table)), style.marker, color=style.colour, ms=5.5, alpha=0.85)
        axes.set_yticks(range(len(table)), [" – ".join(map(title, pair)) for pair in table.index])
        axes.invert_yaxis()
        axes.set_xlim(min(-0.05, np.nanmin(table) - 0.05), 1.05)
        axes.set_xlabel("Kendall's τ")
        _study_legend(figure, all_studies)
    return figure


def _rows(all_studies: Mapping[str, "Results"], marks: Mapping) -> list[str]:
    """The measures that have a mark, in the order of the registry."""
    measures = dict.fromkeys(measure for results in all_studies.values() for measure in results.experiment.measures)
    return [measure for measure in measures if any(key[1] == measure for key in marks)]


def _rows_height(all_studies: Mapping[str, "Results"], marks: Mapping) -> float:
    return 0.15 * len(all_studies) * len(_rows(all_studies, marks)) + 0.2 * len(_rows(all_studies, marks)) + 1.4


def _marks(axes, all_studies: Mapping[str, "Results"], marks: Mapping):
    """Give each mark its height, studies below each other within a measure's row, and name the rows."""
    measures, names = _rows(all_studies, marks), list(all_studies)
    step = 0.75 / len(names)
    for row, measure in enumerate(measures):
        axes.axhspan(row - 0.48, row + 0.48, color="#f3f3f3" if row % 2 else "white", zorder=0)
        for place, name in enumerate(names):
            if (name, measure) in marks:
                yield marks[name, measure], row + (place - (len(names) - 1) / 2) * step, name, measure
    axes.set_yticks(range(len(measures)), [title(measure) for measure in measures])
    axes.set_ylim(len(measures) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def _study_legend(figure: Figure, all_studies: Mapping[str, "Results"], more: Sequence[Line2D] = ()) -> None:
    lines = [
        Line2D([], [], linestyle="", marker=style.marker, color=style.colour, label=name)
        for name, style in _styles(all_studies).items()
    ]
    figure.legend(handles=[*lines, *more], loc="outside lower center", ncols=2)
