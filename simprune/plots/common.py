"""What all figures share: the look, a style for each measure, lines, heatmaps, axes, legends."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from simprune.analysis import layers_in, measures_in, over_seeds
from simprune.errors import InputError, check_choice
from simprune.measures import MEASURES
from simprune.tables import percent, title

WIDTH = 5.4  # inches: with the type below, read easily at 800 px and still at the width of a phone
SIMILARITY_MAP = "viridis"
AGREEMENT_MAP = "vlag"
KINDS = ("similarity", "distance")
DENSITY_TICKS = (*(n * 10.0**power for power in range(-6, 0) for n in (1, 2, 5)), 1.0)
DENSITY_LABEL = "density (share of the weights left)"
DASHES = (0, (5, 4))
DOTS = (0, (1, 1.6))
# Where the colours of a heatmap begin if no score is lower: they are spent where scores are.
HEATMAP_FLOOR = 0.4
NO_SCORE = "#d9d9d9"
STRETCH = 0.01  # how far from 1 a stretched axis stops to stretch

# Marks that are not a plain score; the legend of each figure in which they occur explains them.
HOLLOW = "forced: too few inputs"
CROSS = "no value"
MARKS = {
    HOLLOW: Line2D([], [], linestyle="", marker="o", mfc="none", mec="#4d4d4d", label=HOLLOW),
    CROSS: Line2D([], [], linestyle="", marker="x", mec="#4d4d4d", label=CROSS),
}
HATCHED = Patch(facecolor=NO_SCORE, edgecolor="#8a8a8a", hatch="////", linewidth=0, label=HOLLOW)


RC = {
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


class _Styles(dict):
    """Styles by measure; one that was registered without has a grey one."""

    def __missing__(self, measure: str) -> Style:
        return Style("#555555", "o")


STYLES = _Styles()
STYLES |= {
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
    "shape_metric": Style("#5f8f1f", "X"),
    # distances between inputs,
    "rsa": Style("#7b3294", "P"),
    "distance_correlation": Style("#b069c9", "H"),
    # regression,
    "linear_regression_r2": Style("#6b4a1b", "*"),
    "ridge_r2": Style("#8f6a3f", "v"),
    "gulp": Style("#a98300", "h"),
    # neighbours,
    "jaccard_knn": Style("#b3226b", "o"),
    "mutual_knn": Style("#7d0f45", "<"),
    "second_order_cosine": Style("#e2609f", "^"),
    # units,
    "permutation_matching": Style("#1a1a1a", "s"),
    "soft_matching": Style("#4d4d4d", "h"),
    "unit_correlation": Style("#7a7a7a", "D"),
    # outputs,
    "prediction_agreement": Style("#006d77", "P"),
    "jensen_shannon": Style("#2b9a94", "H"),
    "accuracy_gap": Style("#5b8a8f", ">"),
    # weights.
    "mask_overlap": Style("#9b1010", "p"),
    "weight_cosine": Style("#e0453a", "d"),
}
# Who stands beside the pruned network: colour, marker, dashes.
COMPANY_STYLES = {
    "twin": ("#1a1a1a", "*", "-"),
    "held": ("#f2b705", "D", "-"),
    "regrown": ("#4d4d4d", "s", "-"),
    "sibling": ("#a98300", "", DASHES),
    "untrained": ("#7a7a7a", "", DOTS),
    "chance": ("#b3b3b3", "", (0, (6, 2, 1, 2))),
}


LAYERS_ACROSS = 28  # that panels in one row have together, at most


def panel_grid(layers: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a grid of panels with so many layers each; where they are many, fewer stand side by side."""
    beside = min(len(layers), max(1, LAYERS_ACROSS // max(layers)))
    return -(-len(layers) // beside), beside


@contextmanager
def new_figure(width: float = WIDTH, height: float = 3.6) -> Iterator[tuple[Figure, set[str]]]:
    """A figure in the book's style, and the set of the marks that need explaining, which drawing fills.

    The figure is closed for pyplot, so that a notebook shows it once, where it is returned.
    """
    notes: set[str] = set()
    with plt.rc_context(RC):
        figure = plt.figure(figsize=(width, height))
        try:
            yield figure, notes
        finally:
            plt.close(figure)


def draw(
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


def legend(
    owner: Figure | Axes, axes: Axes, notes: set[str], *, loc: str = "outside lower center", ncols: int = 3
) -> None:
    """The legend of the lines of `axes`, and of the marks that occur; `owner` is where it stands."""
    lines, _ = axes.get_legend_handles_labels()
    owner.legend(handles=[*lines, *(mark for name, mark in MARKS.items() if name in notes)], loc=loc, ncols=ncols)


def heatmap(axes: Axes, scores: pd.DataFrame, measure: str, floor: float, notes: set[str]) -> QuadMesh:
    """One measure's panel: layers from left to right, dense at the top; `floor`: where a similarity's colours begin.

    A score whose status is not ok is grey and hatched, one without a value grey and crossed.
    """
    summary = over_seeds(scores, ["level", "layer_index"])
    values, ok = summary["mean"].unstack(), summary["ok"].unstack(fill_value=False).to_numpy(bool)
    distance = MEASURES[measure].is_distance
    greatest = np.nanmax(values.to_numpy(), initial=0) or 1 if distance else 1
    colours = SIMILARITY_MAP + ("_r" if distance else "")
    mesh = axes.pcolormesh(values.where(ok), cmap=colours, vmin=0 if distance else floor, vmax=greatest)
    axes.set_facecolor(NO_SCORE)
    for row, column in np.argwhere(~ok):
        if np.isnan(values.iat[row, column]):
            axes.plot(column + 0.5, row + 0.5, "x", color="#4d4d4d", ms=4)
            notes.add(CROSS)
        else:
            axes.add_patch(Rectangle((column, row), 1, 1, fill=False, hatch="////", ec="#8a8a8a", lw=0))
            notes.add(HOLLOW)
    axes.invert_yaxis()
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    layer_axis(axes, layers_in(scores), offset=0.5, few=4)
    density = scores.groupby("level")["density"].mean()
    every = -(-len(density) // 8)
    axes.set_yticks(np.arange(len(density))[::every] + 0.5, [percent(share) for share in density[::every]])
    axes.set_title(title(measure), loc="left")
    return mesh


def tau_map(axes: Axes, tau: pd.DataFrame, rotation: float, notes: set[str], **look) -> None:
    """Kendall's τ between measures on one scale from −1 to 1, a cross where it does not exist; `look`: seaborn's."""
    import seaborn  # takes a while

    names, places = [title(measure) for measure in tau], np.arange(len(tau)) + 0.5
    named = tau.set_axis(names).set_axis(names, axis=1)
    seaborn.heatmap(named, ax=axes, cmap=AGREEMENT_MAP, vmin=-1, vmax=1, square=True, **look)
    axes.grid(False)
    for row, column in np.argwhere(tau.isna().to_numpy()):
        axes.plot(column + 0.5, row + 0.5, "x", color="#4d4d4d", ms=4)
        notes.add(CROSS)
    axes.tick_params(length=0)
    axes.set_xticks(places, names, rotation=rotation, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names, rotation=0)
    axes.set(xlabel="", ylabel="")


def layer_axis(axes: Axes, layers: pd.Series, offset: float = 0, few: int = 8) -> None:
    """Layers from left to right in network order; upright where they are more than a few."""
    few = len(layers) <= few
    names = [layer.replace("_", "\n") if few else layer for layer in layers]
    axes.set_xticks(np.arange(len(layers)) + offset, names, rotation=0 if few else 90)
    axes.tick_params(axis="x", labelsize=7.5 if few or len(layers) <= 12 else 6)


def density_axis(axes: Axes, density: pd.Series, *, few: bool = False) -> None:
    """Density on a log axis from dense to sparse, with plain numbers."""
    low, high = float(density.min()), float(density.max())
    axes.set_xscale("log")
    axes.set_xlim(high * 1.12, low / 1.12)
    ticks = [tick for tick in DENSITY_TICKS if low / 1.1 <= tick <= high * 1.1]
    axes.xaxis.set_major_locator(FixedLocator(ticks[-1::-2][::-1] if few and len(ticks) > 4 else ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(share)))


def value_axis(axes: Axes, values: pd.Series, kind: str) -> None:
    """Similarities on 0 … 1, or from the least value where one is negative; distances from 0 up."""
    low, high = min(0, values.min()), (max(1, values.max()) if kind == "similarity" else values.max())
    margin = 0.04 * ((high - low) or 1)
    axes.set_ylim(low - margin, high + margin)


def panel(axes: Axes, heading: str, side: str) -> None:
    """A column's heading above the first panel, a row's name inside it at the bottom left."""
    axes.set_title(heading, loc="left")
    axes.text(0.04, 0.06, side, transform=axes.transAxes, fontsize=7.5, bbox={"fc": "white", "ec": "none", "pad": 0.8})


def stretched_axis(axes: Axes, least: float) -> None:
    """Similarities up to 1 on a scale that is stretched towards 1, where scores crowd; `least`: the lowest of them."""
    room = 1 + STRETCH
    scale = (lambda value: -np.log10(np.maximum(room - value, 1e-9)), lambda place: room - 10.0**-place)
    axes.set_yscale("function", functions=scale)
    axes.set_ylim(min(0.0, least) - 0.1, 1 + 0.2 * STRETCH)
    axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 0.9, 1]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def of_kind(scores: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The similarities, or the distances, of a table of scores."""
    check_choice("kind", kind, KINDS)
    distance = scores["measure"].map(lambda name: MEASURES[name].is_distance)
    chosen = scores[distance == (kind == "distance")]
    if chosen.empty:
        raise InputError(f"kind: no {kind} is among the measures {', '.join(measures_in(scores))}")
    return chosen
