"""Figures of what losing weights does: pruned, twin and held networks; the map of layers and densities; agreement."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter

from simprune.measures import MEASURES
from simprune.plots.common import WIDTH, Style, new_figure, panel_grid

# Networks have marks without the colours of measures: filled, hollow, gold.
NETWORKS: Mapping[str, Style] = {
    "pruned": Style("#111111", "o"),
    "twin": Style("#ffffff", "o"),
    "held": Style("#f2b705", "D"),
    "regrown": Style("#ffffff", "s"),
}
NETWORK_WORDS = {
    "pruned": "pruned",
    "twin": "its twin: trained on, no weight lost",
    "held": "held: the same weights kept from training, none lost",
    "regrown": "regrown: set to zero, then free",
    "sibling": "a dense network of another seed",
}
EDGE = "#111111"
FOOTPRINT_MAP = "PuOr_r"
STUDY_LINES = ("-", "--", ":", "-.")


def verdicts(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Where networks lie between another seed and the dense network itself: a row for each measure.

    `panels`: heading → rows of `analysis.effects.positions` of one level and view, one layer or several, whose mean is
    drawn. Marks are means over seeds, ticks the seeds. Rows are sorted by the pruned network of the last panel.
    """
    summed = {
        heading: table.groupby(["measure", "network", "seed"])["position"].mean().dropna()
        for heading, table in panels.items()
    }
    means = {heading: values.groupby(["measure", "network"]).mean() for heading, values in summed.items()}
    order = list(list(means.values())[-1].xs("pruned", level="network").sort_values().index)
    order = [
        name
        for name in dict.fromkeys(m for values in means.values() for m in values.index.unique(0))
        if name not in order
    ] + order
    low = min(-0.1, *(float(values.min()) for values in summed.values())) - 0.05
    with new_figure(WIDTH, 1.25 + 0.2 * len(order)) as (figure, _):
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (heading, values) in zip(axes, summed.items(), strict=True):
            for place in (0, 1):
                axis.axvline(place, color="#8c8c8c", linewidth=1, zorder=1)
            for row, measure in enumerate(order):
                if measure not in means[heading].index.unique(0):
                    continue
                there = means[heading][measure]
                axis.plot([there.min(), there.max()], [row, row], color="#d4d4d4", linewidth=2.5, zorder=1.5)
                for network in (name for name in NETWORKS if name in there.index):
                    look = NETWORKS[network]
                    seeds = values[measure, network]
                    axis.plot(seeds, [row] * len(seeds), "|", color=EDGE, ms=5, mew=0.7, zorder=2)
                    style = {"ms": 5.5, "mfc": look.colour, "mec": EDGE, "mew": 1.1, "zorder": 3}
                    axis.plot(there[network], row, look.marker, **style)
            axis.set_xlim(low, 1.06)
            axis.set_xticks([0, 1], ["another\nseed", "itself"])
            axis.set_title(heading, loc="left")
            axis.grid(False)
            axis.spines["left"].set_visible(False)
            axis.tick_params(axis="y", length=0)
        axes[0].set_yticks(range(len(order)), [MEASURES[name].title for name in order])
        present = [name for name in NETWORKS if any(name in values.index.unique(1) for values in means.values())]
        marks = [_mark(name) for name in present]
        figure.legend(handles=marks, loc="outside lower center", ncols=1 if len(marks) > 2 else 2)
        return figure


def _mark(network: str) -> Line2D:
    look = NETWORKS[network]
    style = {"ms": 5.5, "mfc": look.colour, "mec": EDGE, "mew": 1.1}
    return Line2D([], [], linestyle="", marker=look.marker, label=NETWORK_WORDS[network], **style)


def footprint(panels: Mapping[str, pd.DataFrame], farther: str = "pruned", nearer: str = "twin") -> Figure:
    """Layers × densities: how many measures, all seeds agreeing, put which network farther from the dense one.

    The colour is their share of all measures that say something with any seed, those on which seeds differ among them.
    `panels`: heading → rows of `analysis.effects.with_densities` of one effect and view. In a cell stands the share of
    its own weights, in per cent, that the layer has left, or the last one before it that has weights. Grey: no measure
    says anything.
    """
    rows, beside = panel_grid([table["layer_index"].nunique() for table in panels.values()])
    steps = [table["level"].nunique() for table in panels.values()]
    steps = [max(steps[row * beside : (row + 1) * beside]) for row in range(rows)]
    with new_figure(WIDTH, 0.5 + rows + 0.24 * sum(steps)) as (figure, _):
        grid, before = figure.subplots(rows, beside, squeeze=False, height_ratios=steps), None
        for axis in grid.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, (heading, table) in zip(grid.flat, panels.items(), strict=False):
            said = table[["farther", "nearer", "mixed"]].sum(axis=1)
            table = table.assign(share=((table["farther"] - table["nearer"]) / said.where(said > 0)))
            share = table.pivot(index="level", columns="layer_index", values="share")
            own = table.pivot(index="level", columns="layer_index", values="own_density").ffill(axis=1)
            mesh = axis.pcolormesh(share.to_numpy(), cmap=FOOTPRINT_MAP, vmin=-1, vmax=1)
            for row, column in np.ndindex(share.shape):
                value = share.iat[row, column]
                if np.isnan(value):
                    axis.add_patch(Rectangle((column, row), 1, 1, fc="#9a9a9a", hatch="////", ec="white", lw=0))
                elif not np.isnan(own.iat[row, column]):
                    ink = "white" if abs(value) > 0.6 else "#1a1a1a"
                    text = f"{100 * own.iat[row, column]:.0f}"
                    axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6.5, color=ink)
            axis.set_ylim(len(share), 0)
            axis.grid(False)
            axis.spines[:].set_visible(False)
            names = table.drop_duplicates("layer_index").sort_values("layer_index")["layer"]
            axis.set_xticks(np.arange(len(names)) + 0.5, [n.removesuffix("_relu") for n in names], rotation=90)
            densities = [f"{100 * d:.0f} %" for d in table.groupby("level")["density"].first()]
            axis.set_yticks(np.arange(len(share)) + 0.5, densities)
            axis.tick_params(length=0, labelleft=axis in grid[:, 0] or densities != before)
            before = densities
            axis.set_title(heading, loc="left")
        for axis in grid[:, 0]:
            axis.set_ylabel("weights left")
        bar = figure.colorbar(mesh, ax=list(grid.flat), location="bottom", shrink=0.9, aspect=40, pad=0.02)
        bar.set_ticks(
            [-1, 0, 1], labels=[f"all: the {nearer} is farther", "split", f"all: the {farther} one is farther"]
        )
        bar.outline.set_visible(False)
        if any(axis.patches for axis in grid.flat):
            silent = Patch(fc="#9a9a9a", ec="white", hatch="////", label="no measure says anything")
            figure.legend(handles=[silent], loc="outside lower right")
        return figure


def paths(panels: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Test error along straight lines from the weights of the dense network to others, seed by seed.

    `panels`: heading → lines of `analysis.effects.lines_from_dense`. Axes are shared.
    """
    with new_figure(WIDTH, 3.4) as (figure, _):
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        labelled: dict[str, Line2D] = {}
        for axis, (heading, lines) in zip(axes, panels.items(), strict=True):
            for network, table in lines.items():
                look = NETWORKS.get(network, Style("#8c8c8c", "x"))
                style = {"ms": 4.5, "mfc": look.colour, "mec": EDGE if network in NETWORKS else look.colour}
                colour = EDGE if network in NETWORKS else look.colour
                label = NETWORK_WORDS[network]
                for _seed, line in table.sort_values("position").groupby("seed"):
                    drawn = axis.plot(
                        line["position"], line["error"], marker=look.marker, color=colour, lw=1, label=label, **style
                    )
                    labelled.setdefault(network, drawn[0])
            axis.set_xticks([0, 0.5, 1], ["dense", "half-way", "other"])
            axis.set_title(heading, loc="left")
        axes[0].set_ylim(0)
        axes[0].yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
        axes[0].set_ylabel("test error")
        figure.legend(handles=list(labelled.values()), loc="outside lower center", ncols=1)
        return figure


def sign_agreement(table: pd.DataFrame) -> Figure:
    """How often measures of other families see the sign of an effect, against its size: a line for each study.

    `table`: of `analysis.effects.agreement_by_size`.
    """
    labels = [
        f"{low:g}–{high:g}" if np.isfinite(high) else f"over {low:g}"
        for low, high in table[["low", "high"]].drop_duplicates().itertuples(index=False)
    ]
    places = {low: place for place, low in enumerate(table["low"].drop_duplicates())}
    with new_figure(WIDTH, 3.0) as (figure, _):
        axis = figure.subplots()
        for line, (study, rows) in zip(STUDY_LINES * 3, table.groupby("study", sort=False), strict=False):
            axis.plot(rows["low"].map(places), rows["agreement"], line, marker="o", color=EDGE, label=study)
        axis.axhline(0.5, color="#8c8c8c", linewidth=1)
        axis.text(len(labels) - 0.6, 0.505, "by chance", ha="right", va="bottom", fontsize=8, color="#4d4d4d")
        axis.set_ylim(0.45, 1.02)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
        axis.set_xticks(range(len(labels)), labels)
        axis.set_xlabel("size of the effect, on the scale from another seed (0) to itself (1)")
        axis.set_ylabel("measures of other families\nthat see the same sign")
        figure.legend(loc="outside lower center", ncols=2)
        return figure
