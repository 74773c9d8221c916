"""Figures of the ways of pruning and retraining beside each other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simprune.analysis import WAYS, densities, from_dense
from simprune.plots.common import DASHES, density_axis, draw, new_figure

if TYPE_CHECKING:
    from simprune.results import Results

INK, PALE = "#1a1a1a", "#9a9a9a"
NEAR_DENSE = 4  # percentage points of accuracy below the dense network that are still drawn
FARTHEST = -1.0  # on the scale from another seed to the network itself; what is farther away stands there


def accuracy_of_ways(runs: Mapping[str, "Results"]) -> Figure:
    """Test accuracy of each way, in percentage points from the dense network of the same seed: a panel for each.

    In each panel the study's own way in grey. `runs`: by the names of `WAYS`, "pruned" among them. A way that prunes
    nothing stands at the densities of the others. What falls out of a panel is told in it.
    """
    positions = densities(runs["pruned"])
    tables = {name: from_dense(results) for name, results in runs.items()}
    for table in tables.values():
        table[["mean", "low", "high"]] *= 100
    near = pd.concat(table[table["mean"] >= -NEAR_DENSE] for table in tables.values())
    ways = [name for name in runs if name != "pruned"] or ["pruned"]
    rows = -(-len(ways) // 2)
    with new_figure(height=1.35 * rows + 0.9) as (figure, notes):
        grid = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True)
        for axes, name in zip(grid.flat, ways, strict=False):
            axes.axhline(0, color=PALE, linewidth=0.9, linestyle=DASHES)
            axes.plot(positions, tables["pruned"]["mean"], color=PALE, linewidth=2.2)
            table = tables[name]
            draw(axes, positions.loc[table.index], table, INK, "o", name, notes, size=3.5)
            if (last := table["mean"].iloc[-1]) < -NEAR_DENSE:
                text = f"falls to {last:.0f}".replace("-", "\u2212")
                axes.text(0.97, 0.07, text, transform=axes.transAxes, ha="right", fontsize=9)
            axes.set_title(WAYS[name].title, loc="left")
        for axes in grid.flat[len(ways) :]:
            axes.set_visible(False)
        density_axis(grid[0, 0], positions, few=True)
        _label_bottoms(grid, len(ways))
        grid[0, 0].set_ylim(max(near["low"].min(), -NEAR_DENSE) - 0.2, near["high"].max() + 0.2)
        figure.supxlabel("density (share of the weights left)", fontsize=9)
        figure.supylabel("points from the dense network", fontsize=9)
    return figure


def nearness_of_ways(positions: pd.DataFrame) -> Figure:
    """How near each way's network stays to the dense one, by every measure: a panel for each layer, a row for each way.

    `positions`: of `effects.positions`, of one level and one view. A dot is a measure, the mean over seeds; the bar is
    the median measure.
    """
    means = positions.groupby(["layer_index", "layer", "network", "measure"])["position"].mean().dropna()
    layers = list(means.index.droplevel([2, 3]).unique())
    ways = [name for name in WAYS if name in means.index.unique("network")]
    rows = -(-len(layers) // 2)
    with new_figure(height=(0.19 * len(ways) + 0.42) * rows + 0.5) as (figure, _):
        grid = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True)
        for axes, layer in zip(grid.flat, layers, strict=False):
            for place in (0, 1):
                axes.axvline(place, color=PALE, linewidth=1)
            for row, way in enumerate(ways):
                values = means.loc[layer].get(way)
                if values is not None:
                    shown = values.clip(lower=FARTHEST)
                    axes.plot(shown, np.full(len(shown), row), "o", color=INK, alpha=0.28, ms=4, mew=0)
                    axes.plot(max(values.median(), FARTHEST), row, "|", color=INK, ms=12, mew=2)
            axes.set_title(layer[1], loc="left")
            axes.grid(visible=False)
        for axes in grid.flat[len(layers) :]:
            axes.set_visible(False)
        first = grid[0, 0]
        first.set_yticks(range(len(ways)), [WAYS[way].title for way in ways])
        first.set_ylim(len(ways) - 0.5, -0.5)
        first.set_xlim(FARTHEST - 0.08, 1.08)
        first.set_xticks([0, 1], ["another seed", "itself"])
        _label_bottoms(grid, len(layers))
    return figure


def _label_bottoms(grid: np.ndarray, count: int) -> None:
    """Numbers below the last panel of each column, also where the grid has a place more than panels."""
    for place, axes in enumerate(grid.flat[:count]):
        axes.tick_params(labelbottom=place >= count - grid.shape[1])
