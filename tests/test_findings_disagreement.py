"""Tables and sentences on disagreement say what the tables hold, and what is not there."""

import numpy as np
import pandas as pd
import planted
import pytest

from simprune import Experiment, findings
from simprune.analysis import known_answers
from simprune.errors import InputError
from simprune.findings import grounding as claims_of
from simprune.store import SHIPPED, Store

NAME = "LeNet-5 on Fashion-MNIST"
SHIPPED_STUDY = ["lenet5", "fashion_mnist", "paper"]


@pytest.fixture(scope="module")
def studies():
    return {NAME: planted.everything(seeds=(0, 1, 2)), "VGG on CIFAR-10": planted.everything()}


@pytest.fixture(scope="module")
def bare():
    results = planted.everything()
    results.diagnostics.clear()
    return {NAME: results}


@pytest.fixture(scope="module")
def tests(studies):
    return known_answers.run_tests(studies)


@pytest.fixture(scope="module")
def boards(tests):
    return findings.leaderboards(tests)


def every_sentence(studies):
    tests = known_answers.run_tests(studies)
    boards = findings.leaderboards(tests)
    return {
        **{f"known {name}": text for name, text in findings.known_answers(tests, boards).items()},
        **{f"guide {name}": text for name, text in findings.guide_sentences(boards, studies).items()},
    }


# Studies ------------------------------------------------------------------------------------------------------------


def test_shipped_studies_are_loaded_by_name_and_others_left_out(tmp_path):
    found = findings.load_studies([SHIPPED_STUDY, ["resnet18", "svhn", "quick"]], tmp_path)
    assert list(found) == [NAME]
    text = findings.studies_sentence(found, [SHIPPED_STUDY, ["resnet18", "svhn", "quick"]])
    assert "one study" in text and "Not stored, and left out: ResNet-18 on SVHN" in text


def test_asking_for_nothing_that_is_stored_is_refused(tmp_path):
    with pytest.raises(InputError, match="studies"):
        findings.load_studies([["resnet18", "svhn", "quick"]], tmp_path)


def test_seeds_can_be_chosen(tmp_path):
    [results] = findings.load_studies([[*SHIPPED_STUDY, 0]], tmp_path).values()
    assert results.experiment.seeds == (0,)
    assert set(results.similarity["seed"]) == {0}


def test_the_pages_analyse_what_is_shipped(tmp_path):
    wanted = [[e.architecture, e.dataset, e.profile] for e, _ in Store(tmp_path, SHIPPED).stored()]
    studies = findings.load_studies([w for w in wanted if Experiment(*w[:2], profile=w[2])], tmp_path)
    assert NAME in studies
    one = {NAME: studies[NAME]}
    assert not [name for name, text in every_sentence(one).items() if "nan" in text]


# Sentences ----------------------------------------------------------------------------------------------------------


def test_no_sentence_holds_a_number_that_is_not_there(studies, bare):
    for chosen in (studies, bare):
        for name, text in every_sentence(chosen).items():
            assert "nan" not in text.replace("–", "") and text[-1] == "." and text[0] == text[0].upper(), (name, text)


def test_studies_of_which_some_seeds_have_no_diagnostics_are_told(studies):
    results = planted.everything()
    results.experiment.seeds = (0, 1, 2)
    said = findings.studies_sentence({"A on B": results})
    assert said.endswith("Tables beyond the scores were computed for one seed only of A on B.")


def test_text_tables_hold_no_nan(studies, boards, tests):
    tables = [
        findings.scoreboard_table(boards),
        findings.detection_table(tests["detection"]),
        findings.guide(boards, studies),
        *(findings.leaderboard_table(boards, test) for test in findings.TEST_TITLES),
        findings.leaderboard_table({}, "trend"),
        findings.scoreboard_table({}),
        findings.detection_table(None),
    ]
    for table in tables:
        assert len(table) and table.notna().all(axis=None)
        assert not table.astype(str).map(lambda cell: cell == "nan").any(axis=None)


# Leaderboards, guide ------------------------------------------------------------------------------------------------


def test_a_leaderboard_counts_what_is_missing(boards):
    table = findings.leaderboard_table(boards, "trend")
    forced = table[(table["measure"] == "Mean CCA") & (table["view"] == "flatten")]
    assert (forced["missing"] != "0").all()
    assert (table.loc[table["measure"] == "NBS", "missing"] == "0").all()


def test_layer_identification_reports_the_published_order(tests, boards):
    text = findings.known_answers(tests, boards)["layer_identification"].replace("\u00a0", " ")
    assert "no view in which linear CKA and all measures of canonical correlation have a score" in text
    measures = ("mean_cca", "mean_squared_cca", "svcca", "pwcca", "linear_cka")
    studies = {NAME: planted.everything(measures=measures)}
    pairs = studies[NAME].diagnostics["layer_pairs"]
    other = pairs["measure"].isin(measures[1:4]) & (pairs["index_x"] == 0)
    pairs.loc[other, "value"] = pairs.loc[other, "index_y"] / 10  # the first layer is taken for the last
    tests = known_answers.run_tests(studies)
    text = findings.known_answers(tests, findings.leaderboards(tests))["layer_identification"].replace("\u00a0", " ")
    # mean CCA takes every layer for the first, the others one for another.
    assert "linear CKA identifies 100 % of the layers" in text
    assert "between 33 % (mean CCA) and 67 %" in text and ": the order" in text


def board_of(**scores):
    """A leaderboard of uncorrected measures in the view flatten."""
    rows = [
        {"measure": name, "view": "flatten", "correction": "none", "score": score} for name, score in scores.items()
    ]
    return pd.DataFrame(rows).assign(counted=10, missing=0, chance=0.5, p_adjusted=np.nan, units=1)


def test_the_headline_says_what_the_leaderboards_hold():
    one, other = board_of(nbs=0.9, svcca=0.8, gulp=0.7), board_of(nbs=0.7, svcca=0.9, gulp=0.8)
    text = findings.known_answers({}, {"trend": one, "monotonicity": other})["headline"]
    assert text.startswith("No measure wins every test: over 2 tests") and "come first most often, once" in text
    text = findings.known_answers({}, {"trend": one, "monotonicity": one})["headline"]
    assert text.startswith("NBS comes first in every test: over 2 tests")
    none = one.assign(score=np.nan)
    assert findings.known_answers({}, {"trend": none})["headline"] == findings.NOT_COMPUTED


def test_tests_whose_orders_are_alike_are_said_to_agree():
    one, other = board_of(nbs=0.9, svcca=0.8, gulp=0.7), board_of(nbs=0.7, svcca=0.9, gulp=0.8)
    assert findings.known_answers({}, {"trend": one, "monotonicity": other})["scoreboard_map"].startswith(
        "Tests do not agree"
    )
    assert findings.known_answers({}, {"trend": one, "monotonicity": one})["scoreboard_map"].startswith(
        "Tests agree on"
    )


def test_the_guide_answers_each_question_with_the_best_of_its_tests(boards, studies):
    table = findings.guide(boards, studies)
    asked = [advice.question for advice in claims_of.GUIDE]
    assert [question for question in table["question"] if question] == asked
    same = table[table["question"] == "Is this still the same layer?"].iloc[0]
    assert same["measure"] != "Mean CCA" and same["above chance"] == "100\u00a0%"


def test_the_guide_in_words_has_a_row_for_each_question_with_all_its_procedures(boards, studies):
    table = findings.guide(boards, studies)
    words = findings.guide_in_words(table)
    assert list(words["question"]) == [advice.question for advice in claims_of.GUIDE]
    assert sum(use.count(";") + 1 for use in words["use"]) == len(table)
    first = table.iloc[0]
    assert words["use"][0].startswith(f"{first['measure']}, {first['view']}, {first['correction']}")
    assert words["above chance"][0] == first["above chance"]


def test_a_question_without_tests_says_so(studies):
    table = findings.guide({}, studies)
    assert (table["why"] == findings.NOT_COMPUTED).all()
    words = findings.guide_in_words(table)
    assert set(words["use"]) == {findings.NO_VALUE} and set(words["why"]) == {findings.NOT_COMPUTED}
    assert findings.guide_sentences({}, studies)["headline"] == findings.NOT_COMPUTED


def test_procedures_that_miss_comparisons_are_no_advice(studies):
    rows = known_answers.run_tests(studies, ["trend"])
    rows["trend"].loc[rows["trend"]["measure"] == "nbs", "missing"] = 1000
    assert "NBS" not in set(findings.guide(findings.leaderboards(rows), studies)["measure"])


def test_a_question_that_no_procedure_answers_beyond_chance_gets_no_measure(boards, studies):
    boards = {test: board.copy() for test, board in boards.items()}
    boards["layer_identification"]["p_adjusted"] = 0.2
    question = "Is this still the same layer?"
    [row] = findings.guide(boards, studies).query("question == @question").to_dict("records")
    assert row["measure"] == findings.NO_VALUE and "no procedure is above chance in “a layer finds itself" in row["why"]
    words = findings.guide_in_words(findings.guide(boards, studies)).set_index("question")
    assert words.loc[question, "use"] == findings.NO_VALUE
    assert f"“{question}” has none" in findings.guide_sentences(boards, studies)["headline"]
    assert question not in set(findings.guide_points(boards)["question"])


def test_all_inputs_are_no_proof_that_all_are_enough(studies):
    said = findings.guide_sentences(findings.leaderboards(known_answers.run_tests(studies)), studies)["sample_size"]
    sizes = claims_of._sample_sizes(studies)
    assert all(least is None or least < all_ for least, _, all_ in sizes.values())
    drifting = planted.everything()
    samples = drifting.diagnostics["samples"]
    samples["value"] += 0.1
    assert claims_of._sample_size({"drifting": drifting}) == "more than 500"
    assert "all may be too few" in claims_of._size_sentence({"drifting": drifting})
    assert claims_of._sample_size({**studies, "drifting": drifting}) == "more than 500"
    assert said.startswith("Half of the measures are within a hundredth")


def test_a_layer_that_has_no_score_with_few_inputs_does_not_put_off_the_number_that_is_enough():
    steady = planted.everything()
    samples = steady.diagnostics["samples"]
    whole = steady.similarity[steady.similarity["reference"] == "dense"]
    keys = ["seed", "level", "layer_index", "view", "measure"]
    same = samples[keys].merge(whole[[*keys, "value"]], on=keys, how="left")["value"]
    samples["value"] = same.to_numpy()
    samples.loc[(samples["layer_index"] == 0) & (samples["inputs"] == samples["inputs"].min()), "status"] = "undefined"
    least, *_ = claims_of._sample_sizes({"steady": steady})["steady"]
    assert least == samples["inputs"].min()
