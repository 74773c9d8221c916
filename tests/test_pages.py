"""The page of a study is made from the template, and its author's words are kept."""

import dataclasses
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import simprune
from simprune import book, pages
from simprune.errors import InputError
from simprune.notebook import _OF_A_STUDY

CHECKOUT = Path(__file__).resolve().parent.parent
PARAMETERS = """\
architecture = "lenet5"
dataset = "mnist"
profile = "quick"  # size of the study
seeds = None
retraining = "lr_rewind"
view = "flatten"
references = ["dense"]
measures = ["nbs"]  # drawn
others = {}"""


def author(text, id):
    return new_markdown_cell(text, id=id, metadata={"tags": ["author"]})


def template(*more):
    cells = [
        author("# {title}\n\nFor its author to say.", "opening"),
        new_code_cell(PARAMETERS, id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell("load(architecture)", id="body"),
        author("What it means.", "reading"),
        *more,
    ]
    return new_notebook(cells=cells, metadata={"simprune": {"template": "study"}})


@pytest.fixture
def root(tmp_path):
    """A book with the template and the page of one study."""
    (tmp_path / "notebooks" / "templates").mkdir(parents=True)
    nbformat.write(template(), tmp_path / pages.TEMPLATE)
    nbformat.write(template(), tmp_path / "notebooks" / "vgg_cifar10.ipynb")
    (tmp_path / "_config.yml").write_text("title: A book\n")
    toc = "root: front  # first\nchapters:\n  - file: book/executed/vgg_cifar10 # a study\n  - file: last\n"
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\n{toc}")
    table = "architecture,dataset,profile,seeds,retraining\nlenet5,mnist,paper,0 1,finetune\nlenet5,mnist,paper,0,\n"
    (tmp_path / "studies.csv").write_text(table)
    return tmp_path


def sources(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def test_a_new_page_has_the_title_and_the_parameters_of_its_study_and_stands_in_the_table_of_contents(root):
    path = pages.page("lenet5", "mnist", root=root)
    assert path == root / "notebooks" / "lenet5_mnist.ipynb"
    opening, parameters, *_ = sources(path)
    assert opening.startswith("# LeNet-5 on MNIST\n")
    expected = PARAMETERS.replace('"quick"', '"paper"').replace('"lr_rewind"', '"finetune"')
    assert parameters == expected  # the seeds are those that are stored
    assert book.toc_pages(root) == ["front", "book/executed/vgg_cifar10", "book/executed/lenet5_mnist", "last"]
    assert "# first" in (root / "_toc.yml").read_text()
    pages.page("lenet5", "mnist", root=root)
    assert book.toc_pages(root).count("book/executed/lenet5_mnist") == 1


def test_a_page_without_a_row_is_of_the_profile_given_and_named_after_its_folder(root, my_images):
    images = my_images / "my-images"
    path = pages.page("lenet5", f"folder:{images}", "laptop", root)
    assert path.name == "lenet5_folder_my_images.ipynb"
    assert f'dataset = "folder:{images}"' in sources(path)[1] and 'profile = "laptop"' in sources(path)[1]
    changed = nbformat.read(path, as_version=4)
    changed.cells[1].source = changed.cells[1].source.replace('["nbs"]', '["svcca"]')
    nbformat.write(changed, path)
    pages.renew(root)
    assert 'measures = ["svcca"]  # drawn' in sources(path)[1]


def test_the_page_of_stored_results_has_the_parameters_that_they_were_made_with(root, tiny, monkeypatch, tmp_path):
    monkeypatch.setattr("simprune.data.load", lambda *_, **__: tiny)
    small = {"levels": 1, "rate": 0.5, "epochs": 1, "train_size": 300, "probe_size": 50, "measures": ["svcca"]}
    results = simprune.run(simprune.Experiment(**small, retraining="finetune"), store=tmp_path, progress=False)
    changed = template()
    changed.cells[1].source += "\nrate = 0.2\nlevels = None\nepochs = None\ntrain_size = None\nprobe_size = None  # few"
    nbformat.write(changed, root / pages.TEMPLATE)
    [_, parameters, *_] = sources(pages.page_of(results.directory, root))
    for line in (
        'dataset = "fashion_mnist_mini"',
        'retraining = "finetune"',
        'measures = ["svcca"]  # drawn',
        "seeds = None",
    ):
        assert line in parameters
    assert "rate = 0.5\nlevels = 1\nepochs = 1\ntrain_size = 300\nprobe_size = 50  # few" in parameters


@pytest.mark.parametrize(
    ("made_with", "lines"),
    [
        ({"scope": "layerwise", "keep_output": True}, ['others = {"scope": "layerwise", "keep_output": True}']),
        ({"rate": 0.9, "levels": 2}, ["rate = 0.9", "levels = 2", "others = {}"]),
        ({"epochs": 2, "retraining_epochs": 1}, ["epochs = 2", 'others = {"retraining_epochs": 1}']),
        ({"measures": ["gulp", "rsa"]}, ['measures = ["rsa", "gulp"]']),
        ({"measures": ["svcca", "mask_overlap", "rsa"]}, ['measures = ["svcca"]']),
        ({"views": ["pooled"]}, ['view = "pooled"', 'measures = ["mean_cca", "svcca", "pwcca", "linear_cka", "nbs"]']),
        ({"references": ["sibling", "dense"]}, ['references = ["dense", "sibling"]']),
        ({"retraining": "held"}, ['retraining = "held"', "others = {}"]),
    ],
)
def test_the_page_of_any_stored_study_shows_what_is_stored_of_it(made_with, lines, root, tmp_path, monkeypatch):
    for name in (pages.TEMPLATE, "notebooks/vgg_cifar10.ipynb"):
        shutil.copy(CHECKOUT / name, root / name)
    experiment = simprune.Experiment(**{"levels": 1, "rate": 0.5, "epochs": 1} | made_with)
    monkeypatch.setattr(pages, "load", lambda _: SimpleNamespace(experiment=experiment))
    path = pages.page_of("results", root)
    said = next(source for source in sources(path) if source.startswith("architecture ="))
    for line in lines:
        assert re.search(rf"^{re.escape(line)}( +#|$)", said, re.MULTILINE), said
    before = path.read_text()
    pages.renew(root)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("made_with", "message"),
    [
        ({"measures": ["mask_overlap"]}, "measures: 'mask_overlap' is not a measure of representations"),
        ({"measures": ["gulp"]}, r"measures: \['gulp'\] are distances; give a similarity too"),
        ({"criterion": "none"}, "others: criterion 'none' prunes nothing; the page of the pruned network shows it"),
        ({"references": ["previous"]}, r"references: \['previous'\] lacks 'dense'"),
    ],
)
def test_a_study_of_which_the_page_could_show_nothing_is_refused(made_with, message, root, monkeypatch):
    for name in (pages.TEMPLATE, "notebooks/vgg_cifar10.ipynb"):
        shutil.copy(CHECKOUT / name, root / name)
    results = SimpleNamespace(experiment=simprune.Experiment(**made_with))
    monkeypatch.setattr(pages, "load", lambda _: results)
    with pytest.raises(InputError, match=message):
        pages.page_of("results", root)
    assert not (root / "notebooks" / "lenet5_fashion_mnist_mini.ipynb").exists()


def test_a_change_of_the_template_reaches_every_page_and_no_page_loses_its_words(root):
    path = pages.page("lenet5", "mnist", root=root)
    copy = path.with_name("mine.ipynb")
    written = nbformat.read(path, as_version=4)
    written.cells[0].source = "# LeNet-5 on MNIST\n\nIt is easy."
    written.cells.insert(1, new_code_cell("say('so')", metadata={"tags": ["author", "remove-input"]}))
    nbformat.write(written, path)
    written.cells[2].source = PARAMETERS.replace("None", "[5]")
    nbformat.write(written, copy)
    assert pages.renew(root) == []
    changed = template(new_code_cell("more()", id="more"), author("At the end.", "end"))
    changed.cells[2].source = "load(architecture, dataset)"
    nbformat.write(changed, root / pages.TEMPLATE)
    assert pages.renew(root) == [path, copy, root / "notebooks" / "vgg_cifar10.ipynb"]
    opening, said, parameters, *rest = sources(path)
    assert (opening, said) == ("# LeNet-5 on MNIST\n\nIt is easy.", "say('so')") and "finetune" in parameters
    assert rest == ["load(architecture, dataset)", "What it means.", "more()", "At the end."]
    assert "seeds = [5]" in sources(copy)[2] and "finetune" not in sources(copy)[2]


def test_words_whose_place_is_gone_are_refused_not_lost(root):
    path = pages.page("lenet5", "mnist", root=root)
    changed = template()
    del changed.cells[3]
    nbformat.write(changed, root / pages.TEMPLATE)
    before = path.read_bytes()
    with pytest.raises(InputError, match="an author's cells stand at 'reading', where .* it has opening"):
        pages.renew(root)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("lenet6", "mnist"), "did you mean 'lenet5'"),
        (("lenet5", "mnist", "grand"), "profile: 'grand'"),
        (("resnet20", "mnist"), "it is there, and not made from notebooks/templates/study.ipynb"),
    ],
)
def test_a_page_that_can_not_be_is_refused_with_nothing_written(root, given, message):
    nbformat.write(new_notebook(), root / "notebooks" / "resnet20_mnist.ipynb")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=message):
        pages.page(*given, root=root)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_the_template_of_the_project_has_a_parameter_for_whatever_a_small_dataset_needs(tmp_path):
    [cell] = [c for c in book.read_notebook(CHECKOUT / pages.TEMPLATE).cells if "parameters" in book.tags(c)]
    assert "\nreferences = " in cell.source and "\nothers = {}" in cell.source
    for name in ("probe_size", "epochs", "train_size", "levels", "rate"):
        assert f"\n{name} = None  # " in cell.source  # what the profile decides is left to it
    parameters = {line.partition(" = ")[0] for line in cell.source.splitlines()} | {"views"}  # as its view
    assert {field.name for field in dataclasses.fields(simprune.Experiment)} & parameters == set(_OF_A_STUDY)


def test_a_page_made_in_the_checkout_is_of_the_template(tmp_path):
    for name in ("_config.yml", "_toc.yml", "studies.csv"):
        shutil.copy(CHECKOUT / name, tmp_path)
    shutil.copytree(CHECKOUT / "notebooks", tmp_path / "notebooks")
    path = pages.page("lenet5", "fashion_mnist_mini", root=tmp_path)
    assert path in book.notebooks(tmp_path)
    assert pages.renew(tmp_path) == []
