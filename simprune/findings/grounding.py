"""Tables and sentences of the pages on tests with a known answer and of the guide."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from simprune import analysis
from simprune.analysis import known_answers as tests_with_answers
from simprune.findings.common import (
    NO_VALUE,
    counted,
    listed,
    named,
    percent,
    title,
)
from simprune.findings.disagreement import NOT_COMPUTED, _number, share_text
from simprune.measures import MEASURES

if TYPE_CHECKING:
    from simprune.results import Results

Studies = Mapping[str, "Results"]
Boards = Mapping[str, pd.DataFrame]

# What each test asks, in the order in which a reader meets them.
TEST_TITLES = {
    "monotonicity": "nearer levels are nearer",
    "trend": "distance grows with the level",
    "band_separation": "bands of density lie apart",
    "function": "distance follows the outputs",
    "function_pairs": "distance follows accuracy",
    "layer_identification": "a layer finds itself in a sibling",
    "corruption_order": "corruptions come in order",
    "sensitivity": "damage is noticed",
    "specificity": "another seed is no damage",
}
CORRECTION_WORDS = {"none": "uncorrected", "chance": "chance-corrected", "debiased": "debiased"}
# Means of canonical correlations; the eigenspace overlap divides by the larger rank, and so knows a layer by its width.
CCA_TYPE = ("mean_cca", "mean_squared_cca", "svcca", "pwcca")
SIGNIFICANT = 0.05  # an adjusted p value below this counts as above chance
AGREED = 0.7  # the orders of two tests agree from this Spearman's ρ on: about half of the variance of ranks is shared
# The best possible score of every test is 1.
BEST = 1.0


def procedure_words(row: Mapping[str, str]) -> str:
    """A procedure in words: "NBS, flatten, uncorrected"."""
    return f"{title(row['measure'])}, {row['view']}, {CORRECTION_WORDS[row['correction']]}"


# Leaderboards -----------------------------------------------------------------------------------------------


def leaderboards(tests: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The leaderboard of each test that has one, from the rows of `tests_with_answers.run_tests`."""
    return {test: tests_with_answers.leaderboard(tests[test]) for test in TEST_TITLES if test in tests}


def leaderboard_table(boards: Boards, test: str) -> pd.DataFrame:
    """One leaderboard as text: rank, procedure, score, interval, chance, adjusted p, comparisons, missing, runs."""
    if test not in boards:
        return pd.DataFrame({"": [NOT_COMPUTED]}, index=[""])
    board = boards[test]
    columns = {
        "measure": board["measure"].map(title),
        "view": board["view"],
        "correction": board["correction"].map(CORRECTION_WORDS),
        "score": board["score"].map(_number),
        "95\u00a0% interval": [
            NO_VALUE if pd.isna(row.low) else f"{_number(row.low)} to {_number(row.high)}" for row in board.itertuples()
        ],
        "chance": board["chance"].map(_number),
        "adjusted p": board["p_adjusted"].map(lambda p: NO_VALUE if pd.isna(p) else f"{p:.2g}"),
        "comparisons": board["counted"].map("{:,.0f}".format),
        "missing": board["missing"].map("{:,.0f}".format),
        "runs": board["units"].astype(str),
    }
    return pd.DataFrame(columns).set_axis(range(1, len(board) + 1))


def scoreboard(boards: Boards, view: str = "flatten") -> pd.DataFrame:
    """Measures × tests: scores of uncorrected measures in one view; NaN where a measure has none."""
    columns = {}
    for test, board in boards.items():
        chosen = board[(board["view"] == view) & (board["correction"] == "none")]
        columns[test] = chosen.set_index("measure")["score"]
    table = pd.DataFrame(columns)
    return table.loc[[name for name in MEASURES if name in table.index]]


def scoreboard_table(boards: Boards, view: str = "flatten") -> pd.DataFrame:
    """`scoreboard` as text, with the chance level of each test below."""
    if not boards:
        return pd.DataFrame({"": [NOT_COMPUTED]}, index=[""])
    table = scoreboard(boards, view).map(_number).rename(index=title)
    chance = {test: _number(boards[test]["chance"].mean()) for test in table}
    table = pd.concat([table, pd.DataFrame(chance, index=["chance"])])
    return table.rename(columns=TEST_TITLES).rename_axis(index=None, columns="measure")


def detection_summary(rows: pd.DataFrame | None, view: str = "flatten") -> pd.DataFrame | None:
    """Where each measure first detects change in the first study: measure × layer, a density, 0 for never.

    Over seeds it is the median, of two middle ones the smaller: a mean would mix densities with never.
    """
    if rows is None:
        return None
    first = rows[rows["study"] == rows["study"].iloc[0]]
    chosen = first[(first["view"] == view) & (first["correction"] == "none")]
    layers = chosen.drop_duplicates("layer_index").set_index("layer_index")["layer"].sort_index()
    table = chosen.groupby(["measure", "layer_index"])["score"].quantile(0.5, interpolation="lower").unstack()
    return table.loc[[name for name in MEASURES if name in table.index], layers.index].rename(columns=layers)


def detection_table(rows: pd.DataFrame | None, view: str = "flatten") -> pd.DataFrame:
    """`detection_summary` as text: a density, "never", or a dash where there is no score."""
    table = detection_summary(rows, view)
    if table is None:
        return pd.DataFrame({"": [NOT_COMPUTED]}, index=[""])
    text = table.map(lambda share: NO_VALUE if pd.isna(share) else "never" if share == 0 else percent(share))
    return text.rename(index=title).rename_axis(index=None, columns="measure")


def known_answers(
    tests: Mapping[str, pd.DataFrame], boards: Boards, view: str = "flatten", test: str = "trend"
) -> dict[str, str]:
    """The sentences of the page on tests with a known answer, by name; those of figures by that of their function."""
    return {
        "headline": _board_headline(boards, view),
        "scoreboard_map": _scoreboard_sentence(boards, view),
        "leaderboard_dots": _winner_sentence(boards, test),
        "layer_identification": _identification_sentence(boards),
        "detection_dots": _detection_sentence(tests.get("detection"), view),
        "function": _function_sentence(boards),
        "corruptions": " ".join(_winner_sentence(boards, test) for test in ("corruption_order", "sensitivity")),
        "specificity": _winner_sentence(boards, "specificity"),
        "missing_tests": _missing_tests(boards),
        "intervals": _units_sentence(boards),
    }


def _board_headline(boards: Boards, view: str) -> str:
    if not boards:
        return NOT_COMPUTED
    winners = {test: _measures_at_top(board, view) for test, board in boards.items()}
    winners = {test: names for test, names in winners.items() if names}
    counts = pd.Series([name for names in winners.values() for name in names]).value_counts()
    if counts.empty:
        return NOT_COMPUTED
    several = counts[counts == counts.iloc[0]].index
    names, come = listed(named(name) for name in several), "comes" if len(several) == 1 else "come"
    among = (
        f"over {counted(len(winners), 'test')}, in the view {view}, uncorrected, and among those with a score in nine "
        f"tenths of the comparisons"
    )
    if counts.iloc[0] == len(winners):
        return f"{names[0].upper()}{names[1:]} {come} first in every test: {among}."
    return (
        f"No measure wins every test: {among}, {counted(len(counts), 'measure')} share the first places, and {names} "
        f"{come} first most often, {_times(counts.iloc[0])}."
    )


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _complete(board: pd.DataFrame) -> pd.DataFrame:
    """The procedures with a score that miss at most a tenth of their comparisons."""
    return board[board["score"].notna() & (board["missing"] <= 0.1 * (board["counted"] + board["missing"]))]


def _measures_at_top(board: pd.DataFrame, view: str) -> list[str]:
    complete = _complete(board[(board["view"] == view) & (board["correction"] == "none")])
    return (
        list(complete.loc[np.isclose(complete["score"], complete["score"].max()), "measure"]) if len(complete) else []
    )


def _scoreboard_sentence(boards: Boards, view: str) -> str:
    if not boards:
        return NOT_COMPUTED
    table = scoreboard(boards, view)
    ranks = table.rank().corr(method="spearman")
    pairs = analysis.pairs_in(ranks)
    if pairs.empty:
        return "There are too few tests to compare their orders."
    least = pairs.index[0]
    agree = "agree" if pairs.iloc[0] > AGREED else "agree in part" if pairs.median() > AGREED else "do not agree"
    return (
        f"Tests {agree} on which measures are good: Spearman's ρ between the orders of two tests has a median of "
        f"{_number(pairs.median())} and is least, {_number(pairs.iloc[0])}, between “{TEST_TITLES[least[0]]}” and "
        f"“{TEST_TITLES[least[1]]}”."
    )


def _winner_sentence(boards: Boards, test: str) -> str:
    if test not in boards:
        return NOT_COMPUTED
    board = _complete(boards[test])
    if board.empty:
        return f"“{TEST_TITLES[test]}”: no procedure has scores for nine tenths of the comparisons."
    first, last = board.iloc[0], board.iloc[-1]
    text = (
        f"“{TEST_TITLES[test]}”: {procedure_words(first)} comes first with {_number(first['score'])}, "
        f"{procedure_words(last)} last with {_number(last['score'])}; chance is {_number(first['chance'])}"
    )
    beaten = board["p_adjusted"].dropna()
    if len(beaten):
        text += f", and {(beaten < SIGNIFICANT).sum()} of {len(beaten)} procedures are above it after adjustment"
    return f"{text}."


def _identification_sentence(boards: Boards) -> str:
    """Linear CKA against the measures of canonical correlation, in the first view in which all have a score."""
    if "layer_identification" not in boards:
        return NOT_COMPUTED
    board = _complete(boards["layer_identification"])
    board = board[board["correction"] == "none"]
    for view, table in board.groupby("view"):
        scores = table.set_index("measure")["score"]
        cca = scores[scores.index.intersection(CCA_TYPE)]
        if "linear_cka" not in scores or len(cca) < len(CCA_TYPE):
            continue
        order = "the order" if scores["linear_cka"] > cca.max() else "not the order"
        return (
            f"In the view {view} linear CKA identifies {share_text(scores['linear_cka'])} of the layers, measures of "
            f"canonical correlation between {share_text(cca.min())} ({named(cca.idxmin())}) and "
            f"{share_text(cca.max())} ({named(cca.idxmax())}), where chance is {share_text(table['chance'].mean())}: "
            f"{order} that Kornblith et al. found."
        )
    return (
        "There is no view in which linear CKA and all measures of canonical correlation have a score for every layer."
    )


def _detection_sentence(rows: pd.DataFrame | None, view: str) -> str:
    table = detection_summary(rows, view)
    if table is None:
        return NOT_COMPUTED
    never = (table == 0).sum().sum()
    known = table.notna().sum().sum()
    ever = table.columns[(table > 0).any()]
    found = f"; it is found in {listed(ever)} only" if 0 < len(ever) < table.shape[1] else ""
    kinds = {
        "seeds": "the range of siblings over seeds",
        "inputs": "one pair of siblings and its range over random draws of the inputs",
        "one pair": "the distance of one pair of siblings",
    }
    first = rows[(rows["study"] == rows["study"].iloc[0]) & (rows["view"] == view)]
    ranges = listed(kinds[kind] for kind in first["siblings"].unique())
    return (
        f"Held against {ranges}, {never} of the {known} pairs of measure and layer never detect that the network has "
        f"changed{found}."
    )


def _function_sentence(boards: Boards) -> str:
    parts = [_winner_sentence(boards, test) for test in ("function", "function_pairs") if test in boards]
    return " ".join(parts) if parts else NOT_COMPUTED


def _missing_tests(boards: Boards) -> str:
    absent = [f"“{words}”" for test, words in TEST_TITLES.items() if test not in boards]
    return f"Not computed for the studies at hand: {listed(absent)}." if absent else "Every test could be run."


def _units_sentence(boards: Boards) -> str:
    if not boards:
        return NOT_COMPUTED
    units = max(int(board["units"].max()) for board in boards.values())
    text = f"Scores are means over {counted(units, 'network run')}, counting each seed of each study"
    if units < tests_with_answers.FEWEST_UNITS:
        return f"{text}; with fewer than three of them, no interval can be given."
    return f"{text}; intervals are bootstrapped over them."


# The guide --------------------------------------------------------------------------------------------------


class Advice(NamedTuple):
    """A question, the tests that speak to it, where to look, and what no table can say."""

    question: str
    tests: tuple[str, ...]
    reference: str
    why: str


GUIDE = (
    Advice(
        "Which levels have changed more?",
        ("trend", "monotonicity"),
        "the dense network, and every other level",
        "it must order the levels of one run",
    ),
    Advice(
        "Which levels belong together?",
        ("band_separation",),
        "all other levels of the run",
        "it must put levels of similar density nearer to each other than to the rest",
    ),
    Advice(
        "Is this still the same layer?",
        ("layer_identification",),
        "all layers of a sibling",
        "it must find a layer again in a network that was trained from another seed",
    ),
    Advice(
        "Does the network still do the same?",
        ("function", "function_pairs"),
        "the dense network's outputs",
        "where these scores are near chance, measure the outputs themselves",
    ),
    Advice(
        "How badly is the representation damaged?",
        ("sensitivity", "corruption_order"),
        "the layer itself, corrupted in known ways",
        "it must follow what a linear probe loses, whatever the damage",
    ),
    Advice(
        "Has the layer changed more than by another seed?",
        ("specificity",),
        "siblings: dense networks of other seeds",
        "it must put damage farther away than a harmless change of seed; “never” is a legal answer",
    ),
)


def guide(boards: Boards, studies: Studies) -> pd.DataFrame:
    """Question → measure, view, correction → its score, chance, reference, sample size, why: best-supported first.

    Procedures are ordered by their mean over the tests of the question, each rescaled so that chance is 0 and the best
    1; those that miss more than a tenth of their comparisons in one of them are left out. Three rows at most for a
    question, and those only that are within a hundredth of the first. Columns also: `above_chance`, that mean.
    """
    size = _sample_size(studies)
    rows = []
    for advice in GUIDE:
        if chance := _at_chance(boards, advice.tests):
            rows.append({"question": advice.question, "compare with": advice.reference, "why": chance})
            continue
        ranked = _merit(boards, advice.tests)
        near = ranked[ranked["merit"] >= ranked["merit"].max() - 0.01].head(3) if len(ranked) else ranked
        for place, row in enumerate(near.to_dict("records")):
            rows.append(
                {
                    "question": advice.question if place == 0 else "",
                    "measure": title(row["measure"]),
                    "view": row["view"],
                    "correction": CORRECTION_WORDS[row["correction"]],
                    "score": "; ".join(_number(row[test]) for test in advice.tests if test in row),
                    "above chance": share_text(row["merit"]),
                    "compare with": advice.reference,
                    "inputs": size,
                    "why": advice.why,
                }
            )
        if near.empty:
            rows.append({"question": advice.question, "why": NOT_COMPUTED})
    return pd.DataFrame(rows).fillna(NO_VALUE)


def _at_chance(boards: Boards, tests: Sequence[str]) -> str:
    """Which tests of a question no procedure passes beyond chance, in words; empty if there is none."""
    failed = []
    for test in tests:
        adjusted = _complete(boards[test])["p_adjusted"].dropna() if test in boards else pd.Series(dtype=float)
        if len(adjusted) and not (adjusted < SIGNIFICANT).any():
            failed.append(f"“{TEST_TITLES[test]}”")
    if not failed:
        return ""
    return f"no procedure is above chance in {listed(failed)} after adjustment: measure the outputs themselves"


def guide_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `guide` with a row for each question: what to use, how far above chance the best is, and why."""
    rows = []
    for question, near in table.groupby(table["question"].replace("", None).ffill(), sort=False):
        best = near.iloc[0]
        rows.append(
            {
                "question": question,
                "use": "; ".join(f"{row.measure}, {row.view}, {row.correction}" for row in near.itertuples())
                if "measure" in near and best["measure"] != NO_VALUE
                else NO_VALUE,
                "above chance": best.get("above chance", NO_VALUE),
                "compare with": best.get("compare with", NO_VALUE),
                "why": best["why"],
            }
        )
    return pd.DataFrame(rows)


def _merit(boards: Boards, tests: Sequence[str]) -> pd.DataFrame:
    """Procedures by their mean score over tests, chance 0 and the best 1, with the scores themselves."""
    tables = []
    for test in tests:
        if test in boards:
            board = _complete(boards[test]).set_index(tests_with_answers.PROCEDURE)
            merit = (board["score"] - board["chance"]) / (BEST - board["chance"])
            tables.append(pd.DataFrame({test: board["score"], f"merit_{test}": merit}))
    if not tables:
        return pd.DataFrame(columns=[*tests_with_answers.PROCEDURE, "merit"])
    table = pd.concat(tables, axis=1)
    merits = table[[column for column in table if column.startswith("merit_")]]
    table = table[merits.notna().all(axis=1)].assign(merit=merits.mean(axis=1))
    return table.reset_index().sort_values("merit", ascending=False, kind="stable", ignore_index=True)


def _sample_sizes(studies: Studies) -> dict[str, tuple[int | None, int, int]]:
    """By study: the least number of inputs from which on half of the measures are within a hundredth of their score on
    all, None if none smaller than all is; the largest number that was tried below all; all. Only where it was tried."""
    sizes = {}
    for name, results in studies.items():
        table = analysis.convergence(results)
        if table is None:
            continue
        means = analysis.convergence_means(table).pivot(index="measure", columns="inputs", values="mean")
        near = means.sub(means.iloc[:, -1], axis=0).abs().median().iloc[:-1] <= 0.01
        lasting = near[::-1].cummin()[::-1]
        tried = [int(size) for size in near.index]
        if tried:
            least = int(lasting.idxmax()) if lasting.any() else None
            sizes[name] = least, max(tried), int(means.columns[-1])
    return sizes


def _sample_size(studies: Studies) -> str:
    """The number of inputs that was enough in every study, or that what was tried was not."""
    sizes = _sample_sizes(studies).values()
    if not sizes:
        return NO_VALUE
    if all(least is not None for least, *_ in sizes):
        return f"{max(least for least, *_ in sizes):,} or more"
    return f"more than {max(tried for least, tried, _ in sizes if least is None):,}"


def guide_points(boards: Boards) -> pd.DataFrame:
    """For each question of the guide the best procedure's `merit` (chance 0, best 1), the median's, and who is best."""
    rows = []
    for advice in GUIDE:
        ranked = _merit(boards, advice.tests)
        if len(ranked) and not _at_chance(boards, advice.tests):
            best = ranked.iloc[0]
            rows.append((advice.question, best["merit"], ranked["merit"].median(), procedure_words(best)))
    return pd.DataFrame(rows, columns=["question", "best", "median", "procedure"])


def guide_sentences(boards: Boards, studies: Studies) -> dict[str, str]:
    """The sentences of the guide, by name; that of the figure by the name of its function."""
    points = guide_points(boards)
    if points.empty:
        return dict.fromkeys(("headline", "guide_chart", "sample_size"), NOT_COMPUTED)
    names = points["procedure"].str.split(",").str[0]
    sure, weak = points.loc[points["best"].idxmax()], points.loc[points["best"].idxmin()]
    return {
        "headline": (
            f"{counted(len(points), 'question')} have {counted(names.nunique(), 'different best measure')}: "
            f"{listed(dict.fromkeys(names))}; the choice of a measure follows from the question."
            + "".join(
                f" “{advice.question}” has none: {chance}."
                for advice in GUIDE
                if (chance := _at_chance(boards, advice.tests))
            )
        ),
        "guide_chart": (
            f"“{sure['question']}” is answered best ({share_text(sure['best'])} of the way from chance, by "
            f"{sure['procedure']}), “{weak['question']}” worst ({share_text(weak['best'])}, by {weak['procedure']})."
        ),
        "sample_size": _size_sentence(studies),
    }


def _size_sentence(studies: Studies) -> str:
    sizes = _sample_sizes(studies)
    if not sizes:
        return NOT_COMPUTED
    enough = [f"from {least:,} inputs on ({name})" for name, (least, *_) in sizes.items() if least is not None]
    short = [f"not yet with {tried:,} ({name})" for name, (least, tried, _) in sizes.items() if least is None]
    text = f"Half of the measures are within a hundredth of their score on all inputs {listed(enough + short)}."
    if short:
        text += " No number between that and all was tried, and all may be too few."
    return text
