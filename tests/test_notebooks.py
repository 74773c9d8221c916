"""The notebooks as they are committed: templates with parameters, without outputs."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import synthetic
from rich.console import Console

from simprune import findings, plots, publishing
from simprune.experiment import Experiment
from simprune.measures import MEASURES
from simprune.store import SHIPPED, Store

CHECKOUT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
GLUED = re.compile(r"\{glue:text\}`([^`]+)`")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def parameters(path):
    """What the cell of parameters sets."""
    [cell] = tagged(nbformat.read(path, as_version=4), "parameters")
    return {s.targets[0].id: ast.literal_eval(s.value) for s in ast.parse(cell.source).body}


def is_study(path):
    """Whether a notebook is the page of one study, named after its architecture and dataset."""
    given = parameters(path)
    return path.stem == f"{given.get('architecture')}_{given.get('dataset')}"


STUDIES = [path for path in NOTEBOOKS if is_study(path)]


def experiment_of(path, **changes):
    """The experiment that a page reads if its parameters are left as they are."""
    given = parameters(path)
    fields = ("architecture", "dataset", "profile", "rate", "levels", "retraining", "measures")
    return Experiment(**{field: given[field] for field in fields if field in given}).replace(**changes)


def shipped(experiment):
    """Whether results of an experiment come with the project."""
    return bool(findings.stored_seeds(experiment, store=SHIPPED))


def ready(path):
    """Whether a page has the results that it needs; one that needs none is always ready."""
    if is_study(path):
        return shipped(experiment_of(path))
    if path.stem == "retraining":
        runs = {name: shipped(experiment_of(path, **changes)) for name, (_, changes) in findings.VARIANTS.items()}
        return runs.pop("lr_rewind") and any(runs.values())
    if path.stem == "all_studies":
        return sum(map(ready, STUDIES)) > 1
    return True


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_page_of_the_book_if_and_only_if_its_results_are_there(path):
    page = f"book/executed/{path.stem}"
    if ready(path):
        assert path in publishing.notebooks(CHECKOUT), f"{page} has its results: add it to _toc.yml"
    else:
        assert path not in publishing.notebooks(CHECKOUT), (
            f"{page} is in _toc.yml but not in book/results is what it reads; put it there or take the page out"
        )


def draws(cell):
    """Whether a cell shows a figure."""
    hidden = "remove-cell" in cell.metadata.get("tags", [])
    return "plots." in cell.source and "import" not in cell.source and not hidden


def test_every_page_that_is_generated_has_a_notebook():
    assert set(publishing.notebooks(CHECKOUT)) <= set(NOTEBOOKS)


def test_all_results_that_are_shipped_are_read_by_a_page():
    read = {experiment_of(path).name for path in STUDIES}
    page = CHECKOUT / "notebooks" / "retraining.ipynb"
    for dataset in (parameters(page)["dataset"], parameters(page)["other_dataset"]):
        read |= {experiment_of(page, dataset=dataset, **changes).name for _, changes in findings.VARIANTS.values()}
    assert {experiment.name for experiment, _ in Store(SHIPPED, shipped=None).stored()} <= read


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
    drawn = [cell for cell in code_cells(notebook) if draws(cell)]
    assert drawn
    for cell in drawn:
        function = re.search(r"plots\.(\w+)\(", cell.source).group(1)
        figure = cell.metadata.mystnb.figure
        assert f"{{glue:text}}`{function}`" in figure.caption
        assert len(cell.metadata.mystnb.image.alt) > 80
    names = [cell.metadata.mystnb.figure.name for cell in drawn]
    assert len(set(names)) == len(names)


def figures(path):
    return re.findall(r"plots\.(\w+)\(", "\n".join(cell.source for cell in code_cells(nbformat.read(path, 4))))


def test_pages_of_studies_have_the_same_code_but_for_the_values_of_their_parameters():
    assert len(STUDIES) > 1
    sources = {}
    for path in STUDIES:
        notebook = nbformat.read(path, as_version=4)
        code = [cell.source for cell in code_cells(notebook) if "parameters" not in cell.metadata.get("tags", [])]
        sources[path.stem] = [*parameters(path), *code]
    first = next(iter(sources.values()))
    for stem, source in sources.items():
        assert source == first, stem


def test_pages_of_studies_differ_in_nothing_but_their_introduction_and_the_names_of_their_figures():
    pages = {}
    for path in STUDIES:
        cells = nbformat.read(path, as_version=4).cells
        slug = path.stem.replace("_", "-")
        shown = [dict(cell.metadata) for cell in cells[1:]]
        pages[path.stem] = (
            str(shown).replace(f"'{slug}-", "'"),
            [c.source for c in cells[1:] if c.cell_type == "markdown"],
        )
    first = next(iter(pages.values()))
    for stem, page in pages.items():
        assert page == first, stem
    introductions = [nbformat.read(path, as_version=4).cells[0].source for path in STUDIES]
    assert len(set(introductions)) == len(STUDIES)


def test_the_quickstart_has_the_first_figures_of_a_studys_page_in_the_same_order():
    quickstart = figures(CHECKOUT / "notebooks" / "quickstart.ipynb")
    assert figures(STUDIES[0])[: len(quickstart)] == quickstart
    assert all(callable(getattr(plots, name)) for name in figures(STUDIES[0]))


def test_each_figure_is_followed_by_its_numbers(notebook):
    for cell, following in pairwise(code_cells(notebook)):
        if "plots.similarity_by_density" in cell.source:
            continue  # the same scores as in the heatmaps before it
        if draws(cell):
            assert "hide-cell" in following.metadata.tags
            assert callable(getattr(findings, re.search(r"findings\.(\w+)\(", following.source).group(1)))


@pytest.fixture(scope="module")
def computed_texts():
    """The names of all sentences and numbers that `findings` computes from results."""
    results = synthetic.results(seeds=(0,), levels=2)
    with_controls = synthetic.with_controls(synthetic.results(seeds=(0,), levels=2))
    return {
        *findings.sentences(results),
        *findings.facts(results),
        *findings.study_sentences(with_controls, with_controls),
        *findings.retraining_sentences({"lr_rewind": results}, {}),
        *findings.all_sentences({"a study": results}),
    }


def test_the_text_names_only_numbers_that_are_computed(notebook, computed_texts):
    known = computed_texts | named_in_hidden_cells(notebook)
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


def test_a_studys_page_run_with_another_seed_has_the_same_figures_for_that_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMPRUNE_STORE", str(tmp_path / "store"))
    path = CHECKOUT / "notebooks" / "lenet5_fashion_mnist.ipynb"
    small = {"dataset": "fashion_mnist_mini", "profile": "quick", "levels": 1, "rate": 0.5, "density": 0.5}
    [page] = publishing.execute([path], tmp_path / "out", small | {"seeds": [3]}, console=Console(quiet=True))
    executed = nbformat.read(page, as_version=4)
    names = [cell.metadata.mystnb.figure.name for cell in code_cells(executed) if "figure" in _display(cell)]
    assert sorted(file.stem for file in (tmp_path / "out" / "figures").iterdir()) == sorted(names)
    assert len(names) == len(figures(path))
    [box] = [cell for cell in code_cells(executed) if "findings.sources" in cell.source]
    assert "--seeds 3 " in box.outputs[0].data["text/markdown"]
    stored = Store(tmp_path / "store", shipped=None).stored()
    assert [experiment.seeds for experiment, _ in stored] == [(3,)]
