"""The notebooks as they are committed: templates with parameters, without outputs."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import synthetic

from simprune import findings, plots, publishing
from simprune.measures import MEASURES

CHECKOUT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
# The pages on what a study found; the others compute on toys.
RESULTS_PAGES = [path for path in NOTEBOOKS if "simprune.run(" in path.read_text(encoding="utf-8")]
GLUED = re.compile(r"\{glue:text\}`([^`]+)`")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def test_every_page_made_from_a_notebook_has_one_and_every_notebook_is_a_page():
    assert sorted(publishing.notebooks(CHECKOUT)) == NOTEBOOKS


def test_a_notebook_is_valid_and_has_no_outputs(notebook):
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert cell.outputs == [] and cell.execution_count is None
    assert "papermill" not in notebook.metadata


def test_a_notebook_has_one_cell_of_parameters_which_only_sets_plain_values(notebook):
    [cell] = tagged(notebook, "parameters")
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)


def test_a_notebook_asks_for_the_kernel_that_every_installation_has(notebook):
    assert notebook.metadata.kernelspec.name == "python3"


def test_every_figure_has_a_name_a_caption_with_its_conclusion_and_a_description(notebook):
    drawn = [cell for cell in code_cells(notebook) if "plots." in cell.source and "import" not in cell.source]
    assert drawn
    for cell in drawn:
        function = re.search(r"plots\.(\w+)\(", cell.source).group(1)
        figure = cell.metadata.mystnb.figure
        assert f"{{glue:text}}`{function}`" in figure.caption
        assert len(cell.metadata.mystnb.image.alt) > 80
    names = [cell.metadata.mystnb.figure.name for cell in drawn]
    assert len(set(names)) == len(names)


def test_results_pages_have_the_same_figures_in_the_same_order():
    orders = {
        path.stem: re.findall(r"plots\.(\w+)\(", "\n".join(c.source for c in code_cells(nbformat.read(path, 4))))
        for path in RESULTS_PAGES
    }
    assert len({tuple(order) for order in orders.values()}) == 1, orders
    assert all(callable(getattr(plots, name)) for name in orders["quickstart"])


def test_each_figure_is_followed_by_its_numbers(notebook):
    for cell, following in pairwise(code_cells(notebook)):
        if "plots.similarity_by_density" in cell.source:
            continue  # the same scores as in the heatmaps before it
        if "plots." in cell.source and "import" not in cell.source:
            assert "hide-cell" in following.metadata.tags
            assert callable(getattr(findings, re.search(r"findings\.(\w+)\(", following.source).group(1)))


def test_the_text_names_only_numbers_that_are_computed(notebook):
    results = synthetic.results()
    known = set(findings.sentences(results) | findings.facts(results)) | named_in_hidden_cells(notebook)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    texts += [cell.metadata.mystnb.figure.caption for cell in code_cells(notebook) if "figure" in _display(cell)]
    assert set(GLUED.findall("\n".join(texts))) <= known
    for text in texts:
        # No share and no decimal fraction stands in the text as such.
        assert not re.search(r"\d\s*%|\d\.\d", GLUED.sub("", text)), text


def named_in_hidden_cells(notebook):
    """The strings in cells that no reader sees, where pages that compute on toys name what they glue."""
    nodes = [node for cell in tagged(notebook, "remove-cell") for node in ast.walk(ast.parse(cell.source))]
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    # A page on all measures names a text for each of them by its id.
    return strings | set(MEASURES)


def _display(cell):
    return cell.metadata.get("mystnb", {})
