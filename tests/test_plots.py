"""The figures' grammar: scales, order, colours, and nothing left out in silence."""

import copy
from functools import partial
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import synthetic
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from simprune import analysis, plots
from simprune.errors import InputError
from simprune.measures import MEASURES

FIGURES = (
    plots.performance,
    plots.layer_densities,
    plots.similarity_heatmaps,
    plots.layer_profiles,
    lambda results: plots.measure_agreement(analysis.rank_agreement(results.similarity)),
    lambda results: plots.studies_accuracy({"A on B": results}),
    lambda results: plots.accuracy_of_ways({"pruned": results}),
)


@pytest.fixture(scope="module")
def results():
    return synthetic.results()


def draw(figure):
    figure.draw_without_rendering()
    return figure


def legend_words(figure):
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.parametrize("function", FIGURES, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"seeds": (0,), "levels": 0},
        {"seeds": (4,), "levels": 1, "measures": ("nbs",)},
        {"seeds": (0, 1), "levels": 3, "measures": ("mean_cca", "nbs")},
    ],
    ids=["three seeds", "dense only", "one measure", "two measures"],
)
def test_every_figure_has_the_books_width_and_ground_and_is_left_to_its_caller(function, case):
    figure = draw(function(synthetic.results(**case)))
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == []  # an open figure would be shown twice in a notebook
    assert figure.get_figwidth() <= plots.WIDTH
    assert to_hex(figure.get_facecolor()) == "#ffffff"


def test_density_runs_from_dense_to_sparse_on_a_log_axis_with_plain_numbers(results):
    for axes in (*draw(plots.performance(results)).axes, *draw(plots.layer_densities(results)).axes):
        left, right = axes.get_xlim()
        assert left > 1 > right > 0
        assert axes.get_xscale() == "log"
        assert axes.xaxis.get_minorticklocs().size == 0
    labels = ticks(draw(plots.performance(results)).axes[0].xaxis)
    assert [label.replace("\u00a0", " ") for label in labels] == ["10 %", "20 %", "50 %", "100 %"]


def test_layers_stand_in_network_order_whatever_the_order_of_the_table():
    shuffled = synthetic.results()
    shuffled.similarity = shuffled.similarity.sample(frac=1, random_state=0)
    profiles = draw(plots.layer_profiles(shuffled)).axes[0]
    assert [label.replace("\n", "_") for label in ticks(profiles.xaxis)] == list(synthetic.LAYERS)


@pytest.mark.parametrize(("least", "floor"), [(0.5, 0.4), (0.3, 0)])
def test_heatmaps_share_one_scale_which_begins_where_scores_are(least, floor):
    results = synthetic.results()
    results.similarity["value"] = results.similarity["value"].clip(lower=0.45)
    synthetic.set_score(results, least, measure="nbs", layer="pool2", level=12)
    meshes = [mesh for axes in plots.similarity_heatmaps(results).axes[:5] for mesh in axes.collections]
    assert [(mesh.norm.vmin, mesh.norm.vmax) for mesh in meshes] == [(floor, 1)] * 5
    assert len({mesh.get_cmap().name for mesh in meshes}) == 1


def test_a_heatmap_shows_the_means_by_level_and_layer_dense_at_the_top(results):
    axes = plots.similarity_heatmaps(results, measures=["nbs"]).axes[0]
    scores = results.similarity[results.similarity["measure"] == "nbs"]
    expected = scores.pivot_table(index="level", columns="layer_index", values="value").to_numpy()
    shown = axes.collections[0].get_array().reshape(expected.shape)
    assert np.allclose(np.ma.filled(shown, np.nan), expected, equal_nan=True)
    assert axes.yaxis_inverted() and ticks(axes.yaxis)[0] == "100\u00a0%"


def test_a_heatmap_hatches_what_is_not_ok_and_crosses_what_has_no_value(results):
    axes = plots.similarity_heatmaps(results, measures=["mean_cca"]).axes[0]
    hatched = {(patch.get_x(), patch.get_y()) for patch in axes.patches if isinstance(patch, Rectangle)}
    assert hatched == {(layer, level) for layer in (0, 1) for level in range(13)}
    crosses = [tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() == "x"]
    assert crosses == [(6.5, 12.5)]
    coloured = np.ma.getmaskarray(axes.collections[0].get_array().reshape(13, 7))
    assert coloured[:, :2].all() and not coloured[:12, 2:].any()


def test_negative_similarities_are_said_to_lie_beyond_the_scale():
    results = synthetic.results(measures=("nbs",))
    assert plots.similarity_heatmaps(results).axes[0].collections[0].colorbar.extend == "neither"
    results.similarity.loc[5, "value"] = -0.1
    assert plots.similarity_heatmaps(results).axes[0].collections[0].colorbar.extend == "min"
    assert plots.layer_profiles(results, density=1).axes[0].get_ylim()[0] < -0.1


def test_lines_are_hollow_where_the_status_is_not_ok_and_crossed_where_no_value_is(results):
    axes = plots.layer_profiles(results, density=0.01, measures=["mean_cca"]).axes[0]
    rings = [line for line in axes.lines if line.get_markerfacecolor() == "none" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in rings] == [[0, 1]]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[6]]
    assert {plots.HOLLOW, plots.CROSS} <= set(legend_words(plots.layer_profiles(results, density=0.01)))


def test_crosses_of_several_measures_do_not_hide_each_other(results):
    axes = plots.layer_profiles(results, density=0.01).axes[0]
    heights = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert len(set(heights)) == 5


def test_marks_are_explained_only_where_they_occur(results):
    clean = synthetic.results(measures=("nbs",), levels=3)
    clean.similarity["status"] = "ok"
    clean.similarity["value"] = clean.similarity["value"].fillna(0.5)
    for function in (partial(plots.layer_profiles, density=0.01), plots.similarity_heatmaps):
        assert not {plots.HOLLOW, plots.CROSS} & set(legend_words(function(clean)))
        assert {plots.HOLLOW, plots.CROSS} <= set(legend_words(function(results)))


def test_a_band_spans_the_seeds_from_least_to_greatest(results):
    band = plots.performance(results).axes[0].collections[0].get_paths()[0].vertices
    last = results.performance[results.performance["level"] == 12]
    at_last = band[np.isclose(band[:, 0], last["density"].iloc[0]), 1]
    assert at_last.min() == pytest.approx(100 * last["test_accuracy"].min())
    assert at_last.max() == pytest.approx(100 * last["test_accuracy"].max())


def test_one_seed_has_no_band():
    assert not plots.performance(synthetic.results(seeds=(0,))).axes[0].collections


def test_profiles_are_those_of_the_nearest_measured_density(results):
    figure = plots.layer_profiles(results, density=0.5, measures=["nbs"])
    scores = results.similarity.query("level == 3 and measure == 'nbs'")
    expected = scores.groupby("layer_index")["value"].mean()
    assert np.allclose(figure.axes[0].lines[0].get_ydata(), expected)
    assert figure.axes[0].get_title(loc="left") == "density 51.2\u00a0%"


def test_a_twin_stands_at_the_densities_of_the_pruned_network():
    results, twin = synthetic.results(levels=3), synthetic.results(seeds=(0,), levels=3)
    twin.performance = twin.performance.assign(density=1.0, test_accuracy=0.95)
    axes = plots.performance(results, {"twin": twin}).axes[0]
    [line] = [line for line in axes.lines if len(line.get_ydata()) == 4 and np.allclose(line.get_ydata(), 95)][:1]
    assert np.allclose(line.get_xdata(), [1, 0.8, 0.64, 0.512])
    assert "its twin" in legend_words(plots.performance(results, {"twin": twin}))[-1]


def with_company():
    """A run whose twin is nearer by 0.1, with controls and chance."""
    results = synthetic.with_controls(synthetic.results(measures=("svcca", "nbs")))
    twin = synthetic.results(measures=("svcca", "nbs"))
    twin.similarity["value"] = 1 - 0.5 * (1 - twin.similarity["value"])
    nulls = results.similarity[results.similarity["reference"] == "dense"].assign(null=0.25)
    results.diagnostics = {"nulls": nulls}
    held = synthetic.results(measures=("svcca", "nbs"))
    held.similarity["value"] = 1 - 0.25 * (1 - held.similarity["value"])
    controls = {"twin": twin, "held": held}
    return results, controls, analysis.company(results, controls)


def drawn(axes, who):
    """What a panel draws of one of the company."""
    colour, _, _ = plots.COMPANY_STYLES[who]
    [line] = [line for line in axes.lines if to_hex(line.get_color()) == colour]
    return np.asarray(line.get_ydata())


def test_the_pruned_network_stands_beside_its_company_in_a_panel_for_each_layer_and_measure():
    results, controls, company = with_company()
    figure = draw(plots.company_by_density(company))
    assert len(figure.axes) == len(synthetic.LAYERS) * 2
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["SVCCA", "NBS"]
    assert [axes.texts[0].get_text() for axes in figure.axes[::2]] == list(synthetic.LAYERS)
    panel = figure.axes[1]  # NBS of the first layer
    for reference in ("sibling", "untrained"):
        at_start = results.similarity.query(
            f"reference == '{reference}' and measure == 'nbs' and layer_index == 0 and level == 0"
        )
        assert np.allclose(drawn(panel, reference), at_start["value"].mean())
    assert np.allclose(drawn(panel, "chance"), 0.25)
    for who, run in controls.items():
        longer = run.similarity.query("measure == 'nbs' and layer_index == 0").groupby("level")["value"].mean()
        assert np.allclose(drawn(panel, who), longer)
    assert {"pruned", "its twin", "held", "another seed", "untrained", "chance"} <= set(legend_words(figure))


def test_along_the_layers_the_company_is_that_of_the_nearest_density():
    results, controls, company = with_company()
    panel = draw(plots.company_profiles(company, density=0.5)).axes[1]
    for who, run in controls.items():
        at = run.similarity.query("level == 3 and measure == 'nbs'").groupby("layer_index")["value"].mean()
        assert np.allclose(drawn(panel, who), at)
    assert len(drawn(panel, "sibling")) == len(synthetic.LAYERS)
    pruned = results.similarity.query("level == 3 and measure == 'nbs' and reference == 'dense'")
    expected = pruned.groupby("layer_index")["value"].mean()
    assert any(
        np.allclose(line.get_ydata(), expected) for line in panel.lines if len(line.get_ydata()) == len(expected)
    )


def test_company_that_is_not_stored_is_absent():
    company = analysis.company(synthetic.results(measures=("nbs",)))
    assert list(company.index.unique("who")) == ["pruned"]
    for figure in (plots.company_by_density(company), plots.company_profiles(company)):
        assert "another seed" not in legend_words(draw(figure))


def test_a_measure_without_a_style_is_drawn_in_grey(monkeypatch):
    monkeypatch.delitem(plots.STYLES, "nbs")
    line = plots.layer_profiles(synthetic.results(measures=("nbs",)), density=0.5).axes[0].lines[0]
    assert to_hex(line.get_color()) == "#555555"


def test_the_agreement_of_unranked_measures_is_a_cross():
    results = synthetic.results(measures=("mean_cca", "nbs"))
    results.similarity.loc[results.similarity["measure"] == "nbs", "value"] = 1.0
    axes = plots.measure_agreement(analysis.rank_agreement(results.similarity)).axes[0]
    assert len([line for line in axes.lines if line.get_marker() == "x"]) == 2


def test_distances_are_not_drawn_on_the_scale_of_similarities(monkeypatch):
    results = synthetic.results(measures=("mean_cca", "nbs"))
    monkeypatch.setitem(MEASURES, "nbs", synthetic.as_distance(MEASURES["nbs"]))
    shown = [legend_words(plots.layer_profiles(results, density=0.5, kind=kind)) for kind in plots.KINDS]
    assert [words[0] for words in shown] == [MEASURES["mean_cca"].title, MEASURES["nbs"].title]
    panels = plots.similarity_heatmaps(results).axes[:2]
    names = [axes.collections[0].get_cmap().name for axes in panels]
    assert names == [plots.SIMILARITY_MAP, plots.SIMILARITY_MAP + "_r"]


def test_a_kind_that_no_measure_has_is_refused(results):
    with pytest.raises(InputError, match="no distance"):
        plots.layer_profiles(results, kind="distance")


# The palette ------------------------------------------------------------------------------------------------

# Machado, Oliveira & Fernandes 2009: linear RGB as seen without one kind of cone, severity 1.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour):
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """Linear RGB in CIELAB under D65."""
    xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]] @ np.clip(rgb, 0, 1)
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz / [0.95047, 1, 1.08883])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one, other, blindness):
    seen = [lab(np.array(BLINDNESS[blindness]) @ linear(colour)) for colour in (one, other)]
    return np.linalg.norm(seen[0] - seen[1])


def test_every_registered_measure_has_a_style_of_its_own():
    assert set(MEASURES) <= set(plots.STYLES)
    looks = [(style.colour, style.marker) for style in plots.STYLES.values()]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("measure", plots.STYLES)
def test_every_colour_stands_out_from_the_white_ground(measure):
    luminance = linear(plots.STYLES[measure].colour) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3  # WCAG 2, graphical objects


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colours_that_may_be_confused_have_different_markers(blindness):
    for (_, one), (_, other) in combinations(plots.STYLES.items(), 2):
        if difference(one.colour, other.colour, blindness) < 14:
            assert one.marker != other.marker


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_the_first_five_measures_differ_in_colour_for_every_eye(blindness):
    colours = [plots.STYLES[measure].colour for measure in synthetic.FIRST_MEASURES]
    assert min(difference(*pair, blindness) for pair in combinations(colours, 2)) > 10


def test_a_measure_looks_the_same_in_every_figure(results):
    company = plots.company_profiles(analysis.company(results, measures=["nbs"]))
    for figure in (plots.layer_profiles(results), company):
        line = next(line for line in figure.axes[0].lines if line.get_label() == MEASURES["nbs"].title)
        assert to_rgba(line.get_color()) == to_rgba(plots.STYLES["nbs"].colour)
        assert line.get_marker() == plots.STYLES["nbs"].marker


def test_the_legend_of_a_network_with_many_long_names_fits_the_figure_and_leaves_it_its_height(results):
    names = [f"stage{stage}_block{block}.conv{conv}" for stage in (1, 2, 3) for block in (1, 2, 3) for conv in (1, 2)]
    one = results.sparsity[results.sparsity["layer"] == results.sparsity["layer"].iloc[0]]
    many = copy.copy(results)
    many.sparsity = pd.concat([one.assign(layer=name) for name in names])
    figure = plots.layer_densities(many)
    figure.canvas.draw()
    [legend] = figure.legends
    assert legend.get_window_extent().width <= figure.bbox.width
    assert figure.axes[0].get_window_extent().height >= 0.4 * plots.layer_densities(results).bbox.height
