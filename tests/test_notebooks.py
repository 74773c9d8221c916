"""The notebooks as they are committed: templates with parameters, without outputs."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from rich.console import Console

from simprune import book, findings, plots
from simprune.experiment import Experiment
from simprune.store import SHIPPED, Store

CHECKOUT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))


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
        assert path in book.notebooks(CHECKOUT), f"{page} has its results: add it to _toc.yml"
    else:
        assert path not in book.notebooks(CHECKOUT), (
            f"{page} is in _toc.yml but not in book/results is what it reads; put it there or take the page out"
        )


RETRAINING = CHECKOUT / "notebooks" / "retraining.ipynb"


@pytest.mark.parametrize("path", [path for path in [*STUDIES, RETRAINING] if ready(path)], ids=lambda path: path.stem)
def test_a_page_of_shipped_results_computes_nothing_unless_it_is_asked_to(path, tmp_path, monkeypatch):
    def refuse(experiment, **options):
        raise RuntimeError("computed")

    monkeypatch.setattr("simprune.study.run", refuse)
    # Other data than the results were made from are at hand.
    monkeypatch.setattr("simprune.data.load", lambda *_, **__: SimpleNamespace(fingerprint="other"))
    first, second = code_cells(nbformat.read(path, as_version=4))[:2]
    exec(f"{first.source}\nstore = {str(tmp_path)!r}\n{second.source}", {})
    with pytest.raises(RuntimeError, match="computed"):
        exec(f"{first.source}\nstore = {str(tmp_path)!r}\ncompute = True\n{second.source}", {})


def draws(cell):
    """Whether a cell shows a figure."""
    hidden = "remove-cell" in cell.metadata.get("tags", [])
    return "plots." in cell.source and "import" not in cell.source and not hidden


def test_every_page_that_is_generated_has_a_notebook():
    assert set(book.notebooks(CHECKOUT)) <= set(NOTEBOOKS)


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


def test_every_figure_has_a_caption_and_a_description(notebook):
    for cell in filter(draws, code_cells(notebook)):
        assert len(cell.metadata.mystnb.figure.caption) > 20, cell.source
        assert len(cell.metadata.mystnb.image.alt) > 80, cell.source


def figures(path):
    return re.findall(r"plots\.(\w+)\(", "\n".join(cell.source for cell in code_cells(nbformat.read(path, 4))))


def own(cell):
    """Whether a cell of a study's page is its author's own: the opening, and those that the template marks."""
    return "author" in cell.metadata.get("tags", [])


def test_pages_of_studies_differ_in_nothing_but_their_authors_cells_and_the_values_of_their_parameters():
    pages = {}
    for path in STUDIES:
        title, *cells = nbformat.read(path, as_version=4).cells
        slug = path.stem.replace("_", "-")
        shown = [(c.metadata, c.source if "parameters" not in c.metadata.get("tags", []) else "") for c in cells]
        body = str([what for cell, what in zip(cells, shown, strict=True) if not own(cell)])
        pages[path.stem] = [*parameters(path), body.replace(f"'{slug}-", "'")]
        assert len(title.source.split()) > 10, path.stem
    first = next(iter(pages.values()))
    for stem, page in pages.items():
        assert page == first, stem


def test_every_figure_is_drawn_by_a_function_of_plots_and_its_numbers_are_one_click_away(notebook):
    """A table that is folded follows before the next section."""
    sections = [[]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search("^## ", cell.source, re.MULTILINE):
            sections.append([])
        sections[-1].append(cell)
    for cells in sections:
        drawn = [place for place, cell in enumerate(cells) if cell.cell_type == "code" and draws(cell)]
        folded = [place for place, cell in enumerate(cells) if "hide-cell" in cell.metadata.get("tags", [])]
        for place in drawn:
            assert all(callable(getattr(plots, name)) for name in re.findall(r"plots\.(\w+)\(", cells[place].source))
        assert not drawn or any(place > drawn[0] for place in folded), cells[drawn[0]].source


def test_no_share_and_no_decimal_fraction_is_typed_into_the_text(notebook):
    """Whoever runs the notebook with other parameters would read the old ones."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"`[^`]*`|\$[^$]*\$", "", cell.source)
            assert not re.search(r"\d\s*%|\d\.\d", text), text


def _display(cell):
    return cell.metadata.get("mystnb", {})


def test_a_studys_page_run_with_another_seed_has_the_same_figures_for_that_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMPRUNE_STORE", str(tmp_path / "store"))
    path = CHECKOUT / "notebooks" / "lenet5_fashion_mnist.ipynb"
    small = {"dataset": "fashion_mnist_mini", "profile": "quick", "levels": 1, "rate": 0.5, "density": 0.5}
    [page] = book.execute(
        [path], tmp_path / "out", small | {"seeds": [3], "compute": True}, console=Console(quiet=True)
    )
    executed = nbformat.read(page, as_version=4)
    names = [cell.metadata.mystnb.figure.name for cell in code_cells(executed) if "figure" in _display(cell)]
    assert sorted(file.stem for file in (tmp_path / "out" / "figures").iterdir()) == sorted(names)
    assert len(names) == len(figures(path))
    assert "--seeds 3 " in str([cell.outputs for cell in code_cells(executed)])
    stored = Store(tmp_path / "store", shipped=None).stored()
    assert [experiment.seeds for experiment, _ in stored] == [(3,)]
