"""Figures of the pages on why measures disagree and which to trust.

Sources of disagreement have one colour each.
"""

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from simprune import analysis
from simprune.analysis import LADDER, densities, layers_in
from simprune.analysis.known_answers import OF_LEVELS
from simprune.measures import MEASURES
from simprune.plots.common import (
    CROSS,
    DENSITY_TICKS,
    MARKS,
    NO_SCORE,
    STYLES,
    WIDTH,
    Style,
    layer_axis,
    new_figure,
    panel_grid,
    tau_map,
)
from simprune.tables import PER_CENT, TEST_WORDS, WHO_WORDS, percent, score2, title

if TYPE_CHECKING:
    from simprune.results import Results

Studies = Mapping[str, "Results"]

# Main effects are saturated, what takes several choices together is pale: ground and colour of the numbers on it.
PART_COLOURS = {
    "measure": ("#5b5b5b", "white"),
    "view": ("#33658a", "white"),
    "correction": ("#bc6c25", "white"),
    "interactions": ("#c9b8dd", "#1a1a1a"),
    "residual": ("#e6e6e6", "#1a1a1a"),
}
# Who is drawn by `svcca_profiles`: words and look.
PROFILE_LINES: Mapping[str, tuple[str, Mapping]] = {
    "pruned": ("pruned", {"marker": "o"}),
    "twin": ("its twin, no weight lost", {"marker": "o", "mfc": "white", "linewidth": 1}),
    "sibling": ("another seed", {"linestyle": "--", "linewidth": 1.2}),
}
# The parts of the analysis of variance, in the order of figures and tables.
PART_WORDS = {
    "measure": "the measure",
    "view": "the view",
    "correction": "the correction for chance",
    "interactions": "two of them together",
    "residual": "all three together",
}
SCALE_LOOKS = {"value": ("as it is", "none", 7.5), "sibling": ("on its own scale", "#1a1a1a", 4.5)}
MERIT_MAP = "PiYG"  # below, at and above what knows nothing
TURN_MAP = "Oranges"  # the pruned network is the farther one, as in the map of layers and densities
PRUNED, TWIN, SIBLING = Style("#08306b", "o"), Style("#7a7a7a", "^"), Style("#a98300", "s")
CHANCE = {"color": "#8a8a8a", "linewidth": 0.9, "linestyle": (0, (5, 4))}
MOST_LINES = 6  # lines that can be told apart in one panel


def _measure_axis(axes: Axes, measures: list[str]) -> None:
    """Measures from top to bottom."""
    axes.set_yticks(range(len(measures)), [title(name) for name in measures])
    axes.set_ylim(len(measures) - 0.5, -0.5)


# How much ---------------------------------------------------------------------------------------------------


def calibration_dots(table: pd.DataFrame) -> Figure:
    """One layer at one density by every measure: as it is, with what its scale rests on, and on that scale.

    `table`: rows of `analysis.calibration`, with or without the twin. Large marks: means over seeds; small ones: seeds.
    """
    means = table.drop(columns="layer").groupby("measure").mean().dropna(subset="calibrated").sort_values("value")
    panels = {"value": (WHO_WORDS["pruned"], PRUNED), "twin": (WHO_WORDS["twin"], TWIN)}
    panels = {column: look for column, look in panels.items() if column in means}
    with new_figure(height=0.24 * len(means) + 1.5) as (figure, _):
        left, right = figure.subplots(1, 2, sharey=True)
        rows = np.arange(len(means))
        left.hlines(rows, means["sibling"], 1, color="#d9d9d9", linewidth=4, zorder=1)
        left.plot(means["chance"], rows, "|", color="#4d4d4d", ms=8, label=WHO_WORDS["chance"])
        left.plot(
            means["sibling"], rows, SIBLING.marker, mfc="white", mec=SIBLING.colour, ms=5, label=WHO_WORDS["sibling"]
        )
        for place in (0, 1):
            right.axvline(place, color=SIBLING.colour if place == 0 else "#1a1a1a", linewidth=1, zorder=1)
        for column, (words, style) in panels.items():
            calibrated = "calibrated" if column == "value" else "twin_calibrated"
            left.plot(means[column], rows, style.marker, color=style.colour, ms=5.5, label=words)
            right.plot(means[calibrated], rows, style.marker, color=style.colour, ms=5.5)
            for _, seed in table.groupby("seed"):
                small = seed.set_index("measure")[calibrated].reindex(means.index)
                right.plot(small, rows, style.marker, color=style.colour, ms=2.5, alpha=0.5)
        _measure_axis(left, list(means.index))
        left.set_xlim(min(-0.03, means["chance"].min() - 0.03), 1.03)
        left.set_title("as it is", loc="left")
        right.set_title("on its own scale", loc="left")
        right.set_xticks([0, 1], ["another\nseed", "itself"])
        right.set_xlim(min(-0.55, right.get_xlim()[0]), 1.1)
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def agreement_halves(before: pd.DataFrame, after: pd.DataFrame) -> Figure:
    """Kendall's τ between measures: below the diagonal as they are, above it on the scale of siblings; cross: none."""
    order = list(analysis.clustered(after).index)
    tau = before.loc[order, order].where(np.tril(np.ones((len(order), len(order)), bool)), after)
    texts = tau.map(lambda value: f"{10 * value:.0f}".replace("-", "−"))
    with new_figure(WIDTH, 0.95 * WIDTH) as (figure, notes):
        axes = figure.add_subplot()
        tau_map(
            axes,
            tau,
            55,
            notes,
            mask=np.eye(len(order), dtype=bool),
            linewidths=0.6,
            annot=texts,
            fmt="",
            annot_kws={"size": 6.5},
            cbar_kws={"label": "Kendall's τ (in cells: tenths)", "shrink": 0.6, "aspect": 30},
        )
        axes.plot([0, len(order)], [0, len(order)], color="#4d4d4d", linewidth=0.8)
        axes.tick_params(labelsize=7.5)
        axes.set_xlabel("below the diagonal: as they are")
        axes.set_title("above the diagonal: on their own scales", loc="right")
        if notes:
            figure.legend(handles=[MARKS[CROSS]], loc="outside lower center")
    return figure


def conclusions_map(results: "Results", answers: Mapping[str, pd.DataFrame]) -> Figure:
    """What each measure concludes of a study: the least similar layer, and where similarity falls.

    `answers`: `analysis.conclusions` by scale. Rings: scores as they are; dots: on the scale of siblings.
    """
    measures = list(answers["value"].index)
    layers = layers_in(results.similarity[results.similarity["layer_index"] >= 0])
    shares = densities(results)
    never = float(shares.min()) / 1.9
    with new_figure(height=0.21 * len(measures) + 1.5) as (figure, _):
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1))
        for scale, table in answers.items():
            table = table.reindex(measures)  # not every measure has an answer on every scale
            words, face, size = SCALE_LOOKS[scale]
            look = {"marker": "o", "linestyle": "", "mfc": face, "mec": "#1a1a1a", "ms": size, "label": words}
            places = [list(layers).index(layer) if isinstance(layer, str) else np.nan for layer in table["least_layer"]]
            left.plot(places, range(len(measures)), **look)
            falls = [never if fall == analysis.NEVER else fall for fall in table["falls_at"]]
            right.plot(pd.to_numeric(pd.Series(falls, dtype=object)), range(len(measures)), **look)
        _measure_axis(left, measures)
        layer_axis(left, layers, few=0)
        left.set_xlim(-0.5, len(layers) - 0.5)
        left.set_title("least similar layer", loc="left")
        right.set_xscale("log")
        right.set_xlim(1.15, never / 1.25)
        ticks = [tick for tick in DENSITY_TICKS if shares.min() * 0.9 <= tick <= 1][::-1]
        right.xaxis.set_major_locator(FixedLocator([*ticks, never]))
        right.xaxis.set_minor_locator(NullLocator())
        right.set_xticks([*ticks, never], [*(percent(tick) for tick in ticks), "never"], rotation=90)
        right.set_title("density at which it falls", loc="left")
        right.axvline(np.sqrt(never * shares.min()), color="#cccccc", linewidth=0.8)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


# Where from -------------------------------------------------------------------------------------------------


def source_bars(shares: pd.DataFrame) -> Figure:
    """Share of each part in the spread of scores, study by study: above in layers with positions, below in the others.

    `shares`: columns study, what, positions, source, share. In layers without positions ranks are not drawn: all views
    have one value there.
    """
    kinds = {True: "layers with positions: a view to choose", False: "layers without: all views are one"}
    rows = shares[["study", "what", "positions"]].drop_duplicates()
    rows = {kind: rows[(rows["positions"] == kind) & (kind | (rows["what"] == "values"))] for kind in kinds}
    rows = {kind: found for kind, found in rows.items() if len(found)}
    heights = [len(found) for found in rows.values()]
    with new_figure(height=0.31 * sum(heights) + 1.7) as (figure, _):
        grid = figure.subplots(len(rows), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for axes, (kind, found) in zip(grid, rows.items(), strict=True):
            for place, row in enumerate(found.itertuples()):
                chosen = shares[(shares["study"] == row.study) & (shares["what"] == row.what)]
                chosen = chosen[chosen["positions"] == kind].set_index("source")["share"]
                _stack(axes.barh, [place], pd.DataFrame([chosen]), axes)
            axes.set_yticks(range(len(found)), [f"{row.study}, {row.what}" for row in found.itertuples()])
            axes.set_title(kinds[kind], loc="left")
            axes.set_xlim(0, 1)
            axes.invert_yaxis()
            axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}{PER_CENT}"))
            axes.grid(axis="y", visible=False)
        axes.set_xlabel("share of the spread")
        _part_legend(figure, shares["source"].unique())
    return figure


def _stack(bar, places: list[float], shares: pd.DataFrame, axes: Axes) -> None:
    """Bars of shares end to end, those above 7 % with their number."""
    start = np.zeros(len(shares))
    horizontal = bar.__name__ == "barh"
    for part in (name for name in PART_WORDS if name in shares):
        share = shares[part].fillna(0).to_numpy(float)
        ground, ink = PART_COLOURS[part]
        begin = {"left" if horizontal else "bottom": start}
        bar(places, share, 0.72, **begin, color=ground, edgecolor="white", linewidth=0.6)
        for place, value, low in zip(places, share, start, strict=True):
            if value > 0.07:
                x, y = (low + value / 2, place) if horizontal else (place, low + value / 2)
                axes.text(x, y, f"{100 * value:.0f}", color=ink, ha="center", va="center", size=7.5)
        start = start + share


def _part_legend(figure: Figure, parts) -> None:
    handles = [
        Patch(color=PART_COLOURS[name][0], label=words) for name, words in PART_WORDS.items() if name in set(parts)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))


def source_layers(shares: pd.DataFrame) -> Figure:
    """Share of each part layer by layer: above for values, below for ranks.

    `shares`: columns layer, layer_index, what, source, share.
    """
    layers = layers_in(shares)
    with new_figure(height=4.4) as (figure, _):
        for axes, what in zip(figure.subplots(2, 1, sharex=True), ("values", "ranks"), strict=True):
            wide = shares[shares["what"] == what].pivot(index="layer_index", columns="source", values="share")
            _stack(axes.bar, list(range(len(wide))), wide.loc[layers.index], axes)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}{PER_CENT}"))
            axes.set_ylim(0, 1)
            axes.set_title(what, loc="left")
            axes.grid(axis="x", visible=False)
        layer_axis(axes, layers)
        figure.supylabel("share of the spread", fontsize=9)
        _part_legend(figure, shares["source"].unique())
    return figure


def convergence_lines(means: pd.DataFrame) -> Figure:
    """Score against the number of probe inputs (`analysis.convergence`); band: least to greatest draw."""
    names = [name for name in MEASURES if name in set(means["measure"])]
    groups = [list(group) for group in np.array_split(names, -(-len(names) // MOST_LINES))]
    with new_figure(height=2.1 * len(groups) + 0.3) as (figure, _):
        grid = figure.subplots(len(groups), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
        for axes, group in zip(grid, groups, strict=True):
            for measure in group:
                chosen = means[means["measure"] == measure].sort_values("inputs")
                style = STYLES[measure]
                axes.plot(
                    chosen["inputs"], chosen["mean"], color=style.colour, marker=style.marker, label=title(measure)
                )
                axes.fill_between(chosen["inputs"], chosen["low"], chosen["high"], color=style.colour, alpha=0.15, lw=0)
            axes.set_xscale("log")
            ticks = sorted(means["inputs"].unique())
            axes.xaxis.set_major_locator(FixedLocator(ticks))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7.5)
        axes.set_xlabel("probe inputs")
        figure.supylabel("similarity to the dense network", fontsize=9)
    return figure


def ladder_lines(table: pd.DataFrame) -> Figure:
    """The measures of the invariance ladder along the layers of a study (`analysis.ladder`)."""
    with new_figure(height=3.3) as (figure, _):
        axes = figure.add_subplot()
        for measure in LADDER:
            style = STYLES[measure]
            look = {"color": style.colour, "marker": style.marker, "label": title(measure)}
            axes.plot(range(len(table)), table[measure], **look)
        layer_axis(axes, pd.Series(table.index))
        axes.set(ylabel="similarity to the dense network", ylim=(min(0, table.min(axis=None)) - 0.04, 1.04))
        figure.legend(loc="outside lower center", ncols=2)
    return figure


# Known answers ----------------------------------------------------------------------------------------------


def control_dots(units: pd.DataFrame, test: str) -> Figure:
    """One test by every measure: the score of the run, that of its twin, and with its levels shuffled; a panel a study.

    `units`: rows of `analysis.known_answers.unit_scores`, indexed by measure, study and seed. Marks are means over
    seeds, ticks the seeds; without a control there is none.
    """
    means = units.groupby(["study", "measure"], sort=False).mean()
    names = list(means.index.unique("study"))
    order = list(means["score"].groupby("measure").mean().sort_values(ascending=False).index)
    looks = {"score": (WHO_WORDS["pruned"], PRUNED), "control": (WHO_WORDS["twin"], TWIN)}
    looks = {column: look for column, look in looks.items() if column in units and units[column].notna().any()}
    across = min(2, len(names))
    with new_figure(height=(0.2 * len(order) + 0.5) * -(-len(names) // across) + 0.8) as (figure, _):
        grid = figure.subplots(-(-len(names) // across), across, squeeze=False, sharey=True, sharex=True).ravel()
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(grid, names, strict=False):
            table = means.loc[name].reindex(order)
            axes.plot(table["chance"], range(len(order)), "|", color="#4d4d4d", ms=8, label="shuffled")
            for column, (words, style) in looks.items():
                look = {"mfc": style.colour if column == "score" else "white", "mec": style.colour, "ms": 5.5}
                axes.plot(table[column], range(len(order)), style.marker, label=words, **look)
                for row, measure in enumerate(order):
                    seeds = units.loc[
                        (units.index.isin([name], "study")) & units.index.isin([measure], "measure"), column
                    ]
                    axes.plot(seeds, [row] * len(seeds), ".", color=style.colour, ms=2.5, alpha=0.6)
            axes.set_title(name, loc="left")
            axes.set_xlabel(f"score: {TEST_WORDS[test]}", fontsize=8)
        _measure_axis(grid[0], order)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def merit_map(merits: pd.DataFrame) -> Figure:
    """Measures × tests: what a score has above its control. `merits`: of `analysis.known_answers.merits`.

    Tests of the levels of a run, whose control is the twin, stand on the left; a column without any merit is left out.
    """
    merits = merits.dropna(axis="columns", how="all")
    merits = merits.loc[[name for name in MEASURES if name in merits.index]]
    ours = sum(test in OF_LEVELS for test in merits)
    with new_figure(height=0.22 * len(merits) + 2.0) as (figure, notes):
        axes = figure.add_subplot()
        mesh = axes.pcolormesh(merits.to_numpy(), cmap=MERIT_MAP, vmin=-1, vmax=1, edgecolors="white", linewidth=0.6)
        _cells(axes, merits, score2, notes, dark=0.7)
        axes.axvline(ours, color="#1a1a1a", linewidth=1.5)
        for start, end, words in ((0, ours, "beyond the twin"), (ours, len(merits.columns), "beyond chance")):
            if end > start:
                axes.text((start + end) / 2, -0.2, words, ha="center", va="bottom", size=8.5)
        heads = [TEST_WORDS[test] for test in merits]
        axes.set_xticks(np.arange(len(heads)) + 0.5, heads, rotation=40, ha="right", rotation_mode="anchor")
        bar = figure.colorbar(mesh, ax=axes, shrink=0.7, aspect=35, pad=0.02, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["\u22121", "0", "1"])
        bar.set_label("merit")
        bar.outline.set_visible(False)
        if notes:
            figure.legend(handles=[MARKS[CROSS]], loc="outside lower center")
    return figure


def _cells(axes: Axes, table: pd.DataFrame, form, notes: set[str], dark: float) -> None:
    """The numbers of a map with a row for each measure, white where they are beyond `dark`; a cross for none."""
    for (row, column), value in np.ndenumerate(table.to_numpy(float)):
        if np.isnan(value):
            axes.plot(column + 0.5, row + 0.5, "x", color="#4d4d4d", ms=4)
            notes.add(CROSS)
        else:
            colour = "white" if abs(value) > dark else "#1a1a1a"
            axes.text(column + 0.5, row + 0.53, form(value), color=colour, ha="center", va="center", size=7)
    axes.set_facecolor(NO_SCORE)
    axes.set_yticks(np.arange(len(table)) + 0.5, [title(name) for name in table.index])
    axes.set_ylim(len(table), 0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def turns_map(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Measures × layers: from which density on the pruned network is farther than its twin, in per cent; –: never.

    `panels`: study → `analysis.known_answers.turns`. Darker is earlier; cross: no score.
    """
    order = [name for name in MEASURES if any(name in table.index for table in panels.values())]
    rows, beside = panel_grid([table.shape[1] for table in panels.values()])
    with new_figure(height=rows * (0.2 * len(order) + 1.2) + 0.4) as (figure, notes):
        grid = figure.subplots(rows, beside, sharey="row", squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (study, table) in zip(grid.flat, panels.items(), strict=False):
            table = table.reindex(order)
            axes.pcolormesh(table.to_numpy(float), cmap=TURN_MAP, vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
            _cells(axes, table, lambda share: f"{100 * share:.0f}" if share else "–", notes, dark=0.6)
            axes.set_xticks(np.arange(table.shape[1]) + 0.5, [n.removesuffix("_relu") for n in table], rotation=90)
            axes.set_title(study, loc="left")
        if notes:
            figure.legend(handles=[MARKS[CROSS]], loc="outside lower center")
    return figure


# The guide and the earlier papers ---------------------------------------------------------------------------


def guide_chart(points: pd.DataFrame) -> Figure:
    """For each question the merit of every measure: filled if it ties with the best, else hollow.

    `points`: columns question, merit, tied.
    """
    questions = list(points["question"].unique())
    with new_figure(height=0.5 * len(questions) + 1.1) as (figure, _):
        axes = figure.add_subplot()
        axes.axvline(0, **CHANCE)
        for tied, face, words in (
            (False, "none", "behind, or not to be used"),
            (True, PRUNED.colour, "ties with the best"),
        ):
            rows = points[points["tied"] == tied]
            places = rows["question"].map(questions.index)
            axes.plot(rows["merit"], places, "o", mfc=face, mec=PRUNED.colour, ms=5.5, alpha=0.8, label=words)
        axes.set_yticks(range(len(questions)), [fill(question, 24) for question in questions])
        axes.set_ylim(len(questions) - 0.5, -0.5)
        axes.set_xlabel("merit: 0 knows nothing")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def svcca_profiles(table: pd.DataFrame) -> Figure:
    """SVCCA to the dense network along the layers: a panel for each study, a line for each network.

    `table`: `analysis.published.profiles`. A layer whose status is not ok is left out.
    """
    names = table["study"].unique()
    rows = -(-len(names) // 2)
    with new_figure(height=1.0 + 1.7 * rows) as (figure, _):
        grid = figure.subplots(rows, min(2, len(names)), squeeze=False, sharey=True).ravel()
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(grid, names, strict=False):
            for who, (words, look) in PROFILE_LINES.items():
                line = table[(table["study"] == name) & (table["who"] == who) & table["ok"]].sort_values("layer_index")
                axes.plot(line["layer_index"], line["mean"], color="#1a1a1a", ms=4, label=words, **look)
            axes.set_title(name, loc="left")
            axes.set_ylim(0, 1.04)
            ends = table.loc[table["study"] == name, "layer_index"].agg(["min", "max"])
            axes.set_xticks(ends, ["first layer", "output"])
        figure.supylabel("SVCCA to the dense network", fontsize=9)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure
