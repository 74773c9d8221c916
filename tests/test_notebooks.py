"""The notebooks as they are committed: templates with parameters, without outputs."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from cells import code_cells, run_page
from matplotlib.figure import Figure

from simprune import book, pages, plots, studies
from simprune.errors import InputError
from simprune.store import SHIPPED, Store

CHECKOUT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


STUDIES = [path for path in NOTEBOOKS if pages.is_of_template(book.read_notebook(path))]
TABLE = [study.experiment for study in studies.read()]


def shipped():
    """The seeds of each result that comes with the project, by name."""
    return {experiment.name: experiment.seeds for experiment, _ in Store(SHIPPED, shipped=None).stored()}


def test_results_that_are_shipped_are_those_of_the_table_of_studies():
    """Where a study has none yet, none of its seeds has."""
    table = {experiment.name: experiment.seeds for experiment in TABLE}
    assert len(table) == len(TABLE)
    assert shipped().items() <= table.items()


def test_each_architecture_and_dataset_whose_results_are_there_has_a_page_in_the_book():
    first = {}
    for experiment in TABLE:
        first.setdefault(f"{experiment.architecture}_{experiment.dataset}", experiment)
    there = sorted(stem for stem, experiment in first.items() if experiment.name in shipped())
    assert there == [path.stem for path in STUDIES], "make or remove a page with `simprune page`"
    assert set(STUDIES) <= set(book.notebooks(CHECKOUT)), "mend _toc.yml"


def test_every_other_notebook_is_a_page_of_the_book():
    assert set(NOTEBOOKS) - set(STUDIES) <= set(book.notebooks(CHECKOUT)) <= set(NOTEBOOKS)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_page_of_a_study_is_the_template_but_for_its_authors_cells_and_parameters(path):
    """After a change of the template `simprune page` makes it so."""
    present = book.read_notebook(path)
    assert pages.filled(CHECKOUT, path.stem, present) == present
    template = book.read_notebook(CHECKOUT / pages.TEMPLATE)
    placeholders = {cell.source for cell in template.cells if "author" in book.tags(cell)}
    assert not placeholders & {cell.source for cell in present.cells}, "words for the author to write"


RETRAINING = CHECKOUT / "notebooks" / "retraining.ipynb"


@pytest.mark.parametrize("path", [*STUDIES, RETRAINING], ids=lambda path: path.stem)
def test_a_page_of_shipped_results_computes_nothing_unless_it_is_asked_to(path, tmp_path, monkeypatch):
    def refuse(experiment, **options):
        raise RuntimeError("computed")

    for place in ("simprune.study.run", "simprune.run"):
        monkeypatch.setattr(place, refuse)
    # Other data than the results were made from are at hand.
    monkeypatch.setattr("simprune.data.load", lambda *_, **__: SimpleNamespace(fingerprint="other"))
    first, second = code_cells(nbformat.read(path, as_version=4))[:2]
    exec(f"{first.source}\nstore = {str(tmp_path)!r}\n{second.source}", {})
    with pytest.raises(RuntimeError, match="computed"):
        exec(f"{first.source}\nstore = {str(tmp_path)!r}\ncompute = True\n{second.source}", {})


# What makes no sense as a parameter of that name; `WRONG_KIND` does not for any.
WRONG_KIND = [[]]
SENSELESS = {
    "architecture": ["lenet"],
    "dataset": ["mnst"],
    "datasets": ["mnist", []],
    "density": [5, 0, "half"],
    "inputs": [3, 20.5],
    "layers": [0, "two"],
    "levels": [0, 2.5],
    "measures": ["gulpp", ["gulpp"], ["gulp"], ["accuracy_gap"], []],
    "profile": ["fast"],
    "rate": [1.5, "0.3"],
    "others": [{"scop": "layerwise"}, {"scope": "sideways"}, {"levels": 3}, {"criterion": "none"}],
    "references": [["sibling"]],
    "seed": [-1, "0"],
    "seeds": [1.5, [-1]],
    "small": [{"levles": 3}, {"levels": 0}, {"seeds": [0]}],
    "studies": ["lenet5", ["lenet5", "mnist", "paper"], [["lenet5", "mnst", "paper"]]],
    "store": ["x" * 3000],
    "view": ["poled"],
    "width": [16.5],
    "which": [["lenet5"], [["lenet5", "mnist", "fast"]]],
    "widths": [10, [0]],
}
# The field that is named where a parameter holds several, or has another name.
ALSO = {
    "datasets": ["dataset"],
    "other_dataset": ["dataset"],
    "others": ["scope"],
    "small": ["levels"],
    "studies": ["dataset"],
    "view": ["views"],
    "which": ["profile"],
}


def test_a_parameter_that_makes_no_sense_is_refused_before_any_work(notebook, monkeypatch):
    """In a sentence that names it; nothing was read, trained or drawn."""

    def work(*arguments, **options):
        raise RuntimeError("work")

    for place in ("run", "load", "compare", "study.run", "results.load", "notebook.load", "notebook.stored_seeds"):
        monkeypatch.setattr(f"simprune.{place}", work)
    cells = code_cells(notebook)
    [parameters] = tagged(notebook, "parameters")
    names = {}
    exec(parameters.source, names)
    for name in [name for name in names if name != "__builtins__"]:
        if name == "layer":  # known only to the results
            continue
        for value in [WRONG_KIND, *SENSELESS.get(name, [])]:
            space, refusal = {}, None
            for cell in cells:
                try:
                    exec(cell.source, space)
                except InputError as error:
                    refusal = str(error)
                    break
                if cell is parameters:
                    space[name] = value
            assert refusal and refusal.partition(": ")[0] in {name, *ALSO.get(name, [])}, (value, refusal)


def draws(cell):
    """Whether a cell shows a figure."""
    hidden = "remove-cell" in cell.metadata.get("tags", [])
    return "plots." in cell.source and "import" not in cell.source and not hidden


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
    """The caption is a cell of its own, so that it is read in Jupyter too."""
    captions = tagged(notebook, "caption")
    for cell, below in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if cell.cell_type == "code" and draws(cell):
            assert below in captions and len(below.source) > 20, cell.source
            assert cell.metadata.mystnb.figure == {} and len(description(cell)) > 80, cell.source
    assert len(captions) == sum("figure" in cell.metadata.get("mystnb", {}) for cell in notebook.cells)


def description(cell):
    """What a figure is in words; that of a picture which is dragged stands in its call."""
    words = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.keyword)]
    given = [ast.literal_eval(word.value) for word in words if word.arg == "description"]
    return given[0] if given else cell.metadata.mystnb.image.alt


def figures(path):
    return re.findall(r"plots\.(\w+)\(", "\n".join(cell.source for cell in code_cells(nbformat.read(path, 4))))


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
        # A picture that is dragged has its numbers beside it.
        drawn = [place for place in drawn if "plots.live_" not in cells[place].source]
        assert not drawn or any(place > drawn[0] for place in folded), cells[drawn[0]].source


def test_a_notebook_reads_well_outside_the_book(notebook):
    """No roles, no directives, no glue, no labels: figures are named after the file and what they draw."""
    for cell in notebook.cells:
        assert not cell.metadata.get("mystnb", {}).get("figure"), cell.source
        text = cell.source if cell.cell_type == "markdown" else ""
        text = re.sub(r"```.*?```|\$[^$]*\$", "", text, flags=re.DOTALL)
        assert not re.search(r"\{[\w:-]+\}`|^:::|^\([\w-]+\)=$", text, re.MULTILINE), text
        assert not re.search(r"\bglue\b|\bMarkdown\(", cell.source), cell.source


def test_no_share_and_no_decimal_fraction_is_typed_into_the_text(notebook):
    """Whoever runs the notebook with other parameters would read the old ones."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"`[^`]*`|\$[^$]*\$", "", cell.source)
            assert not re.search(r"\d\s*%|\d\.\d", text), text


def test_the_quickstart_calls_the_lower_of_two_distances_nearer(monkeypatch, few_images):
    monkeypatch.setattr("simprune.notebook.display", lambda data, raw: said.append(data["text/markdown"]))
    said, measures = [], ["linear_cka", "nbs", "procrustes_distance"]
    small = {"levels": 1, "epochs": 1, "measures": measures}
    shown = run_page(CHECKOUT / "notebooks" / "quickstart.ipynb", **small)
    [table] = (value for value in shown if isinstance(value, pd.DataFrame) and "nearer" in value)
    assert all(row[row["nearer"]] == min(row["pruned"], row["twin"]) for _, row in table.iterrows())
    [sentence] = (text for text in said if "furthest apart" in text)
    assert "Procrustes" not in sentence


def test_a_studys_page_run_with_another_seed_has_the_same_figures_for_that_seed(tmp_path, monkeypatch, few_images):
    said = []
    monkeypatch.setattr("simprune.notebook.display", lambda data, raw: said.append(data["text/markdown"]))
    path = CHECKOUT / "notebooks" / "lenet5_fashion_mnist.ipynb"
    small = {"dataset": "fashion_mnist_mini", "profile": "quick", "levels": 1, "rate": 0.5, "density": 0.5}
    small |= {"epochs": 1, "train_size": 500, "probe_size": 100, "store": str(tmp_path)}
    drawn = [value for value in run_page(path, **small, seeds=[3], compute=True) if isinstance(value, Figure)]
    assert len(drawn) == len(figures(path))
    assert "--seeds 3 " in str(said)
    stored = Store(tmp_path, shipped=None).stored()
    assert [experiment.seeds for experiment, _ in stored] == [(3,)]


@pytest.mark.parametrize("references", [["dense"], ["dense", "sibling"]])
def test_the_page_of_a_study_needs_no_reference_but_the_dense_network(references, tmp_path, monkeypatch):
    monkeypatch.setattr("simprune.notebook.display", lambda data, raw: None)
    small = {"dataset": "fashion_mnist_mini", "profile": "quick", "levels": 2, "rate": 0.5, "density": 0.5}
    small |= {"epochs": 1, "train_size": 500, "probe_size": 100, "store": str(tmp_path), "references": references}
    drawn = run_page(CHECKOUT / pages.TEMPLATE, **small, measures=["svcca", "nbs"], compute=True)
    assert sum(isinstance(value, Figure) for value in drawn) >= 5
