"""The explorer: figures whose study, layer, density and measure the reader chooses, and their printed companion.

Python prepares numbers and controls; a script that comes with the book (`book/_static/explorer.js`) draws them with
plotly.js. The page holds all its data, so that it works without a server and from a folder on disk.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from html import escape
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simprune.analysis import (
    SPECTRAL_POINTS,
    cca_is_ok,
    densities,
    layers_in,
    measures_in,
    over_seeds,
    select,
    spectral_maps,
    stated,
)
from simprune.data import DATASETS
from simprune.errors import InputError
from simprune.measures import MEASURES
from simprune.models import ARCHITECTURES
from simprune.plots.common import HOLLOW, SIMILARITY_MAP, STYLES, WIDTH, legend, new_figure
from simprune.plots.effects import NETWORK_WORDS
from simprune.representations import VIEWS
from simprune.results import Results, load, stored
from simprune.tables import percent, title

if TYPE_CHECKING:
    from simprune.experiment import Experiment

# Where the scripts lie, seen from a page of book/executed.
STATIC = "../../_static"
# Numbers are sent as whole thousandths: short, and as exact as any figure shows them.
THOUSANDTHS = 1000
# Fields of an experiment in which its name does not say more than the others.
SAME_STUDY = ("architecture", "dataset", "profile", "seeds", "levels", "probe_size", "views", "measures", "references")
SYMBOLS = {"o": "circle", "v": "triangle-down", "D": "diamond"}


@dataclass(frozen=True)
class Explorer:
    """The explorer of some studies: in a page, controls and figures; elsewhere, a sentence."""

    data: dict[str, Any]

    def _repr_html_(self) -> str:
        # "</" would end the script element.
        data = json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
        options = "".join(f"<option>{escape(name)}</option>" for name in self.data["studies"])
        return _PAGE.replace("{studies}", options).replace("{data}", data).replace("{static}", STATIC)

    def __repr__(self) -> str:
        return f"The explorer of {', '.join(self.data['studies'])}: controls and figures, for a browser."


def explorer(
    studies: Mapping[str, "Results"], company: Mapping[str, Mapping[str, "Results"]] = MappingProxyType({})
) -> Explorer:
    """Scores and maps over the spectral family of some studies, by the studies' names.

    `company`: by study, runs to stand beside the pruned network, by the names of `NETWORK_WORDS`. Scores are those
    against the dense network, in every view of representations that a study has, and those of a dense network of
    another seed; several seeds are a mean and a range. A study whose `diagnostics` hold no table `spectral` comes
    without maps, and the page says so. Raises `InputError` if there is no study.
    """
    if not studies:
        raise InputError("studies: there is none to explore")
    points = {
        measure: {"alpha": alpha, "p": p, "title": _point_title(measure), **_mark(measure)}
        for measure, (alpha, p) in SPECTRAL_POINTS.items()
    }
    made = {name: _study({"pruned": results, **company.get(name, {})}) for name, results in studies.items()}
    return Explorer({"points": points, "studies": made})


def stored_studies(store: str | PathLike | None = None) -> dict[str, "Results"]:
    """Every stored study by name: architecture, dataset, profile, and what is not as the profile has it.

    Read are the user's store and the results that come with the project, all seeds of one experiment together.
    """
    found: dict[str, Results] = {}
    for key, experiment in stored(store).items():
        try:
            results = load(experiment, every_seed=True, store=store)
        except InputError:  # nothing of it is whole
            continue
        name = _study_name(results.experiment)
        found[f"{name}, {key.rsplit('-', 1)[-1]}" if name in found else name] = results
    return found


def _study_name(experiment: "Experiment") -> str:
    """What a study is called: in full what is not as its profile has it, but for how it was compared."""
    usual = type(experiment)(experiment.architecture, experiment.dataset, profile=experiment.profile)
    spec = DATASETS.get(experiment.dataset)
    dataset = spec.title if spec else experiment.dataset.partition("#")[0]
    words = [f"{ARCHITECTURES[experiment.architecture].title} on {dataset}", experiment.profile]
    for name in (field.name for field in fields(experiment) if field.name not in SAME_STUDY):
        if getattr(experiment, name) != getattr(usual, name):
            words.append(f"{name.replace('_', ' ')} {getattr(experiment, name)}")
    return ", ".join(words)


def _mark(measure: str) -> dict[str, str]:
    return {"colour": STYLES[measure].colour, "symbol": SYMBOLS[STYLES[measure].marker]}


def _study(runs: Mapping[str, "Results"]) -> dict[str, Any]:
    results = runs["pruned"]
    views = [view for view in results.experiment.views if view in VIEWS]
    layers = layers_in(select(results, view=views[0]))
    statuses: dict[str, int] = {"ok": 0}
    rows = [percent(share) for share in densities(results)]
    parts = {who: (run, "dense", rows) for who, run in runs.items()}
    if "sibling" in results.similarity["reference"].unique():
        parts["sibling"] = (results, "sibling", [percent(1)])
    networks = {
        who: {
            "title": NETWORK_WORDS[who],
            "seeds": len(run.experiment.seeds),
            "rows": rows,
            "views": {view: _scores(run, view, reference, statuses) for view in views},
        }
        for who, (run, reference, rows) in parts.items()
    }
    return {
        "layers": list(layers),
        "densities": rows,
        "networks": networks,
        "statuses": list(statuses),
        "spectral": _spectral(results, layers),
    }


def _scores(results: "Results", view: str, reference: str, statuses: dict[str, int]) -> dict[str, Any]:
    """Measure → tables by level and layer, each flat: means, ranges where seeds differ, statuses by number."""
    table = select(results, view=view, reference=reference)
    if reference == "sibling":
        table = table[table["level"] == 0]
    keys = ["measure", "level", "layer_index"]
    summary = over_seeds(table, keys)
    said: dict[tuple, dict[str, None]] = {}  # the different statuses of a score over seeds, in their order
    for *key, status in zip(*(table[name] for name in keys), stated(table), strict=True):
        said.setdefault(tuple(key), {})[status] = None
    scores = {}
    for measure in measures_in(table):
        chosen = summary.loc[measure]
        scores[measure] = {
            "title": title(measure),
            "distance": MEASURES[measure].is_distance,
            "mean": _thousandths(chosen["mean"]),
            "status": [
                statuses.setdefault(text, len(statuses))
                for text in (_one_status(said[measure, *key]) for key in chosen.index)
            ],
        }
        if (chosen["high"] > chosen["low"]).any():
            scores[measure] |= {"low": _thousandths(chosen["low"]), "high": _thousandths(chosen["high"])}
    return scores


def _one_status(statuses: Iterable[str]) -> str:
    """The status of several seeds: theirs if it is one, else their verdicts."""
    first, *others = statuses
    return " or ".join(dict.fromkeys(text.split(";")[0] for text in statuses)) if others else first


def _thousandths(values: pd.Series | np.ndarray) -> list[int | None]:
    return [None if np.isnan(value) else round(THOUSANDTHS * float(value)) for value in values]


def _spectral(results: "Results", layers: pd.Series) -> dict[str, Any] | None:
    table = spectral_maps(results)
    if table is None:
        return None
    levels, held = (list(table.index.unique(name)) for name in ("level", "layer_index"))
    alphas, ps = (sorted(table.index.unique(name)) for name in ("alpha", "p"))
    maps = table["value"].unstack("p")[ps]
    return {
        "levels": [int(level) for level in levels],
        "layers": [layers.index.get_loc(index) for index in held],
        "alphas": [float(alpha) for alpha in alphas],
        "ps": [None if np.isinf(p) else float(p) for p in ps],
        "maps": [
            [[_thousandths(row) for row in maps.loc[(level, index)].to_numpy().T] for index in held] for level in levels
        ],
    }


def spectral_layers(results: "Results", *, few: int = 4) -> Figure:
    """The spectral family of a pruned network in print: a row for each of three densities, a column for each layer.

    `few`: at most that many layers, spread evenly from the first to the last. The axis of p is that of 1/p. Marked are
    the points that are measures, hollow where mean CCA is forced by dimension. Raises `InputError` if the results hold
    no table of maps.
    """
    table = spectral_maps(results)
    if table is None:
        raise InputError("results: they hold no table 'spectral'; simprune.run computes it")
    layers, measured, sound = layers_in(select(results)), densities(results), cca_is_ok(results)
    shown = _spread(sorted(table.index.unique("layer_index")), few)
    levels = _spread(sorted(table.index.unique("level")), 3)
    with new_figure(WIDTH, 1.35 * len(levels) + 1.1) as (figure, notes):
        grid = figure.subplots(len(levels), len(shown), squeeze=False, sharex=True, sharey=True)
        for row, level in zip(grid, levels, strict=True):
            for axes, index in zip(row, shown, strict=True):
                values = table.loc[(level, index), "value"].unstack("p")
                alphas, inverse = values.index.to_numpy(float), 1 / values.columns.to_numpy(float)
                look = {"cmap": SIMILARITY_MAP, "vmin": 0, "vmax": 1}
                mesh = axes.pcolormesh(alphas, inverse, values.to_numpy().T, shading="gouraud", rasterized=True, **look)
                for measure, (alpha, p) in SPECTRAL_POINTS.items():
                    style = STYLES[measure]
                    look = {"color": style.colour, "mec": "white", "ms": 6, "linestyle": ""}
                    name = _point_title(measure)
                    name = f"{name} (root)" if measure == "linear_cka" else name
                    axes.plot([], [], style.marker, label=name, **look)
                    if measure == "mean_cca" and not sound.get((level, index), False):
                        look |= {"mfc": "none", "mec": style.colour, "mew": 1.5}
                        notes.add(HOLLOW)
                    axes.plot(alpha, 1 / p, style.marker, **look, clip_on=False, zorder=5)
                axes.grid(False)
                axes.set_yticks([1, 0.5, 0], ["1", "2", "∞"])
            row[0].set_ylabel(f"{percent(measured[level])}\np")
        for axes, index in zip(grid[0], shown, strict=True):
            axes.set_title(layers[index], loc="left")
        for axes in grid[-1]:
            axes.set_xlabel("α")
        bar = figure.colorbar(mesh, ax=grid, shrink=0.7, aspect=35, pad=0.02)
        bar.set_label("s(α, p)")
        bar.outline.set_visible(False)
        legend(figure, grid[0, 0], notes, ncols=2)
    return figure


def _point_title(measure: str) -> str:
    """What a marked point is called; the family's corner (0, 1) is mean CCA times √(min r / max r), r the ranks."""
    return f"{title(measure)} (scaled)" if measure == "mean_cca" else title(measure)


def _spread(items: list[Any], count: int) -> list[Any]:
    """At most that many of the items, evenly from the first to the last."""
    if len(items) <= count:
        return items
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, count)]


# Controls are the browser's own, so that they work by keyboard and are read aloud; they show once the script runs.
_PAGE = """\
<div class="explorer" id="explorer">
<p class="explorer-without">The explorer is drawn in the built book, by JavaScript. Elsewhere see the figure below,
which shows some of its maps, and the tables of the results pages.</p>
<div class="explorer-controls" hidden>
<p><label for="explorer-study">Study</label><select id="explorer-study">{studies}</select></p>
<p><label for="explorer-network">Network</label><select id="explorer-network"></select></p>
<p><label for="explorer-measure">Measure</label><select id="explorer-measure"></select></p>
<p><label for="explorer-view">View</label><select id="explorer-view"></select></p>
<p><label for="explorer-layer">Layer</label><select id="explorer-layer"></select></p>
<p><label for="explorer-density">Density</label><input type="range" id="explorer-density" min="0" step="1">
<output for="explorer-density" id="explorer-density-text"></output></p>
</div>
<div class="explorer-part" hidden>
<p class="explorer-title" id="explorer-scores-title"></p>
<div class="explorer-figure" id="explorer-scores"></div>
<p class="explorer-reading" id="explorer-scores-reading" aria-live="polite"></p>
<details><summary>Show the numbers of this heatmap</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Numbers of the heatmap" id="explorer-table"></div></details>
<p><a id="explorer-download" href="#explorer" download="scores.csv">Download these numbers (CSV)</a></p>
</div>
<div class="explorer-part" hidden>
<p class="explorer-title" id="explorer-beside-title"></p>
<div class="explorer-figure" id="explorer-beside"></div>
<p class="explorer-reading" id="explorer-beside-reading" aria-live="polite"></p>
</div>
<div class="explorer-part" hidden>
<p class="explorer-title" id="explorer-map-title"></p>
<div class="explorer-figure" id="explorer-map"></div>
<p class="explorer-reading" id="explorer-map-reading" aria-live="polite"></p>
</div>
<script type="application/json" id="explorer-data">{data}</script>
<script defer src="{static}/plotly/plotly-cartesian.min.js"></script>
<script defer src="{static}/explorer.js"></script>
</div>
"""
