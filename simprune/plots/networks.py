"""Figures of networks and representations of one's own."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from simprune.measures import MEASURES
from simprune.plots.common import CROSS, HATCHED, HOLLOW, KINDS, MARKS, SIMILARITY_MAP, STYLES, new_figure

# The lower end of the colours where all similarities lie above it.
LOW = 0.4
FEW = 12  # layers: in so few the numbers stand in the cells


def score_dots(table: pd.DataFrame) -> Figure:
    """The scores of two representations, a row for each measure: similarities, and distances on an axis of their own.

    `table`: of `simprune.compare`. A ring is a score that is not ok, a cross on the left one without a value.
    """
    distance = table.index.map(lambda measure: MEASURES[measure].is_distance)
    panels = [(kind, table[distance == (kind == "distance")]) for kind in KINDS]
    panels = [(kind, rows) for kind, rows in panels if len(rows)]
    heights = [len(rows) + 2 for _, rows in panels]
    with new_figure(height=0.24 * sum(heights) + 0.5) as (figure, _):
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        marks = {}
        for axes, (kind, rows) in zip(grid, panels, strict=True):
            for place, (measure, row) in enumerate(rows.iterrows()):
                colour, ok = STYLES[measure].colour if measure in STYLES else "#1a1a1a", row["status"] == "ok"
                if np.isnan(row["value"]):
                    axes.plot(0.01, place, "x", color="#4d4d4d", ms=4, transform=axes.get_yaxis_transform())
                    marks[CROSS] = MARKS[CROSS]
                    continue
                axes.plot(row["value"], place, "o", mec=colour, mfc=colour if ok else "none", clip_on=False)
                marks |= {} if ok else {HOLLOW: MARKS[HOLLOW]}
            low, high = min(0, rows["value"].min()), max(1 if kind == "similarity" else 0, rows["value"].max())
            axes.set_xlim(low, high if high > low else low + 1)
            axes.set_yticks(range(len(rows)), [MEASURES[measure].title for measure in rows.index])
            axes.set(xlabel=kind, ylim=(len(rows) - 0.4, -0.6))
        if marks:
            figure.legend(handles=list(marks.values()), loc="outside lower center", ncols=2)
    return figure


def layer_heatmap(values: pd.DataFrame, ok: pd.DataFrame, measure: str) -> Figure:
    """Layers of two networks against each other, the first of each at the lower left; light is alike.

    `values`, `ok`: scores of a measure, and whether their status is "ok"; rows and columns are layers, their names
    those of the networks. A similarity is coloured from 0.4 to 1, or from 0 where one is below; a distance from 0 to
    its greatest value. What is not ok is grey and hatched.
    """
    distance = MEASURES[measure].is_distance
    shown = values.where(ok).to_numpy(float)
    low = LOW if not distance and np.nanmin(shown, initial=1) >= LOW else 0
    high = np.nanmax(shown, initial=0) or 1 if distance else 1
    rows, columns = values.shape
    few = max(rows, columns) <= FEW
    size = 0.42 if few else max(0.13, 5 / max(rows, columns))
    longest = [0.075 * max(map(len, map(str, labels))) for labels in (values.index, values.columns)]
    width, height = max(3.2, size * columns + longest[0] + 1.3), max(2.4, size * rows + longest[1] + 0.8)
    with new_figure(width, height) as (figure, _):
        axes = figure.add_subplot()
        colours = SIMILARITY_MAP + ("_r" if distance else "")
        mesh = axes.pcolormesh(shown, cmap=colours, vmin=low, vmax=high, edgecolors="white", linewidth=0.4)
        axes.set_facecolor("#d9d9d9")
        marks = {}
        for row, column in np.argwhere(~ok.to_numpy(bool)):
            axes.add_patch(Rectangle((column, row), 1, 1, fill=False, hatch="////", ec="#8a8a8a", lw=0))
            marks[HOLLOW] = HATCHED
            if np.isnan(values.iat[row, column]):
                axes.plot(column + 0.5, row + 0.5, "x", color="#4d4d4d", ms=4)
                marks[CROSS] = MARKS[CROSS]
        for row, column in np.argwhere(values.notna().to_numpy() & few):
            light = not ok.iat[row, column] or (shown[row, column] - low) / (high - low) > 0.6
            text = f"{values.iat[row, column]:.2f}".replace("-", "−")
            colour = "#1a1a1a" if light != (distance and ok.iat[row, column]) else "white"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", size=7, color=colour)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=7.5 if few else 6)
        axes.set_xticks(np.arange(columns) + 0.5, values.columns, rotation=90)
        axes.set_yticks(np.arange(rows) + 0.5, values.index)
        axes.set(xlabel=f"layers of {values.columns.name}", ylabel=f"layers of {values.index.name}", aspect="equal")
        below = not distance and np.nanmin(shown, initial=1) < low
        bar = figure.colorbar(mesh, ax=axes, shrink=0.8, aspect=30, pad=0.02, extend="min" if below else "neither")
        bar.set_label(MEASURES[measure].title)
        bar.outline.set_visible(False)
        if marks:
            figure.legend(handles=list(marks.values()), loc="outside lower center", ncols=2)
    return figure
