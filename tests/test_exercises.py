"""The exercises: the solutions pass their checks, and typical wrong answers are told what may be wrong with them."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

from simprune import teaching

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE = nbformat.read(CHECKOUT / "notebooks" / "exercises.ipynb", as_version=4)
SMALL = "small = {'levels': 1, 'rate': 0.5, 'epochs': 1, 'train_size': 300, 'probe_size': 60}\n"

# By exercise: what a student may write, and a part of the hint.
WRONG = {
    "by-hand": {
        "cka = ...": "There is no answer yet",
        "cka = 26": "That is the numerator",
        "cka = 26 / (76 * 40)": "Take the roots",
        "cka = np.linalg.norm(X * Y) ** 2 / np.sqrt(76 * 40)": "entry by entry",
        "cka = 26 / (10 * 8)": "not those of X and Y",
        "cka = 0.5": "Write down YᵀX first",
        "cka = np.ones(3)": "should have the shape ()",
    },
    "function": {
        "return np.linalg.norm(Y.T @ X)**2 / np.linalg.norm(X.T @ X) / np.linalg.norm(Y.T @ Y)": "Did you centre",
        "X = X - X.mean(0); Y = Y - Y.mean(0)\n    return np.linalg.norm(Y.T @ X) / (np.linalg.norm(X.T @ X) * "
        "np.linalg.norm(Y.T @ Y)) ** 0.5": "Square the numerator",
        "X = X - X.mean(1, keepdims=True); Y = Y - Y.mean(1, keepdims=True)\n    return np.linalg.norm(Y.T @ X) ** 2 / "
        "(np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y))": "centred the rows",
        "return 1.0": "it must give your number",
        "return": "There is no answer yet",
    },
    "levels": {
        "return int(log(goal) / log(1 - rate))": "round up",
        "return ceil((1 - goal) / rate)": "not of all weights",
        "return ceil(log(goal) / log(rate))": "is 1 − rate",
    },
    "predict": {
        "stays = dict.fromkeys(changes, FIVE)": "one unit ×10: Linear CKA falls to",
        "stays = dict.fromkeys(changes, [])": "all five are blind to it",
        "stays = {'permuted': FIVE}": "Name all four changes",
        "stays = dict.fromkeys(changes, ['cka'])": "none of the five ids",
    },
    "fool": {
        "lenient = strict = ...": "give a pair of arrays",
        "lenient = strict = 1, 2": "arrays of two dimensions",
        "lenient = strict = np.ones((3, 2)), np.ones((3, 2))": "need 200 rows",
        "lenient = strict = tuple(np.random.default_rng(0).normal(size=(2, 200, 150)))": "fewer than 100",
        "lenient = strict = tuple(np.random.default_rng(0).normal(size=(2, 200, 5)))": "span the same columns",
        "lenient = strict = (np.random.default_rng(0).normal(size=(200, 5)),) * 2": "keep the span, change strengths",
    },
    "nothing": {
        "X = np.random.default_rng(0).normal(size=(inputs, units))\n    return simprune.compare(X, X, [measure])"
        "['value'].item()\n\nfrom_width = 100": "a draw with itself",
        "X, Y = np.random.default_rng(0).normal(size=(2, units, inputs))\n    return simprune.compare(X, Y, [measure])"
        "['value'].item()\n\nfrom_width = 100": "Rows are inputs",
        "return 0.0\n\nfrom_width = 100": "of nothing with 50 units is about",
        "return": "There is no answer yet",
        # A table of one is a number too, and the dots stand where they stood.
        "X, Y = np.random.default_rng(0).normal(size=(2, inputs, units))\n    return simprune.compare(X, Y, [measure])"
        "['value']": "`from_width` should be one of",
    },
    "finding": {
        "twin_farther = {'pool2': 3}": "Count in each of the layers",
        "twin_farther = (twin['value'] < pruned['value']).groupby('layer').sum()": "leave out scores whose status",
        "both = (twin['status'] == 'ok') & (pruned['status'] == 'ok')\n"
        "twin_farther = ((twin['value'] < pruned['value']) & both).groupby('layer').sum()": "greater similarity nearer",
        "twin_farther = dict.fromkeys(layers, 7)": "Begin with one layer",
    },
    "floor": {
        "corrected = raw - nulls": "no longer 1",
        "corrected = raw / nulls": "That is a ratio",
        "corrected = raw": "must become 0",
        "corrected = (raw - nulls) / (1 - nulls)\nchanged_most = dict.fromkeys(['raw', 'corrected'], "
        "raw.iloc[-1].idxmax())": "changed least",
        "corrected = (raw - nulls) / (1 - nulls)\nchanged_most = dict.fromkeys(['raw', 'corrected'], "
        "raw.iloc[-1].idxmin())": "corrected: take the lowest score",
        "corrected = (raw - nulls) / (1 - nulls)\nchanged_most = {'raw': '', 'corrected': ''}": "of the last level",
    },
    "design": {
        "return X": "one number",
        "return": "There is no answer yet",
        "return 0.5": "it must say 1",
        "return 1.0": "does not see noise",
        "return np.corrcoef(X.ravel(), Y.ravel())[0, 1]": "sees a permutation",
        "return 1.0 if np.allclose(np.sort(X), np.sort(Y)) else 1 + np.abs(X - Y).mean()": "rises at rung 1",
    },
    "control": {
        "last = pd.DataFrame({'pruned': pd.Series(0.5, layers)})": "needs the columns",
        "last = pd.DataFrame({name: pd.Series(0.5, layers[:2]) for name in ('pruned', 'twin', 'held')})": "is missing",
        "last = pd.DataFrame({name: pd.Series(0.5, layers) for name in ('pruned', 'twin', 'held')})": "two runs?",
        "last = pd.DataFrame({name: pd.Series(1.0, layers) for name in ('pruned', 'twin', 'held')})": "level 0",
        "last = pd.DataFrame({name: pd.Series(3.0, layers) for name in ('pruned', 'twin', 'held')})": "no similarities",
    },
}

# By exercise: other answers than the solution that are right.
RIGHT = {"by-hand": ["cka = 0.47"]}


def name(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def with_answer(cell, answer):
    """A cell with something else in the place of its solutions: all of it in the first place, nothing in the others."""
    pieces = re.split(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION\n?", cell.source, flags=re.MULTILINE | re.DOTALL)
    head, indent, *rest = pieces
    return head + indent + answer + "\n" + "".join(rest[::2])


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """What the notebook knows after its last cell, all checks passed, and what wrong answers were told on the way."""
    told, known = {}, {"display": lambda *things: None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMPRUNE_STORE", str(tmp_path_factory.mktemp("store")))
        before = dict(known)
        for cell in (cell for cell in SOURCE.cells if cell.cell_type == "code"):
            if cell.metadata.get("nbgrader", {}).get("solution"):
                before, asked = dict(known), cell
            elif name(cell):
                for answer in [*WRONG[name(asked)], *RIGHT.get(name(asked), [])]:
                    tried = dict(before)
                    exec(with_answer(asked, answer), tried)
                    try:
                        exec(cell.source, tried)
                    except known["NotYet"] as hint:
                        told[name(asked), answer] = str(hint)
                        [line] = hint._render_traceback_()
                        assert line == f"✗ {hint}"
            exec(cell.source + ("\n" + SMALL if "parameters" in cell.metadata.get("tags", []) else ""), known)
            plt.close("all")
    return known, told


def test_the_solutions_pass_their_checks(worked):
    known, _ = worked
    assert known["last"].shape == (7, 3)


def test_other_right_answers_pass_too(worked):
    _, told = worked
    assert not told.keys() & {(exercise, answer) for exercise, answers in RIGHT.items() for answer in answers}


@pytest.mark.parametrize("exercise, answer", [(exercise, answer) for exercise in WRONG for answer in WRONG[exercise]])
def test_a_typical_wrong_answer_is_told_what_may_be_wrong(worked, exercise, answer):
    _, told = worked
    assert WRONG[exercise][answer] in told.get((exercise, answer), "passed the check")


def test_every_exercise_has_a_check_and_wrong_answers():
    solutions = [name(cell) for cell in SOURCE.cells if cell.cell_type == "code" and "### BEGIN" in cell.source]
    checks = [name(cell) for cell in SOURCE.cells if (name(cell) or "").startswith("check-")]
    assert checks == [f"check-{exercise}" for exercise in solutions] and set(WRONG) == set(solutions)
    titles = re.findall(r"^### (\d+)\. ", "\n".join(cell.source for cell in SOURCE.cells), re.MULTILINE)
    assert len(titles) == len(solutions)


def test_the_students_version_has_the_tasks_and_no_solution():
    student = teaching.student(SOURCE)
    nbformat.validate(student)
    text = "\n".join(cell.source for cell in student.cells)
    assert "SOLUTION" not in text and "details" not in text
    assert text.count("# YOUR CODE HERE") == text.count("raise NotImplementedError()") > 8
    assert "*Your answer here.*" in text
    assert "26 / np.sqrt(76 * 40)\n" not in text.split("Check of your answer")[0]
    assert "from_width = ..." in text
    given = [cell.source for cell in SOURCE.cells if "SOLUTION" not in cell.source and "](" not in cell.source]
    assert [cell.source for cell in student.cells if cell.source in given] == given
    assert SOURCE.cells[-1].source.startswith("### BEGIN")  # the source is left as it was


def test_links_to_pages_which_a_class_has_not_are_words_in_the_students_version():
    text = "See [the cloud](cloud.ipynb#here), [Extend](../book/extend.md), [it](https://a.org/x.md) and ![](a.png)."
    mark = nbformat.v4.new_code_cell("### BEGIN SOLUTION\n1\n### END SOLUTION")
    made = teaching.student(nbformat.v4.new_notebook(cells=[mark, nbformat.v4.new_markdown_cell(text)]))
    pages = "*the cloud* (a page of the book), *Extend* (a page of the book)"
    assert made.cells[1].source == f"See {pages}, [it](https://a.org/x.md) and ![](a.png)."
    assert not re.search(r"\]\((?!https?:)", "\n".join(cell.source for cell in teaching.student(SOURCE).cells))


def test_the_solved_version_shows_no_marks():
    solved = "\n".join(teaching.without_marks(cell.source) for cell in SOURCE.cells)
    assert "SOLUTION" not in solved and "cka = 26 / np.sqrt(76 * 40)" in solved


def test_a_mark_without_its_end_is_refused():
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("### BEGIN SOLUTION\n1")])
    with pytest.raises(ValueError, match="END SOLUTION"):
        teaching.student(broken)
