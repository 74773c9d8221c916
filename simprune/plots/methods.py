"""Figures of the methods pages, on toys."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from simprune.analysis import SPECTRAL_POINTS
from simprune.measures import MEASURES
from simprune.plots.common import SIMILARITY_MAP, STYLES, legend, new_figure
from simprune.tables import title

# A toy's score this near to that of a representation with itself has not changed.
UNCHANGED = 1e-6
FRAMED = Patch(facecolor="none", edgecolor="#1a1a1a", linewidth=1.3, label="invariant by definition")


def toy_clouds(clouds: Mapping[str, np.ndarray]) -> Figure:
    """Point clouds, n × 2, by name on one scale: a point has one colour in every panel, the cross is the origin."""
    columns = min(4, len(clouds))
    rows = -(-len(clouds) // columns)
    reach = 1.1 * max(np.abs(cloud).max() for cloud in clouds.values())
    with new_figure(height=1.55 * rows) as (figure, _):
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(clouds) :]:
            axes.set_axis_off()
        for axes, (name, cloud) in zip(grid.flat, clouds.items(), strict=False):
            axes.plot(0, 0, "+", color="#8a8a8a", ms=9)
            axes.scatter(cloud[:, 0], cloud[:, 1], c=np.arange(len(cloud)), cmap=SIMILARITY_MAP, s=9, linewidths=0)
            axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
            axes.spines[:].set_visible(True)
            axes.set_title(name, loc="left")
    return figure


def toy_scores(comparisons: Mapping[str, pd.DataFrame], groups: Mapping[str, str]) -> Figure:
    """Scores of known changes: measures by family (rows) × changes (columns), light is alike and dark is different.

    `comparisons`: tables of `simprune.compare` by change, over the same measures; `groups`: the group of maps that
    a change comes from, one of `INVARIANCES`, where it comes from one. A measure's cell is framed where it is
    invariant to that group. A similarity is coloured from 0 to 1, a distance from 0 to its greatest value. A plain 1
    or 0 is a score that has not changed; 1.00 and 0.00 are rounded.
    """
    values = pd.DataFrame({change: table["value"] for change, table in comparisons.items()})
    families = [MEASURES[measure].family for measure in values.index]
    with new_figure(height=0.25 * len(values) + 1) as (figure, _):
        axes = figure.add_subplot()
        alike = np.array([_alikeness(row) for _, row in values.iterrows()])
        axes.pcolormesh(alike, cmap=SIMILARITY_MAP, vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
        for row, measure in enumerate(values.index):
            for column, change in enumerate(values):
                colour = "#1a1a1a" if alike[row, column] > 0.6 else "white"
                text = _toy_text(values.iat[row, column], MEASURES[measure].best)
                axes.text(column + 0.5, row + 0.53, text, color=colour, ha="center", va="center", size=7.5)
                if groups.get(change) in MEASURES[measure].invariances:
                    look = {"fill": False, "ec": FRAMED.get_edgecolor(), "lw": 1.1}
                    axes.add_patch(Rectangle((column + 0.05, row + 0.13), 0.9, 0.74, **look))
        for row in range(1, len(families)):
            if families[row] != families[row - 1]:
                axes.axhline(row, color="white", linewidth=4)
        axes.invert_yaxis()
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.set_xticks(np.arange(values.shape[1]) + 0.5, list(values))
        axes.set_yticks(np.arange(len(values)) + 0.5, [title(measure) for measure in values.index])
        figure.legend(handles=[FRAMED], loc="outside lower center")
    return figure


def _alikeness(scores: pd.Series) -> np.ndarray:
    """One measure's scores as 0 (different) … 1 (alike)."""
    if MEASURES[scores.name].is_distance:
        return 1 - scores.to_numpy() / (scores.max() or 1)
    return scores.clip(0, 1).to_numpy()


def _toy_text(value: float, best: float) -> str:
    return f"{best:.0f}" if abs(value - best) < UNCHANGED else f"{value:.2f}".replace("-", "−")


def spectral_plane(maps: Mapping[str, pd.DataFrame]) -> Figure:
    """The spectral family over α and p, a panel for each map by name, with the measures that are points of it.

    `maps`: tables of `simprune.measures.spectral_map`, whose grids hold the points of `SPECTRAL_POINTS`. The axis
    of p is that of 1/p, so that ∞ has a place on it.
    """
    with new_figure(height=3.5) as (figure, notes):
        grid = figure.subplots(1, len(maps), squeeze=False, sharey=True)
        for axes, (name, table) in zip(grid.flat, maps.items(), strict=True):
            alphas, inverse = table.index.to_numpy(float), 1 / table.columns.to_numpy(float)
            values = table.to_numpy().T
            look = {"cmap": SIMILARITY_MAP, "vmin": 0, "vmax": 1}
            mesh = axes.pcolormesh(alphas, inverse, values, shading="gouraud", rasterized=True, **look)
            levels = [level for level in np.arange(0.1, 1, 0.1) if values.min() < level < values.max()]
            if levels:
                axes.contour(alphas, inverse, values, levels=levels, colors="white", linewidths=0.5)
            for measure, (alpha, p) in SPECTRAL_POINTS.items():
                style = STYLES[measure]
                look = {"color": style.colour, "mec": "white", "ms": 8, "clip_on": False, "zorder": 5}
                axes.plot(alpha, 1 / p, style.marker, label=_point_name(measure), linestyle="", **look)
                box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85}
                place = {"xytext": (8, -4), "textcoords": "offset points", "va": "top", "size": 8, "bbox": box}
                axes.annotate(f"{table.loc[alpha, p]:.2f}", (alpha, 1 / p), **place)
            axes.grid(False)
            axes.set(xlim=(alphas.min(), alphas.max()), ylim=(0, 1), xlabel="α")
            axes.set_yticks([1, 0.5, 0.25, 0], ["1", "2", "4", "∞"])
            axes.set_title(name, loc="left")
        grid[0, 0].set_ylabel("p")
        bar = figure.colorbar(mesh, ax=grid, shrink=0.8, aspect=30, pad=0.02)
        bar.set_label("s(α, p)")
        bar.outline.set_visible(False)
        legend(figure, grid[0, 0], notes)
    return figure


def _point_name(measure: str) -> str:
    """What the family's value at the point of a measure is: linear CKA's is its root."""
    return f"{title(measure)} (root)" if measure == "linear_cka" else title(measure)
