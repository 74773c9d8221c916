"""The figures of the methods pages show what `simprune.compare` and `spectral_map` say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import simprune
from simprune import analysis, plots
from simprune.measures import MEASURES, spectral_map

GROUPS = {"turned": "orthogonal", "swapped": "permutation", "slanted": "invertible_linear"}


@pytest.fixture(scope="module")
def clouds():
    random = np.random.default_rng(1)
    cloud = random.standard_normal((40, 2)) * [2, 1] + [0.3, -0.4]
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    return {
        "original": cloud,
        "turned": cloud @ turn,
        "swapped": cloud[:, ::-1],
        "slanted": cloud @ [[1, 0.9], [0, 0.5]],
        "mixed": random.permutation(cloud),
    }


@pytest.fixture(scope="module")
def scores(clouds):
    return {name: simprune.compare(clouds["original"], cloud) for name, cloud in list(clouds.items())[1:]}


@pytest.fixture(scope="module")
def maps():
    random = np.random.default_rng(2)
    X, Y, Z = (random.standard_normal((50, 5)) * 0.7 ** np.arange(5) for _ in range(3))
    pairs = {"first": (X, X + 0.5 * Y), "second": (X, Z)}
    return {
        name: spectral_map(*pair, [0.0, 0.5, 1.0, 1.5], [np.inf, 4.0, 2.0, 1.0]) for name, pair in pairs.items()
    }, pairs


def drawn(figure):
    figure.draw_without_rendering()
    assert plt.get_fignums() == []
    return figure


def mesh(axes):
    [found] = [artist for artist in axes.collections if isinstance(artist, QuadMesh)]
    return found


# Clouds -----------------------------------------------------------------------------------------------------


def test_each_cloud_is_drawn_as_it_is_under_its_name(clouds):
    panels = [axes for axes in drawn(plots.toy_clouds(clouds)).axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in panels] == list(clouds)
    for axes, cloud in zip(panels, clouds.values(), strict=True):
        np.testing.assert_allclose(axes.collections[0].get_offsets(), cloud)


def test_clouds_have_one_scale_that_cuts_off_nothing_and_keeps_angles(clouds):
    panels = [axes for axes in drawn(plots.toy_clouds(clouds)).axes if axes.axison]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
    low, high = panels[0].get_xlim()
    assert all(low < cloud.min() and cloud.max() < high for cloud in clouds.values())
    assert all(axes.get_aspect() == 1 for axes in panels)


def test_a_point_has_one_colour_in_every_cloud(clouds):
    panels = [axes for axes in drawn(plots.toy_clouds(clouds)).axes if axes.axison]
    colours = np.array([axes.collections[0].get_facecolors() for axes in panels])
    assert (colours == colours[0]).all() and len(np.unique(colours[0], axis=0)) == 40


# Scores -----------------------------------------------------------------------------------------------------


def cells(figure):
    """What stands in each cell: (row, column) → text."""
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in figure.axes[0].texts
    }


def test_every_score_of_compare_stands_in_its_cell(scores):
    figure = drawn(plots.toy_scores(scores, GROUPS))
    measures = list(scores["turned"].index)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [MEASURES[name].title for name in measures]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(scores)
    found = cells(figure)
    assert len(found) == len(measures) * len(scores)
    for (row, column), text in found.items():
        value = list(scores.values())[column].loc[measures[row], "value"]
        assert float(text.replace("−", "-")) == pytest.approx(value, abs=0.0051)


def test_only_a_score_that_has_not_changed_is_a_plain_number(scores):
    measures = list(scores["turned"].index)
    for (row, column), text in cells(drawn(plots.toy_scores(scores, GROUPS))).items():
        value, best = list(scores.values())[column].loc[measures[row], "value"], MEASURES[measures[row]].best
        assert ("." not in text) == (abs(value - best) < plots.UNCHANGED)


def test_a_rounded_one_is_not_taken_for_an_unchanged_score(clouds):
    random = np.random.default_rng(3)
    near = clouds["original"] + 1e-2 * random.standard_normal((40, 2))
    figure = drawn(plots.toy_scores({"near": simprune.compare(clouds["original"], near, ["linear_cka"])}, {}))
    assert cells(figure) == {(0, 0): "1.00"}


def test_exactly_the_cells_of_registered_invariances_are_framed(scores):
    figure = drawn(plots.toy_scores(scores, GROUPS))
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    framed = {(int(frame.get_y()), int(frame.get_x())) for frame in frames}
    assert framed == {
        (row, column)
        for row, measure in enumerate(scores["turned"].index)
        for column, change in enumerate(scores)
        if GROUPS.get(change) in MEASURES[measure].invariances
    }
    found = cells(figure)
    assert all("." not in found[cell] for cell in framed)


def test_alike_is_light_for_similarities_and_distances(scores):
    colours = mesh(drawn(plots.toy_scores(scores, GROUPS)).axes[0])
    table = np.asarray(colours.get_array()).reshape(-1, len(scores))
    assert colours.get_clim() == (0, 1)
    for row, measure in zip(table, scores["turned"].index, strict=True):
        values = np.array([scores[change].loc[measure, "value"] for change in scores])
        expected = 1 - values / values.max() if MEASURES[measure].is_distance else np.clip(values, 0, 1)
        np.testing.assert_allclose(row, expected, atol=1e-12)


# The plane --------------------------------------------------------------------------------------------------


def test_the_plane_is_the_map_over_alpha_and_one_over_p(maps):
    tables, _ = maps
    figure = drawn(plots.spectral_plane(tables))
    for axes, (name, table) in zip(figure.axes, tables.items(), strict=False):
        assert axes.get_title(loc="left") == name
        colours = mesh(axes)
        places = colours.get_coordinates().reshape(-1, 2)
        for (alpha, inverse), value in zip(places, np.ravel(colours.get_array()), strict=True):
            assert value == table.loc[alpha, 1 / inverse if inverse else np.inf]
        assert colours.get_clim() == (0, 1)
        assert axes.get_ylim() == (0, 1) and axes.get_xlim() == (0, 1.5)


def test_the_values_at_the_marks_are_those_of_the_measures(maps):
    tables, pairs = maps
    figure = drawn(plots.spectral_plane(tables))
    for axes, pair in zip(figure.axes, pairs.values(), strict=False):
        values = simprune.compare(*pair, list(analysis.SPECTRAL_POINTS))["value"]
        values["linear_cka"] **= 0.5
        written = [float(text.get_text()) for text in axes.texts]
        assert written == pytest.approx([values[measure] for measure in analysis.SPECTRAL_POINTS], abs=0.0051)


def test_each_mark_has_its_place_and_the_look_of_its_measure(maps):
    axes = drawn(plots.spectral_plane(maps[0])).axes[0]
    marks = {line.get_label(): line for line in axes.lines}
    for measure, name in (("mean_cca", "Mean CCA"), ("nbs", "NBS"), ("linear_cka", "Linear CKA (root)")):
        alpha, p = analysis.SPECTRAL_POINTS[measure]
        assert (marks[name].get_xdata()[0], marks[name].get_ydata()[0]) == (alpha, 1 / p)
        assert to_hex(marks[name].get_color()) == plots.STYLES[measure].colour
        assert marks[name].get_marker() == plots.STYLES[measure].marker


def test_the_plane_of_equal_representations_is_1_everywhere_and_has_no_contours():
    X = np.random.default_rng(4).standard_normal((30, 4))
    figure = drawn(plots.spectral_plane({"itself": spectral_map(X, X, [0.0, 1.0], [np.inf, 2.0, 1.0])}))
    np.testing.assert_allclose(mesh(figure.axes[0]).get_array(), 1)
