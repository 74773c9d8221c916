"""Figures of a results page, in the order in which they stand there."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from types import MappingProxyType
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from simprune.analysis import (
    accuracies,
    densities,
    is_ok,
    layers_in,
    measures_in,
    nearest_level,
    over_seeds,
    select,
)
from simprune.measures import MEASURES
from simprune.plots.common import (
    COMPANY_STYLES,
    CROSS,
    DASHES,
    DENSITY_LABEL,
    DENSITY_TICKS,
    HATCHED,
    HEATMAP_FLOOR,
    HOLLOW,
    MARKS,
    SIMILARITY_MAP,
    STYLES,
    WIDTH,
    density_axis,
    draw,
    heatmap,
    layer_axis,
    legend,
    new_figure,
    of_kind,
    panel,
    stretched_axis,
    tau_map,
    value_axis,
)
from simprune.tables import REFERENCE_WORDS, WHO_WORDS, percent, title

if TYPE_CHECKING:
    from simprune.results import Results

# Inches of a legend's type: what an entry takes beside its name, a letter, a row.
LEGEND_KEY, LEGEND_LETTER, LEGEND_ROW = 0.62, 0.065, 0.17

COMPANY_LEGEND = {"loc": "outside lower center", "ncols": 3}
ACCURACIES = (
    ("test images", "test_accuracy", "#08306b", "o"),
    ("training images", "train_accuracy", "#767676", "s"),
)


def performance(results: "Results", controls: "Mapping[str, Results]" = MappingProxyType({})) -> Figure:
    """Accuracy on the test and the training images against density; dashed: the dense network's test accuracy.

    `controls`, of `notebook.controls`, stand at the density that the pruned network has after as many epochs.
    """
    table = results.performance
    with new_figure() as (figure, notes):
        axes = figure.add_subplot()
        for words, column, colour, marker in ACCURACIES:
            accuracy = over_seeds(table.assign(value=100 * table[column], status="ok"), "level")
            draw(axes, accuracy["density"], accuracy, colour, marker, words, notes)
            if column == "test_accuracy":
                axes.axhline(accuracy["mean"].iloc[0], color=colour, linewidth=0.9, linestyle=DASHES)
        for who, run in controls.items():
            accuracy = 100 * accuracies(run)[["mean", "low", "high"]]
            place = densities(results).reindex(accuracy.index)
            colour, marker, _ = COMPANY_STYLES[who]
            words = f"test images, {WHO_WORDS[who]}"
            draw(axes, place, accuracy.assign(ok=True), colour, marker, words, notes)
        density_axis(axes, table["density"])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}\u00a0%"))
        axes.set(xlabel=DENSITY_LABEL, ylabel="accuracy")
        legend(axes, axes, notes, loc="best", ncols=1)
    return figure


def layer_densities(results: "Results") -> Figure:
    """Density of each prunable layer against the density of the network; dashed: every layer keeps the same share."""
    overall = densities(results)
    sparsity = results.sparsity.assign(value=results.sparsity["density"], status="ok")
    layers = list(dict.fromkeys(sparsity["layer"]))
    colours = plt.get_cmap(SIMILARITY_MAP)(np.linspace(0, 0.85, len(layers)))
    columns = max(1, min(5, int(WIDTH / (LEGEND_KEY + LEGEND_LETTER * max(map(len, layers))))))
    rows = -(-len(layers) // columns)
    with new_figure(height=3.3 + LEGEND_ROW * rows) as (figure, notes):
        axes = figure.add_subplot()
        axes.plot(overall, overall, color="#8a8a8a", linewidth=0.9, linestyle=DASHES)
        for layer, colour, marker in zip(layers, colours, cycle("osD^vPX<>dph8H*"), strict=False):
            summary = over_seeds(sparsity[sparsity["layer"] == layer], "level")
            draw(axes, overall.loc[summary.index], summary, colour, marker, layer, notes)
        axes.set_yscale("log")
        positive = sparsity.loc[sparsity["density"] > 0, "density"].min()
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in DENSITY_TICKS if tick >= 0.9 * positive]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(share)))
        density_axis(axes, overall)
        axes.set(xlabel="density of the network", ylabel="density of the layer")
        legend(figure, axes, notes, ncols=columns)
    return figure


def similarity_heatmaps(
    results: "Results",
    *,
    measures: Sequence[str] | None = None,
    view: str | None = None,
    reference: str = "dense",
) -> Figure:
    """Similarity profiles: layer × density, one panel per measure.

    Every similarity has one colour scale up to 1, from `HEATMAP_FLOOR` or, where a sound score is lower, from 0 (a
    value below 0 has the colour of 0). A distance is drawn from 0 to its greatest value in the reversed colours, so
    that light is alike and dark is different everywhere.
    """
    scores = select(results, measures, view, reference)
    names = measures_in(scores)
    similarities = [name for name in names if not MEASURES[name].is_distance]
    sound = scores.loc[scores["measure"].isin(similarities) & is_ok(scores["status"]), "value"]
    floor = HEATMAP_FLOOR if sound.min() >= HEATMAP_FLOOR else 0
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    width = WIDTH if columns == 2 else 0.65 * WIDTH
    height = rows * (0.6 + 0.13 * max(scores["level"].nunique(), 6)) + 0.9
    with new_figure(width, height) as (figure, notes):
        grid = figure.subplots(rows, columns, squeeze=False)
        meshes = {}
        for place, axes in enumerate(grid.flat):
            if place >= len(names):
                axes.set_axis_off()
                continue
            meshes[names[place]] = heatmap(axes, scores[scores["measure"] == names[place]], names[place], floor, notes)
            axes.tick_params(labelleft=place % columns == 0, labelbottom=place + columns >= len(names))
            axes.set_ylabel("density" if place % columns == 0 else "")
        if similarities:
            extend = "min" if (sound < 0).any() else "neither"
            bar = {"location": "bottom", "shrink": 0.6, "aspect": 40, "pad": 0.02, "extend": extend}
            bar = figure.colorbar(meshes[similarities[0]], ax=grid, **bar)
            bar.set_label(f"similarity to {REFERENCE_WORDS[reference]}")
            bar.outline.set_visible(False)
        marks = [mark for name, mark in ((HOLLOW, HATCHED), (CROSS, MARKS[CROSS])) if name in notes]
        if marks:
            figure.legend(handles=marks, loc="outside lower center", ncols=2)
    return figure


def layer_profiles(
    results: "Results",
    *,
    density: float = 0.1,
    kind: str = "similarity",
    measures: Sequence[str] | None = None,
    view: str | None = None,
    reference: str = "dense",
) -> Figure:
    """All measures on one axis along the layers, at the level whose density is nearest to `density`.

    `kind`: "similarity" or "distance", which are not on one scale.
    """
    scores = of_kind(select(results, measures, view, reference), kind)
    level = nearest_level(results, density)
    scores = scores[scores["level"] == level]
    with new_figure(height=4.3) as (figure, notes):
        axes = figure.add_subplot()
        for measure in measures_in(scores):
            summary = over_seeds(scores[scores["measure"] == measure], "layer_index")
            style = STYLES[measure]
            draw(axes, range(len(summary)), summary, style.colour, style.marker, title(measure), notes)
        layer_axis(axes, layers_in(scores))
        value_axis(axes, scores["value"], kind)
        axes.set_ylabel(f"{kind} to {REFERENCE_WORDS[reference]}")
        axes.set_title(f"density {percent(densities(results)[level])}", loc="left")
        legend(figure, axes, notes)
    return figure


def measure_agreement(agreement: pd.DataFrame) -> Figure:
    """Kendall's τ between measures over (layer, level), in the order of a matrix of `analysis.rank_agreement`.

    Only scores whose status is ok count; a cross is a τ that does not exist.
    """
    side = min(WIDTH, 3 + 0.6 * len(agreement))
    with new_figure(side, 0.85 * side) as (figure, notes):
        tau_map(
            figure.add_subplot(),
            agreement,
            40,
            notes,
            linewidths=1,
            annot=True,
            fmt=".2f",
            annot_kws={"size": max(4.5, 10 - 0.25 * len(agreement))},
            cbar_kws={"label": "Kendall's τ", "shrink": 0.75},
        )
    return figure


# The pruned network and its company ---------------------------------------------------------------------------


def company_by_density(company: pd.DataFrame) -> Figure:
    """Similarity to the dense network against density: a row for each layer, a column for each measure.

    `company`: of `analysis.company`. Of the pruned network and of its controls, lines; of a dense network of another
    seed, with its range over seeds, of the untrained one and of chance, levels.
    """
    layers, measures = layers_in(company.reset_index()), _measures(company)
    pruned = company.loc["pruned"]
    positions = pruned.groupby("level")["density"].mean()
    with new_figure(height=0.92 * len(layers) + 1.3) as (figure, notes):
        grid = figure.subplots(len(layers), len(measures), squeeze=False, sharey=True)
        for row, index in enumerate(layers.index):
            for axes, measure in zip(grid[row], measures, strict=True):
                for who in _others(company):
                    summary = company.loc[(who, measure, index)]
                    if list(summary.index) == [0]:  # one level for all densities
                        summary = summary.reindex(positions.index, method="ffill")
                    _draw_beside(axes, positions.loc[summary.index], summary, who)
                style, summary = STYLES[measure], pruned.loc[(measure, index)]
                draw(axes, positions, summary, style.colour, style.marker, title(measure), notes, size=3)
                density_axis(axes, positions, few=True)
                panel(axes, title(measure) if row == 0 else "", layers[index] if measure == measures[0] else "")
                axes.tick_params(labelbottom=row == len(layers) - 1)
        stretched_axis(grid[0, 0], company["low"].min())
        grid[-1, len(measures) // 2].set_xlabel("density")
        figure.supylabel(f"similarity to {REFERENCE_WORDS['dense']}", fontsize=9)
        _company_legend(figure, company, notes)
    return figure


def company_profiles(company: pd.DataFrame, density: float = 0.1) -> Figure:
    """Similarity to the dense network along the layers at the level nearest to a density, a panel for each measure.

    `company`: of `analysis.company`, as in `company_by_density`.
    """
    layers, measures = layers_in(company.reset_index()), _measures(company)
    measured = company.loc["pruned"].groupby("level")["density"].mean()
    level = int((np.log(measured) - np.log(density)).abs().idxmin())
    with new_figure(height=1.75 * len(measures) + 1.3) as (figure, notes):
        grid = figure.subplots(len(measures), 1, squeeze=False, sharex=True, sharey=True)
        least = []
        for axes, measure in zip(grid.flat, measures, strict=True):
            for who in (*_others(company), "pruned"):
                table = company.loc[(who, measure)].reset_index("level")
                summary = table[table["level"] == (level if level in set(table["level"]) else 0)]
                place = [layers.index.get_loc(index) for index in summary.index]
                least.append(summary["low"].min())
                if who == "pruned":
                    style = STYLES[measure]
                    draw(axes, place, summary, style.colour, style.marker, title(measure), notes, size=4)
                elif len(summary):
                    _draw_beside(axes, place, summary, who)
            axes.set_title(title(measure), loc="left")
        stretched_axis(grid[0, 0], min(least))
        layer_axis(grid[-1, 0], layers)
        words = f"similarity to {REFERENCE_WORDS['dense']} at density {percent(measured[level])}"
        figure.supylabel(words, fontsize=9)
        _company_legend(figure, company, notes)
    return figure


def _measures(company: pd.DataFrame) -> list[str]:
    there = company.index.unique("measure")
    return [measure for measure in MEASURES if measure in there]


def _others(company: pd.DataFrame) -> list[str]:
    there = company.index.unique("who")
    return [who for who in COMPANY_STYLES if who in there]


def _draw_beside(axes: Axes, places: Sequence[float], summary: pd.DataFrame, who: str) -> None:
    colour, marker, dashes = COMPANY_STYLES[who]
    axes.plot(places, summary["mean"], color=colour, marker=marker, ms=3, linewidth=1.1, linestyle=dashes)
    if who == "sibling" and (summary["high"] > summary["low"]).any():
        axes.fill_between(places, summary["low"], summary["high"], color=colour, alpha=0.18, linewidth=0)


def _company_legend(figure: Figure, company: pd.DataFrame, notes: set[str]) -> None:
    lines = [Line2D([], [], color="#4d4d4d", marker="o", ms=3.5, label=WHO_WORDS["pruned"])]
    for who in _others(company):
        colour, marker, dashes = COMPANY_STYLES[who]
        lines.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=WHO_WORDS[who]))
    figure.legend(handles=[*lines, *(mark for name, mark in MARKS.items() if name in notes)], **COMPANY_LEGEND)
