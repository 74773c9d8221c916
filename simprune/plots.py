"""One function per figure of the book: each takes the results of an experiment and gives a matplotlib figure.

The grammar is the same everywhere. A measure has one colour and one marker, a similarity has one colour scale
from 0 to 1, layers run from left to right in network order, density runs from dense to sparse. Several seeds
are a mean and the range from the least to the greatest. A score whose status is not "ok" is hollow or
hatched, and a score without a value is a cross: nothing is left out in silence. The ground is white in both
themes of the book.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from simprune.disagreement import clustered, rank_agreement
from simprune.errors import InputError, check_choice
from simprune.findings import (
    REFERENCE_WORDS,
    densities,
    layers_in,
    measures_in,
    nearest_level,
    over_seeds,
    percent,
    select,
    title,
)
from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.study import Results

WIDTH = 5.4  # inches: with the type below, read easily at 800 px and still at the width of a phone
SIMILARITY_MAP = "viridis"
AGREEMENT_MAP = "vlag"
KINDS = ("similarity", "distance")
DENSITY_TICKS = (*(n * 10.0**power for power in range(-6, 0) for n in (1, 2, 5)), 1.0)
DENSITY_LABEL = "density (share of the weights left)"
DASHES = (0, (5, 4))

# Marks that are not a plain score; the legend of each figure in which they occur explains them.
HOLLOW = "status not ok"
CROSS = "no value"
_MARKS = {
    HOLLOW: Line2D([], [], linestyle="", marker="o", mfc="none", mec="#4d4d4d", label=HOLLOW),
    CROSS: Line2D([], [], linestyle="", marker="x", mec="#4d4d4d", label=CROSS),
}
_HATCHED = Patch(facecolor="#9a9a9a", edgecolor="white", hatch="////", linewidth=0, label=HOLLOW)

_ACCURACIES = (
    ("test images", "test_accuracy", "#08306b", "o"),
    ("training images", "train_accuracy", "#767676", "s"),
)

_RC = {
    "figure.dpi": 180,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.facecolor": "white",
    "axes.edgecolor": "#4d4d4d",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "text.color": "#1a1a1a",
    "axes.labelcolor": "#1a1a1a",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "hatch.linewidth": 0.6,
}


@dataclass(frozen=True)
class Style:
    """How a measure is drawn."""

    colour: str
    marker: str


STYLES = {
    # Colours of one family are kin: canonical correlations and subspaces,
    "mean_cca": Style("#08306b", "o"),
    "mean_squared_cca": Style("#5277b3", "X"),
    "svcca": Style("#0077bb", "s"),
    "pwcca": Style("#2e9bd6", "^"),
    "eigenspace_overlap": Style("#6a6fb5", "8"),
    # kernels,
    "linear_cka": Style("#d55e00", "D"),
    "debiased_linear_cka": Style("#8f3a00", "d"),
    "rbf_cka": Style("#c8791a", "p"),
    # shapes,
    "nbs": Style("#00795c", "v"),
    "procrustes_distance": Style("#4c9a2a", "<"),
    "angular_procrustes": Style("#1b4d2e", ">"),
    # distances between inputs,
    "rsa": Style("#7b3294", "P"),
    "distance_correlation": Style("#b069c9", "H"),
    # regression,
    "linear_regression_r2": Style("#6b4a1b", "*"),
    "gulp": Style("#a98300", "h"),
    # neighbours,
    "jaccard_knn": Style("#b3226b", "o"),
    "second_order_cosine": Style("#e2609f", "^"),
    # units,
    "permutation_matching": Style("#1a1a1a", "s"),
    "unit_correlation": Style("#7a7a7a", "D"),
    # outputs,
    "prediction_agreement": Style("#006d77", "P"),
    "jensen_shannon": Style("#2b9a94", "H"),
    "accuracy_gap": Style("#5b8a8f", ">"),
    # weights.
    "mask_overlap": Style("#9b1010", "p"),
    "weight_cosine": Style("#e0453a", "d"),
}


def performance(results: "Results") -> Figure:
    """Accuracy on the test and the training images against density; dashed: the dense network's test accuracy."""
    table = results.performance
    with _figure() as (figure, notes):
        axes = figure.add_subplot()
        for words, column, colour, marker in _ACCURACIES:
            accuracy = over_seeds(table.assign(value=100 * table[column], status="ok"), "level")
            _draw(axes, accuracy["density"], accuracy, colour, marker, words, notes)
            if column == "test_accuracy":
                axes.axhline(accuracy["mean"].iloc[0], color=colour, linewidth=0.9, linestyle=DASHES)
        _density_axis(axes, table["density"])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}\u00a0%"))
        axes.set(xlabel=DENSITY_LABEL, ylabel="accuracy")
        _legend(axes, axes, notes, loc="best", ncols=1)
    return figure


def layer_densities(results: "Results") -> Figure:
    """Density of each prunable layer against the density of the network; dashed: every layer keeps the same share."""
    overall = densities(results)
    sparsity = results.sparsity.assign(value=results.sparsity["density"], status="ok")
    layers = list(dict.fromkeys(sparsity["layer"]))
    colours = plt.get_cmap(SIMILARITY_MAP)(np.linspace(0, 0.85, len(layers)))
    with _figure() as (figure, notes):
        axes = figure.add_subplot()
        axes.plot(overall, overall, color="#8a8a8a", linewidth=0.9, linestyle=DASHES)
        for layer, colour, marker in zip(layers, colours, cycle("osD^vPX<>dph8H*"), strict=False):
            summary = over_seeds(sparsity[sparsity["layer"] == layer], "level")
            _draw(axes, overall.loc[summary.index], summary, colour, marker, layer, notes)
        axes.set_yscale("log")
        positive = sparsity.loc[sparsity["density"] > 0, "density"].min()
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in DENSITY_TICKS if tick >= 0.9 * positive]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(share)))
        _density_axis(axes, overall)
        axes.set(xlabel="density of the network", ylabel="density of the layer")
        _legend(figure, axes, notes, ncols=min(5, len(layers)))
    return figure


def similarity_heatmaps(
    results: "Results",
    *,
    measures: Sequence[str] | None = None,
    view: str | None = None,
    reference: str = "dense",
) -> Figure:
    """Similarity profiles: layer × density, one panel per measure.

    Every similarity has one colour scale, 0 … 1 (a value below 0 has the colour of 0). A distance is drawn
    from 0 to its greatest value in the reversed colours, so that light is alike and dark is different
    everywhere.
    """
    scores = select(results, measures, view, reference)
    names = measures_in(scores)
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    width = WIDTH if columns == 2 else 0.65 * WIDTH
    height = rows * (0.6 + 0.13 * max(scores["level"].nunique(), 6)) + 0.9
    with _figure(width, height) as (figure, notes):
        grid = figure.subplots(rows, columns, squeeze=False)
        meshes = {}
        for place, axes in enumerate(grid.flat):
            if place >= len(names):
                axes.set_axis_off()
                continue
            meshes[names[place]] = _heatmap(axes, scores[scores["measure"] == names[place]], names[place], notes)
            axes.tick_params(labelleft=place % columns == 0, labelbottom=place + columns >= len(names))
            axes.set_ylabel("density" if place % columns == 0 else "")
        similarities = [name for name in names if not MEASURES[name].is_distance]
        if similarities:
            negative = (scores.loc[scores["measure"].isin(similarities), "value"] < 0).any()
            extend = "min" if negative else "neither"
            bar = {"location": "bottom", "shrink": 0.6, "aspect": 40, "pad": 0.02, "extend": extend}
            bar = figure.colorbar(meshes[similarities[0]], ax=grid, **bar)
            bar.set_label(f"similarity to {REFERENCE_WORDS[reference]}")
            bar.outline.set_visible(False)
        marks = [mark for name, mark in ((HOLLOW, _HATCHED), (CROSS, _MARKS[CROSS])) if name in notes]
        if marks:
            figure.legend(handles=marks, loc="outside lower center", ncols=2)
    return figure


def similarity_by_density(
    results: "Results",
    *,
    kind: str = "similarity",
    measures: Sequence[str] | None = None,
    view: str | None = None,
    reference: str = "dense",
) -> Figure:
    """Similarity against density, one panel per layer, all measures in each.

    `kind`: "similarity" or "distance", which are not on one scale.
    """
    scores = _of_kind(select(results, measures, view, reference), kind)
    layers = layers_in(scores)
    columns = min(2, len(layers))
    rows = -(-len(layers) // columns)
    with _figure(height=1.55 * rows + 0.9) as (figure, notes):
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for place, axes in enumerate(grid.flat):
            if place >= len(layers):
                axes.set_axis_off()
                continue
            for measure in measures_in(scores):
                chosen = (scores["layer_index"] == layers.index[place]) & (scores["measure"] == measure)
                summary = over_seeds(scores[chosen], "level")
                style = STYLES[measure]
                _draw(
                    axes,
                    summary["density"],
                    summary,
                    style.colour,
                    style.marker,
                    title(measure),
                    notes,
                    size=3.5,
                )
            axes.set_title(layers.iloc[place], loc="left")
            _density_axis(axes, scores["density"], few=True)
            axes.tick_params(labelbottom=place + columns >= len(layers))
            if place + columns >= len(layers):
                axes.set_xlabel("density")
            _value_axis(axes, scores["value"], kind)
        figure.supylabel(f"{kind} to {REFERENCE_WORDS[reference]}", fontsize=9)
        spare = grid.flat[-1] if grid.size > len(layers) else None
        if spare is None:
            _legend(figure, grid.flat[0], notes)
        else:
            _legend(spare, grid.flat[0], notes, loc="center", ncols=1 if len(measures_in(scores)) < 8 else 2)
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
    scores = _of_kind(select(results, measures, view, reference), kind)
    level = nearest_level(results, density)
    scores = scores[scores["level"] == level]
    with _figure(height=4.3) as (figure, notes):
        axes = figure.add_subplot()
        for measure in measures_in(scores):
            summary = over_seeds(scores[scores["measure"] == measure], "layer_index")
            style = STYLES[measure]
            _draw(axes, range(len(summary)), summary, style.colour, style.marker, title(measure), notes)
        _layer_axis(axes, layers_in(scores))
        _value_axis(axes, scores["value"], kind)
        axes.set_ylabel(f"{kind} to {REFERENCE_WORDS[reference]}")
        axes.set_title(f"density {percent(densities(results)[level])}", loc="left")
        _legend(figure, axes, notes)
    return figure


def measure_agreement(
    results: "Results",
    *,
    measures: Sequence[str] | None = None,
    view: str | None = None,
    reference: str = "dense",
) -> Figure:
    """Kendall's τ between measures over (layer, level), measures that agree side by side.

    Only scores whose status is ok count, see `disagreement.rank_agreement`; a cross is a τ that does not exist.
    """
    agreement = clustered(rank_agreement(select(results, measures, view, reference)))
    names = [title(measure) for measure in agreement.index]
    side = min(WIDTH, 3 + 0.6 * len(names))
    with _figure(side, 0.85 * side) as (figure, notes):
        axes = figure.add_subplot()
        seaborn.heatmap(
            agreement.set_axis(names).set_axis(names, axis=1),
            ax=axes,
            cmap=AGREEMENT_MAP,
            vmin=-1,
            vmax=1,
            square=True,
            linewidths=1,
            annot=True,
            fmt=".2f",
            annot_kws={"size": max(4.5, 10 - 0.25 * len(names))},
            cbar_kws={"label": "Kendall's τ", "shrink": 0.75},
        )
        axes.grid(False)
        for row, column in np.argwhere(agreement.isna().to_numpy()):
            axes.plot(column + 0.5, row + 0.5, "x", color="#4d4d4d")
            notes.add(CROSS)
        axes.tick_params(length=0)
        axes.set_xticks(axes.get_xticks(), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(axes.get_yticks(), names, rotation=0)
        axes.set(xlabel="", ylabel="")
    return figure


# Parts of figures -------------------------------------------------------------------------------------------


@contextmanager
def _figure(width: float = WIDTH, height: float = 3.6) -> Iterator[tuple[Figure, set[str]]]:
    """A figure in the book's style, and the set of the marks that need explaining, which drawing fills.

    The figure is closed for pyplot, so that a notebook shows it once, where it is returned.
    """
    notes: set[str] = set()
    with plt.rc_context(_RC):
        figure = plt.figure(figsize=(width, height))
        try:
            yield figure, notes
        finally:
            plt.close(figure)


def _draw(
    axes: Axes,
    positions: Sequence[float],
    summary: pd.DataFrame,
    colour: object,
    marker: str,
    label: str,
    notes: set[str],
    size: float = 5,
) -> None:
    """A line of means, their range over seeds as a band; hollow where not "ok", a cross on the floor where no value."""
    positions, mean, ok = (
        np.asarray(positions, float),
        summary["mean"].to_numpy(),
        summary["ok"].to_numpy(bool),
    )
    missing = np.isnan(mean)
    axes.plot(positions, mean, color=colour)
    if (summary["high"] > summary["low"]).any():
        axes.fill_between(positions, summary["low"], summary["high"], color=colour, alpha=0.18, linewidth=0)
    # Rings are larger and on top: a filled marker at the same place shows through and hides none.
    for chosen, face, larger in ((ok & ~missing, colour, 0), (~ok & ~missing, "none", 2.5)):
        look = {"ms": size + larger, "mfc": face, "mec": colour, "mew": 1.1, "zorder": 2.5 + larger}
        axes.plot(positions[chosen], mean[chosen], marker, **look)
    floor = axes.get_xaxis_transform()
    heights = np.full(missing.sum(), 0.03 + 0.05 * len(axes.get_legend_handles_labels()[1]))  # one row per line drawn
    axes.plot(positions[missing], heights, "x", ms=size, mec=colour, transform=floor)
    if (~ok & ~missing).any():
        notes.add(HOLLOW)
    if missing.any():
        notes.add(CROSS)
    axes.plot([], [], color=colour, marker=marker, label=label)


def _legend(
    owner: Figure | Axes, axes: Axes, notes: set[str], *, loc: str = "outside lower center", ncols: int = 3
) -> None:
    """The legend of the lines of `axes`, and of the marks that occur; `owner` is where it stands."""
    lines, _ = axes.get_legend_handles_labels()
    owner.legend(handles=[*lines, *(mark for name, mark in _MARKS.items() if name in notes)], loc=loc, ncols=ncols)


def _heatmap(axes: Axes, scores: pd.DataFrame, measure: str, notes: set[str]) -> QuadMesh:
    """One measure's panel: layers from left to right, dense at the top."""
    summary = over_seeds(scores, ["level", "layer_index"])
    values, ok = summary["mean"].unstack(), summary["ok"].unstack(fill_value=False).to_numpy(bool)
    distance = MEASURES[measure].is_distance
    greatest = np.nanmax(values.to_numpy(), initial=0) or 1 if distance else 1
    colours = SIMILARITY_MAP + ("_r" if distance else "")
    mesh = axes.pcolormesh(values, cmap=colours, vmin=0, vmax=greatest)
    axes.set_facecolor("#d9d9d9")
    for row, column in np.argwhere(~ok):
        if np.isnan(values.iat[row, column]):
            axes.plot(column + 0.5, row + 0.5, "x", color="#4d4d4d", ms=4)
            notes.add(CROSS)
        else:
            axes.add_patch(Rectangle((column, row), 1, 1, fill=False, hatch="////", ec="#ffffff99", lw=0))
            notes.add(HOLLOW)
    axes.invert_yaxis()
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    _layer_axis(axes, layers_in(scores), offset=0.5, few=4)
    density = scores.groupby("level")["density"].mean()
    every = -(-len(density) // 8)
    axes.set_yticks(np.arange(len(density))[::every] + 0.5, [percent(share) for share in density[::every]])
    axes.set_title(title(measure), loc="left")
    return mesh


def _layer_axis(axes: Axes, layers: pd.Series, offset: float = 0, few: int = 8) -> None:
    """Layers from left to right in network order; upright where they are more than a few."""
    few = len(layers) <= few
    names = [layer.replace("_", "\n") if few else layer for layer in layers]
    axes.set_xticks(np.arange(len(layers)) + offset, names, rotation=0 if few else 90)
    axes.tick_params(axis="x", labelsize=7.5 if few or len(layers) <= 12 else 6)


def _density_axis(axes: Axes, density: pd.Series, *, few: bool = False) -> None:
    """Density on a log axis from dense to sparse, with plain numbers."""
    low, high = float(density.min()), float(density.max())
    axes.set_xscale("log")
    axes.set_xlim(high * 1.12, low / 1.12)
    ticks = [tick for tick in DENSITY_TICKS if low / 1.1 <= tick <= high * 1.1]
    axes.xaxis.set_major_locator(FixedLocator(ticks[-1::-2][::-1] if few and len(ticks) > 4 else ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(share)))


def _value_axis(axes: Axes, values: pd.Series, kind: str) -> None:
    """Similarities on 0 … 1, or from the least value where one is negative; distances from 0 up."""
    low, high = min(0, values.min()), (max(1, values.max()) if kind == "similarity" else values.max())
    margin = 0.04 * ((high - low) or 1)
    axes.set_ylim(low - margin, high + margin)


def _of_kind(scores: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The similarities, or the distances, of a table of scores."""
    check_choice("kind", kind, KINDS)
    distance = scores["measure"].map(lambda name: MEASURES[name].is_distance)
    chosen = scores[distance == (kind == "distance")]
    if chosen.empty:
        raise InputError(f"kind: no {kind} is among the measures {', '.join(measures_in(scores))}")
    return chosen


# Toys of the methods pages ----------------------------------------------------------------------------------

# A toy's score this near to that of a representation with itself has not changed.
UNCHANGED = 1e-6
SPECTRAL_POINTS = {"mean_cca": (0.0, 1.0), "nbs": (1.0, 1.0), "linear_cka": (1.0, 2.0)}
_FRAMED = Patch(facecolor="none", edgecolor="#1a1a1a", linewidth=1.3, label="invariant by definition")


def toy_clouds(clouds: Mapping[str, np.ndarray]) -> Figure:
    """Point clouds, n × 2, by name on one scale: a point has one colour in every panel, the cross is the origin."""
    columns = min(4, len(clouds))
    rows = -(-len(clouds) // columns)
    reach = 1.1 * max(np.abs(cloud).max() for cloud in clouds.values())
    with _figure(height=1.55 * rows) as (figure, _):
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
    with _figure(height=0.25 * len(values) + 1) as (figure, _):
        axes = figure.add_subplot()
        alike = np.array([_alikeness(row) for _, row in values.iterrows()])
        axes.pcolormesh(alike, cmap=SIMILARITY_MAP, vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
        for row, measure in enumerate(values.index):
            for column, change in enumerate(values):
                colour = "#1a1a1a" if alike[row, column] > 0.6 else "white"
                text = _toy_text(values.iat[row, column], MEASURES[measure].best)
                axes.text(column + 0.5, row + 0.53, text, color=colour, ha="center", va="center", size=7.5)
                if groups.get(change) in MEASURES[measure].invariances:
                    look = {"fill": False, "ec": _FRAMED.get_edgecolor(), "lw": 1.1}
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
        figure.legend(handles=[_FRAMED], loc="outside lower center")
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
    with _figure(height=3.5) as (figure, notes):
        grid = figure.subplots(1, len(maps), squeeze=False, sharey=True)
        for axes, (name, table) in zip(grid.flat, maps.items(), strict=True):
            alphas, inverse = table.index.to_numpy(float), 1 / table.columns.to_numpy(float)
            values = table.to_numpy().T
            look = {"cmap": SIMILARITY_MAP, "vmin": 0, "vmax": 1}
            mesh = axes.pcolormesh(alphas, inverse, values, shading="gouraud", **look)
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
        _legend(figure, grid[0, 0], notes)
    return figure


def _point_name(measure: str) -> str:
    """What the family's value at the point of a measure is: linear CKA's is its root."""
    return f"{title(measure)} (root)" if measure == "linear_cka" else title(measure)
