"""What earlier papers found is judged by what the tables hold, and by the control that could refute it."""

import numpy as np
import pandas as pd
import planted
import pytest
import synthetic

from simprune.analysis import published

NAME = "LeNet-5 on Fashion-MNIST"


@pytest.fixture
def results():
    return planted.everything()


def put(results, value, layer=None, measure="svcca", reference="dense", column="value"):
    table = results.similarity
    chosen = (table["measure"] == measure) & (table["reference"] == reference)
    table.loc[chosen & (table["layer_index"] == layer if layer is not None else True), column] = value


def dips(results, **choice):
    return published.dips(published.profiles({NAME: results}, {}, **choice)).loc[(NAME, "pruned")]


def test_a_dip_is_lower_than_the_first_layer_and_than_every_fully_connected_one(results):
    for layer, value in enumerate((1.0, 0.5, 0.9)):
        put(results, value, layer)
    found = dips(results)
    assert found["dips"] and found["dips_to_output"] and found["middle"] == 0.5 and found["hidden"] == 0
    put(results, 0.87, 1)
    assert not dips(results)["dips"]
    put(results, 0.5, 1)
    put(results, 0.0, 2)
    assert not dips(results)["dips"]


def test_a_hidden_fully_connected_layer_below_the_convolutional_ones_is_no_dip(results):
    table = published.profiles({NAME: results}, {})
    table = table[table["who"] == "pruned"]
    hidden = table.iloc[[1]].assign(layer="fc1_relu", layer_index=2, mean=0.2)
    output = table.iloc[[-1]].assign(layer_index=3, mean=0.9)
    layers = table.iloc[:2].assign(mean=[1.0, 0.5])
    [found] = published.dips(pd.concat([layers, hidden, output])).to_dict("records")
    assert found["hidden"] == 1 and not found["dips"] and found["dips_to_output"]


@pytest.mark.parametrize("layer", [0, 2])
def test_a_dip_is_not_judged_where_the_first_or_the_last_layer_has_no_score(results, layer):
    put(results, synthetic.DEGENERATE, layer, column="status")
    assert (NAME, "pruned") not in published.dips(published.profiles({NAME: results}, {})).index


def test_the_density_chooses_the_level(results):
    table = results.similarity
    table.loc[table["measure"] == "svcca", "value"] = table["density"]
    for level in (2, 7):
        found = published.profiles({NAME: results}, {}, planted.density(level))
        assert np.allclose(found.loc[found["who"] == "pruned", "mean"], planted.density(level))


def test_measures_that_agree_name_one_layer_and_one_that_differs_another(results):
    for measure in planted.FAIR:
        for layer, value in enumerate((1.0, 0.9, 0.5)):
            put(results, value, layer, measure)
    assert (published.least_layers({NAME: results}).nunique(axis=1) == 1).all()
    put(results, 0.1, 0, "nbs")
    assert published.least_layers({NAME: results}).loc[NAME, "nbs"] == planted.LAYERS[0]


def test_twins_are_asked_at_the_level_of_the_pruned_run_whose_density_they_do_not_have(results):
    twin = planted.everything()
    twin.performance["density"] = twin.similarity["density"] = 1.0
    level = 5
    at = twin.similarity["level"] == level
    lowest = twin.similarity["layer_index"] == 0
    twin.similarity.loc[at & ~lowest & (twin.similarity["view"] == "pooled"), "value"] = 0.9
    twin.similarity.loc[at & lowest & (twin.similarity["view"] == "pooled"), "value"] = 0.1
    asked = {"density": planted.density(level), "measures": planted.FAIR}
    found = published.least_layers({NAME: results}, instead={NAME: twin}, **asked)
    assert (
        set(found.loc[NAME]) == {planted.LAYERS[0]} != set(published.least_layers({NAME: results}, **asked).loc[NAME])
    )
    twin.performance["test_accuracy"] = np.where(twin.performance["level"] == level, 0.8, 0.3)
    results.performance["test_accuracy"] = 0.5
    found = published.leads({"twin": twin, "pruned": results}, "pruned", planted.density(level))
    assert found.loc["twin", "accuracy"] == 0.8


def test_similar_accuracy_is_not_judged_where_later_levels_gain_or_a_score_is_missing(results):
    results.performance["test_accuracy"] = 0.9
    twin = planted.everything()
    put(twin, 0.3)
    [row] = published.similar_accuracy({NAME: results}, {NAME: twin}).to_dict("records")
    assert row["density"] == pytest.approx(planted.density(planted.LEVELS)) and row["twin"] == pytest.approx(0.3)
    put(results, synthetic.DEGENERATE, 1, column="status")
    assert published.similar_accuracy({NAME: results}, {}).empty
    gaining = planted.everything()
    gaining.performance["test_accuracy"] = 0.8 + 0.03 * (gaining.performance["level"] > 0)
    assert published.similar_accuracy({NAME: gaining}, {}).empty
    assert published.rewinding({NAME: gaining}).empty


def test_accuracy_lost_on_the_way_to_a_fifth_is_found_and_a_run_without_such_a_level_says_nothing(results):
    results.performance["test_accuracy"] = 0.9 - 0.05 * results.performance["level"]
    [row] = published.rewinding({NAME: results}).to_dict("records")
    assert row["worst"] == pytest.approx(-0.05 * round(np.log(row["density"]) / np.log(1 - planted.RATE)))
    results.performance["density"] = 0.1 ** results.performance["level"]
    assert published.rewinding({NAME: results}).empty


def test_ways_of_retraining_are_compared_with_the_same_seeds(results):
    table, other = results.performance, planted.everything()
    results.performance = pd.concat([table.assign(test_accuracy=0.95), table.assign(seed=1, test_accuracy=0.5)])
    other.performance["test_accuracy"] = 0.9
    runs = {"rewound": results, "fine": other}
    [row] = published.leads(runs, "fine").to_dict("records")
    assert row["lead"] == pytest.approx(0.05) and row["seeds"] == 1
    other.performance["seed"] = 17
    assert published.leads(runs, "fine").empty
    assert published.leads({"rewound": results}, "fine").empty


def test_a_layer_that_finds_itself_counts_and_a_missing_table_has_no_rows(results):
    pairs = results.diagnostics["layer_pairs"]
    same = pairs["index_x"] == pairs["index_y"]
    for measure, hits in (("linear_cka", same), ("svcca", ~same)):
        chosen = pairs["measure"] == measure
        pairs.loc[chosen, "value"] = hits[chosen].astype(float)
    found = published.identified({NAME: results})
    assert (found["linear_cka"] == 1).all() and (found["svcca"] == 0).all()
    assert np.allclose(found["chance"], 1 / len(planted.LAYERS))
    results.diagnostics.clear()
    assert published.identified({NAME: results}).empty
