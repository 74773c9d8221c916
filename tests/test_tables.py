"""Numbers are shown one way: digits, units, ranges, what is missing."""

import numpy as np
import pandas as pd
import pytest

from simprune import tables
from simprune.analysis import Range


def plain(text):
    return text.replace("\u00a0", " ").replace("\u2212", "-")


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (tables.number, 0.012345, "0.0123"),
        (tables.number, 1234.5, "1,234"),
        (tables.number, -0.5, "-0.500"),
        (tables.number, 0, "0"),
        (tables.number, -3.7e-17, "0"),
        (tables.number, 1e-9, "0.00000000100"),
        (tables.score, 0.93456, "0.935"),
        (tables.percent, 0.1074, "10.7 %"),
        (tables.percent, 1, "100 %"),
        (tables.accuracy, 0.9122, "91.2 %"),
        (tables.points, -0.0051, "-0.51"),
        (tables.points, 0.00001, "0.00"),
        (tables.points, 0.012, "+1.20"),
        (tables.count, 60000, "60,000"),
        (tables.duration, 30, "30 s"),
        (tables.duration, 300, "5.0 min"),
        (tables.duration, 9000, "2.5 h"),
    ],
)
def test_a_number_has_its_form(form, value, text):
    assert plain(form(value)) == text


def test_a_cell_is_a_number_a_range_text_a_tick_or_a_dash():
    assert [tables.cell(value) for value in (0.5, "never", True, np.False_, None, np.nan)] == [
        *("0.500", "never", "✓", "", "–", "–")
    ]
    same, apart = Range(0.91, 0.91, 0.91), Range(0.91, 0.9, 0.92, ok=False)
    assert plain(tables.cell(same, tables.accuracy)) == "91.0 %"
    assert plain(tables.cell(apart, tables.accuracy)) == "91.0 %* (90.0–92.0 %)"
    assert plain(tables.cell(Range(0.0, -0.01, 0.01), tables.points)) == "0.00 (-1.00 to +1.00)"
    assert tables.cell(Range(np.nan, np.nan, np.nan)) == "–"


def test_a_table_keeps_its_names_and_shows_each_column_in_its_form():
    numbers = pd.DataFrame({"density": [1.0, 0.1], "score": [Range(0.5, 0.4, 0.6), None]}, index=["dense", "pruned"])
    shown = tables.table(numbers, tables.score, {"density": tables.percent})
    assert list(shown.index) == ["dense", "pruned"] and list(shown.columns) == ["density", "score"]
    assert [plain(text) for text in shown["density"]] == ["100 %", "10 %"]
    assert list(shown["score"]) == ["0.500 (0.400–0.600)", "–"]
    assert list(tables.table(numbers[["density"]], tables.score)["density"]) == ["1.000", "0.100"]


def test_the_same_column_name_twice_is_two_columns():
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert tables.table(twice, tables.count).to_numpy().tolist() == [["1", "2"]]


def test_rows_and_columns_of_measures_and_densities_are_named_in_words():
    index = pd.MultiIndex.from_tuples([("nbs", "fc1")], names=["measure", "layer"])
    shown = tables.table(pd.DataFrame([[0.5]], index=index, columns=pd.Index([0.107], name="density")), tables.score)
    assert list(shown.index) == [("NBS", "fc1")] and [plain(name) for name in shown.columns] == ["10.7 %"]
    by_who = tables.table(pd.DataFrame([[1]], columns=pd.Index(["sibling"], name="who")), tables.count)
    assert list(by_who.columns) == ["another seed"]


def test_names_are_small_within_a_sentence_unless_they_are_proper_names_or_abbreviations():
    names = [tables.named(measure) for measure in ("linear_cka", "nbs", "procrustes_distance", "gulp", "")]
    assert names == ["linear CKA", "NBS", "Procrustes distance", "GULP", "–"]


def test_a_table_of_words_has_no_counting_index_and_names_each_cells_column():
    table = pd.DataFrame({"claim": ["a < b", "c"], "verdict": ["holds", "does not"]})
    html = tables.TextTable(table)._repr_html_()
    assert '<th scope="row">a &lt; b</th><td data-column="verdict">holds</td>' in html
    assert html.count("<th") - html.count("<thead") == 4
    named = tables.TextTable(table.set_index("claim"))._repr_html_()
    assert named == html
    assert "holds" in repr(tables.TextTable(table))
