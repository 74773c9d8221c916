"""What the explorer sends to the browser: the numbers of the studies, whole, short and safe in a page."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import synthetic
from matplotlib.figure import Figure

import simprune
from simprune import analysis
from simprune.measures import MEASURES, spectral_similarity
from simprune.plots import HOLLOW
from simprune.plots.explorer import _study_name, explorer, spectral_layers, stored_studies
from simprune.store import Store

ALPHAS, PS = (0.0, 0.5, 1.0), (1.0, 2.0, np.inf)


def replace(results, **fields):
    return SimpleNamespace(**{**vars(results), **fields})


def with_maps(results):
    """Results with made-up maps: s = 1 − level/10 − layer/100 − α/1000 − 1/p/10000."""
    places = results.similarity[["seed", "level", "density", "layer", "layer_index", "reference"]].drop_duplicates()
    grid = pd.MultiIndex.from_product([ALPHAS, PS], names=["alpha", "p"]).to_frame(index=False)
    table = places.merge(grid, how="cross")
    value = 1 - table["level"] / 10 - table["layer_index"] / 100 - table["alpha"] / 1000 - 1 / table["p"] / 10_000
    return replace(results, diagnostics={"spectral": table.assign(value=value)})


@pytest.fixture
def results():
    return replace(synthetic.results(), diagnostics={})


@pytest.fixture
def mapped(results):
    return with_maps(results)


def sent(made):
    """The data as the browser reads them."""
    [text] = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', made._repr_html_(), re.DOTALL)
    return json.loads(text)


def test_every_score_arrives_to_three_decimals(results):
    [study] = sent(explorer({"one": results}))["studies"].values()
    scores = results.similarity.query("reference == 'dense'")
    for view, measures in study["networks"]["pruned"]["views"].items():
        for name, table in measures.items():
            chosen = scores[(scores["view"] == view) & (scores["measure"] == name)]
            means = chosen.groupby(["level", "layer_index"])["value"].mean().to_numpy()
            held = np.array([np.nan if value is None else value / 1000 for value in table["mean"]])
            np.testing.assert_allclose(held, means, atol=5.1e-4)
            assert len(table["status"]) == len(study["densities"]) * len(study["layers"])
            assert table["distance"] is MEASURES[name].is_distance


def test_a_status_other_than_ok_arrives_in_words(results):
    scores = results.similarity.copy()
    scores.loc[scores.index[3], ["value", "status", "note"]] = [np.nan, "undefined", "constant </script>"]
    made = explorer({"one": replace(results, similarity=scores)})
    [study] = sent(made)["studies"].values()
    assert any("undefined: constant </script>" in status for status in study["statuses"])
    assert made._repr_html_().count("</script>") == 3  # the data and the two scripts


def test_the_maps_arrive_in_the_order_of_layers_densities_and_dials(mapped):
    [study] = sent(explorer({"one": mapped}))["studies"].values()
    spectral = study["spectral"]
    assert spectral["alphas"] == list(ALPHAS) and spectral["ps"] == [1.0, 2.0, None]
    assert 0 not in spectral["levels"]
    for level, layers in zip(spectral["levels"], spectral["maps"], strict=True):
        for layer, rows in zip(spectral["layers"], layers, strict=True):
            for p, row in zip(PS, rows, strict=True):
                expected = [1 - level / 10 - layer / 100 - alpha / 1000 - 1 / p / 10_000 for alpha in ALPHAS]
                np.testing.assert_allclose(np.array(row) / 1000, expected, atol=5.1e-4)


def test_a_study_without_maps_says_so(results):
    assert sent(explorer({"one": results}))["studies"]["one"]["spectral"] is None
    assert analysis.spectral_maps(results) is None and analysis.spectral_marks(results).empty
    with pytest.raises(simprune.InputError, match="'spectral'"):
        spectral_layers(results)


def test_no_study_is_refused():
    with pytest.raises(simprune.InputError, match="none to explore"):
        explorer({})


def test_the_name_of_a_study_cannot_break_the_page(results):
    page = explorer({"<b>&": results})._repr_html_()
    assert "<option>&lt;b&gt;&amp;</option>" in page


def test_every_control_is_labelled(results):
    page = explorer({"one": results})._repr_html_()
    for control in re.findall(r'<(?:select|input)[^>]* id="([\w-]+)"', page):
        assert f'<label for="{control}">' in page


def test_the_printed_maps_are_one_panel_for_each_density_and_layer(mapped):
    figure = spectral_layers(mapped, few=2)
    assert isinstance(figure, Figure)
    levels = min(3, mapped.similarity["level"].nunique() - 1)
    assert sum(bool(axes.collections) and axes.get_label() != "<colorbar>" for axes in figure.axes) == 2 * levels


def test_a_point_of_the_printed_maps_is_hollow_where_mean_cca_is_forced(mapped):
    figure = spectral_layers(mapped, few=2)  # the first layer, where it is forced, and the last
    level = min(mapped.diagnostics["spectral"]["level"])
    hollow = [
        [line.get_markerfacecolor() == "none" for line in axes.lines if len(line.get_xdata())]
        for axes in figure.axes[:2]
    ]
    status = mapped.similarity.query("reference == 'dense' and view == 'flatten' and measure == 'mean_cca'")
    forced = ~status[status["level"] == level].groupby("layer_index")["status"].agg(
        lambda s: s.str.startswith("ok").all()
    )
    assert [any(points) for points in hollow] == [forced.iloc[0], forced.iloc[-1]] and forced.iloc[0]
    assert HOLLOW in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_marks_are_the_points_of_the_maps_and_leave_out_those_in_which_mean_cca_is_not_ok(mapped):
    marks = analysis.spectral_marks(mapped)
    table, layers = mapped.diagnostics["spectral"].copy(), analysis.layers_in(mapped.similarity)
    assert {"conv1_relu", "pool1"}.isdisjoint(marks.index.get_level_values("layer_index").map(layers))
    (level, layer), alpha = marks.index[-1], 0  # mean CCA stands at α = 0 and p = 1, 0.001 above the others
    assert marks.loc[level, layer]["gap"] == pytest.approx(0.001)
    there = (table["layer_index"] == layer) & (table["level"] == level) & (table["alpha"] == alpha)
    table.loc[there, "value"] = 0.05
    moved = analysis.spectral_marks(replace(mapped, diagnostics={"spectral": table}))
    assert moved["gap"].idxmax() == (level, layer)
    scores = mapped.similarity.copy()
    scores.loc[(scores["measure"] == "mean_cca") & (scores["seed"] == 0), "status"] = synthetic.DEGENERATE
    assert analysis.spectral_marks(replace(mapped, similarity=scores)).empty  # one seed is enough


def test_networks_stand_side_by_side_and_another_seed_has_one_row(results):
    twin = replace(results, similarity=results.similarity.assign(value=0.5))
    [study] = sent(explorer({"one": synthetic.with_controls(results)}, {"one": {"twin": twin}}))["studies"].values()
    assert list(study["networks"]) == ["pruned", "twin", "sibling"]
    cells = {who: len(one["views"]["flatten"]["nbs"]["mean"]) for who, one in study["networks"].items()}
    rows, layers = len(study["densities"]), len(study["layers"])
    assert cells == {"pruned": rows * layers, "twin": rows * layers, "sibling": layers}
    assert set(study["networks"]["twin"]["views"]["flatten"]["nbs"]["mean"]) == {500}
    assert [len(one["rows"]) for one in study["networks"].values()] == [rows, rows, 1]


def test_the_corner_of_mean_cca_is_labelled_as_scaled(mapped):
    """It's not the score: for ranks 8 and 4 it is lower by √(4 / 8)."""
    x = np.random.default_rng(0).normal(size=(50, 8))
    corner = spectral_similarity(x, x[:, :4], *analysis.SPECTRAL_POINTS["mean_cca"])
    assert simprune.compare(x, x[:, :4], ["mean_cca"])["value"].item() == pytest.approx(1)
    assert corner == pytest.approx(np.sqrt(4 / 8))
    assert sent(explorer({"one": mapped}))["points"]["mean_cca"]["title"] == "Mean CCA (scaled)"
    labels = [text.get_text() for legend in spectral_layers(mapped).legends for text in legend.get_texts()]
    assert {"Mean CCA (scaled)", "NBS", "Linear CKA (root)"} <= set(labels)


def test_a_study_is_named_by_what_is_unusual_about_it():
    experiment = simprune.Experiment("vgg", "cifar10", profile="paper", criterion="random", seeds=(3,), levels=2)
    assert _study_name(experiment) == "VGG on CIFAR-10, paper, criterion random"
    assert _study_name(experiment.replace(criterion="magnitude")) == "VGG on CIFAR-10, paper"
    folder = simprune.Experiment("lenet5", "folder:images#0123456789abcdef", rate=0.5)
    assert _study_name(folder) == "LeNet-5 on folder:images, quick, rate 0.5"


def test_every_stored_study_can_be_chosen(tmp_path):
    studies = stored_studies(tmp_path)
    assert len(studies) == len({experiment.name for experiment, _ in Store(tmp_path).stored()}) > 0
