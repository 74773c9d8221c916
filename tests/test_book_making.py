"""Notebooks become executed notebooks become a book; failures are said clearly."""

import errno
import io
import json
import os
import re
import sys
import time
from base64 import b64encode
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from rich.console import Console

from simprune import book, kernels
from simprune.book import PublishingError
from simprune.errors import InputError

CHECKOUT = Path(__file__).resolve().parent.parent


def notebook_at(path, *sources, parameters="seeds = [0]"):
    """Write a notebook with a heading, a cell of parameters and further cells of code."""
    cells = [new_markdown_cell("# A page"), new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(source) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "P"}}), path)
    return path


@pytest.fixture
def console():
    return Console(record=True, width=300, file=open(os.devnull, "w"))


def outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


# Running ----------------------------------------------------------------------------------------------------


def test_a_notebook_runs_with_this_interpreter_whatever_kernels_are_installed_and_whatever_others_do(
    tmp_path, console, monkeypatch
):
    """A failure names the notebook, the cell and the exception, and spares the others."""
    spec = tmp_path / "theirs" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "P", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "theirs"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMPRUNE_STORE", "mine")
    source = "import os, sys\nprint(sys.prefix == where, os.getcwd() == root, os.environ['SIMPRUNE_STORE'] == store)"
    parameters = "where = None\nroot = None\nstore = None"
    good = notebook_at(tmp_path / "notebooks" / "good.ipynb", source, parameters=parameters)
    bad = notebook_at(tmp_path / "notebooks" / "bad.ipynb", "x = 1", "import math\n\ny = x / 0")
    kept = tmp_path / "out" / "bad.ipynb"
    kept.parent.mkdir()
    kept.write_text("an earlier run")
    given = {"where": sys.prefix, "root": str(tmp_path), "store": str(tmp_path / "mine")}
    with pytest.raises(PublishingError) as failure:
        book.execute([bad, good], kept.parent, given, console=console)
    assert str(failure.value) == "bad.ipynb: cell 3 (y = x / 0) failed: ZeroDivisionError: division by zero"
    assert outputs(tmp_path / "out" / "good.ipynb")[0].text == "True True True\n"
    assert kept.read_text() == "an earlier run"


RUN = """
import simprune
small = simprune.Experiment(rate=0.5, levels=1, epochs=2, train_size=300, probe_size=50, measures=["linear_cka"])
results = simprune.run(small, store=store, resume=False)
"""


def test_a_run_in_a_notebook_leaves_one_line_and_without_progress_none(tmp_path):
    """Whatever kernels set, ipykernel FORCE_COLOR, a bar of a terminal would leave one for each time it is drawn."""
    quiet = RUN.replace("resume=", "progress=False, resume=")
    notebook = notebook_at(tmp_path / "notebooks" / "a.ipynb", RUN, quiet, parameters=f"store = {str(tmp_path)!r}")
    process = kernels.start(
        notebook, tmp_path / "a.ipynb", {}, book._environment(tmp_path, threads=1), tmp_path / "log"
    )
    process.join()
    [output] = outputs(tmp_path / "a.ipynb")
    assert output.data["text/plain"] == "seed 0: comparing, level 1 of 1 (2 of 2 done)"


def test_a_notebook_that_is_stopped_leaves_no_kernel(tmp_path):
    """A kernel ends with the process that runs its notebook, however that ends."""
    source = "import os, pathlib, time\npathlib.Path('pid').write_text(f'{os.getpid()}.')\ntime.sleep(600)"
    notebook = notebook_at(tmp_path / "notebooks" / "a.ipynb", source)
    environment = book._environment(tmp_path, threads=1)
    process = kernels.start(notebook, tmp_path / "a.ipynb", {}, environment, tmp_path / "log")
    said, started = tmp_path / "pid", time.monotonic()
    while not (said.is_file() and said.read_text().endswith(".")):
        assert process.is_alive() and time.monotonic() < started + 60
        time.sleep(0.1)
    kernel = psutil.Process(int(said.read_text()[:-1]))
    process.kill()
    kernel.wait(timeout=20)


def test_each_notebook_takes_the_parameters_that_it_has(tmp_path):
    one = notebook_at(tmp_path / "one.ipynb", parameters="seeds = [0]\nrate: float = 0.2  # a share")
    two = notebook_at(tmp_path / "two.ipynb", parameters="seeds = [1]\n# profile = 3")
    taken = book.check([one, two], {"seeds": [5], "rate": 0.5})
    assert taken == {one: {"seeds": [5], "rate": 0.5}, two: {"seeds": [5]}}
    with pytest.raises(InputError, match="no notebook has 'profile'; they have rate, seeds"):
        book.check([one, two], {"profile": "quick"})


def test_what_would_fail_after_all_have_run_is_refused_before_any_runs(tmp_path, console):
    good = notebook_at(tmp_path / "notebooks" / "good.ipynb", "print('run')")
    bad = good.with_name("bad.ipynb")
    for content, message in {
        None: "bad.ipynb' is not there",
        b"{": "bad.ipynb: it is not a notebook",
        b'{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}': "bad.ipynb: it is not a notebook",
        good.read_bytes().replace(b"# A page", b"A page"): "bad.ipynb: it has no title, a heading of level 1",
        good.read_bytes().replace(b"# A page", b"(sec-a)=\\n# A page"): "its label 'sec-a' is that of good.ipynb too",
    }.items():
        if content is not None:
            bad.write_bytes(content)
        if b"(sec-a)" in (content or b""):
            good.write_bytes(content)
        with pytest.raises(InputError, match=message):
            book.execute([good, bad], tmp_path / "out", console=console)
    assert not (tmp_path / "out").exists()


def test_where_nothing_can_be_written_nothing_is_run(tmp_path, console, monkeypatch):
    notebook = notebook_at(tmp_path / "notebooks" / "a.ipynb", "print('run')")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="root: .*file/out' can't be written"):
        book.execute([notebook], tmp_path / "file" / "out", console=console)

    def read_only(**options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(book.tempfile, "TemporaryFile", read_only)
    with pytest.raises(InputError, match=r"can't be written \(Read-only file system\)"):
        book.execute([notebook], tmp_path / "out", console=console)


@pytest.fixture
def started(monkeypatch):
    """The names of the notebooks that are run; no cell is, and those that hold "1 / 0" fail."""
    names = []

    def start(notebook, target, parameters, environment):
        names.append(notebook.stem)
        made = nbformat.read(notebook, as_version=4)
        record = {"start_time": "", "end_time": "", "duration": 1, "version": "", "parameters": parameters}
        made.metadata["papermill"] = record
        nbformat.write(made, target)
        status = 1 if "1 / 0" in notebook.read_text() else 0
        log = target.with_suffix(".log")
        log.touch()
        sentinel, other_end = Pipe()
        other_end.close()
        process = SimpleNamespace(is_alive=lambda: False, exitcode=status, sentinel=sentinel)
        return book._Job(notebook, target, process, log)

    monkeypatch.setattr(book, "_start", start)
    return names


def test_only_what_changed_is_run_again(tmp_path, console, monkeypatch, started):
    """Whatever decides what a notebook shows: itself, its parameters, results, versions."""
    monkeypatch.setenv("SIMPRUNE_STORE", str(tmp_path / "store"))
    one = notebook_at(tmp_path / "notebooks" / "one.ipynb", "1")
    two = notebook_at(tmp_path / "notebooks" / "two.ipynb", "1", parameters="rate = 1")

    def run(**parameters):
        started.clear()
        book.execute([one, two], tmp_path / "out", parameters, console=console)
        return started

    assert run() == ["one", "two"]
    assert run() == []
    assert run(seeds=[5]) == ["one"]
    notebook_at(one, "2")
    assert run(seeds=[5]) == ["one"]
    (tmp_path / "out" / "one.ipynb").unlink()
    assert run(seeds=[5]) == ["one"]
    notebook_at(two, "1 / 0", parameters="rate = 1")
    for _ in range(2):
        with pytest.raises(PublishingError, match="two.ipynb: papermill stopped with status 1"):
            run(seeds=[5])
        assert started == ["two"]
    notebook_at(two, "1", parameters="rate = 1")
    for place in (tmp_path / "store", tmp_path / book.RESULTS):
        result = place / "a-study" / "seed-0" / "provenance.json"
        result.parent.mkdir(parents=True)
        result.write_text("{}")
        assert run(seeds=[5]) == ["one", "two"]
    monkeypatch.setattr(book, "version", lambda package: "99")
    assert run(seeds=[5]) == ["one", "two"]
    (tmp_path / "out" / "checksums.json").write_text("[0]")
    assert run(seeds=[5]) == ["one", "two"]


def test_results_that_notebooks_write_are_no_change_for_them(tmp_path, console, monkeypatch, started):
    monkeypatch.setenv("SIMPRUNE_STORE", str(tmp_path / "store"))
    notebook = notebook_at(tmp_path / "notebooks" / "one.ipynb", "1")
    finish = book._finish

    def finish_and_store(job, output_dir):
        result = tmp_path / "store" / "a-study" / "seed-0" / "provenance.json"
        result.parent.mkdir(parents=True)
        result.write_text("{}")
        return finish(job, output_dir)

    monkeypatch.setattr(book, "_finish", finish_and_store)
    for _ in range(2):
        book.execute([notebook], tmp_path / "out", console=console)
    assert started == ["one"]


# Tidying ----------------------------------------------------------------------------------------------------


@pytest.fixture
def executed():
    """A notebook as papermill leaves it."""
    cells = [
        new_markdown_cell("# A page", metadata={"papermill": {"status": "completed"}}),
        new_code_cell("seeds = [1]", metadata={"tags": ["injected-parameters"], "papermill": {"duration": 1}}),
        new_code_cell("run()", execution_count=2),
    ]
    cells[2].outputs = [
        new_output("stream", name="stderr", text="seed 0: training 3/10\rseed 0: training 4/10\n"),
        new_output("stream", name="stderr", text="UserWarning: mind the gap\n"),
        new_output(
            "stream",
            name="stdout",
            text="from /home/me/project/book and /home/me/project-2, `/home/me/project`.\n",
        ),
        new_output("display_data", {"text/plain": "'/home/me/project'", "image/png": b64encode(b"a picture").decode()}),
    ]
    record = {"input_path": "/home/me/in", "output_path": "/home/me/out", "environment_variables": {"A": "B"}}
    record |= {"parameters": {"seeds": [1]}, "start_time": "2025-01-01T10:20:30.5", "end_time": "2025-01-01T10:21"}
    record |= {"duration": 61.2, "version": "2.6.0"}
    return new_notebook(cells=cells, metadata={"papermill": record})


def test_progress_is_dropped_and_warnings_are_handed_on(executed):
    assert book.tidy(executed, Path("/home/me/project")) == ["UserWarning: mind the gap"]
    assert [output.get("name") for output in executed.cells[2].outputs] == ["stdout", None]


def test_paths_of_this_machine_become_relative(executed):
    book.tidy(executed, Path("/home/me/project"))
    stdout, display = executed.cells[2].outputs
    assert stdout.text == "from ./book and /home/me/project-2, `.`.\n"
    assert display.data["text/plain"] == "'.'"
    assert "/home/me" not in json.dumps(executed.metadata)


def test_links_to_prose_pages_lead_there_from_the_notebooks_and_from_the_book(executed):
    executed.cells[0].source = "[a](../book/rerun.md) and [b](guide.ipynb)"
    book.tidy(executed, Path("/home/me/project"))
    assert executed.cells[0].source == "[a](../rerun.md) and [b](guide.ipynb)"


def test_given_parameters_are_folded_and_their_record_is_kept(executed):
    book.tidy(executed, Path("/home/me/project"))
    assert "hide-input" in executed.cells[1].metadata.tags
    assert executed.metadata.papermill.parameters == {"seeds": [1]}
    assert not any("papermill" in cell.metadata for cell in executed.cells)


def test_figures_are_named_after_the_file_and_the_function_that_draws_them():
    def drawn(source):
        return new_code_cell(source, metadata={"mystnb": {"figure": {"caption": "Read it so.", "name": "given"}}})

    cells = [drawn("plots.a_map(x)"), new_code_cell("1"), drawn("draw()"), drawn("plots.a_map(y)"), drawn("plot()")]
    notebook = new_notebook(cells=cells)
    names = ["my-own-study-a-map", "my-own-study-figure", "my-own-study-a-map-2", "my-own-study-figure-2"]
    assert book.label_figures(notebook, "My_own study") == names
    assert cells[3].metadata["mystnb"]["figure"]["name"] == "my-own-study-a-map-2"


def test_the_provenance_page_says_when_and_with_what_each_notebook_was_run(executed, tmp_path):
    path = tmp_path / book.EXECUTED / "page.ipynb"
    path.parent.mkdir(parents=True)
    executed.cells[0].source = "# A page | of mine"
    executed.metadata.papermill["parameters"]["dataset"] = "folder:<mine>|yours"
    book.tidy(executed, tmp_path)
    nbformat.write(executed, path)
    page = book.write_provenance([path], tmp_path).read_text()
    assert "## Results that come with the book" in page and "None." in page
    [row] = [line for line in page.splitlines() if "A page" in line]
    assert row.startswith(r"| [A page \| of mine](page.ipynb) | 2025-01-01 10:20 UTC | 61 s | ")
    assert row.endswith(r"`dataset = 'folder:<mine>\|yours'`, `seeds = [1]` |")
    assert "papermill" in page.splitlines()[-1]


# Building ---------------------------------------------------------------------------------------------------


def test_the_table_of_contents_is_read_with_parts_and_sections(tmp_path):
    notebook = notebook_at(tmp_path / "notebooks" / "c.ipynb")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n- caption: A\n  chapters:\n  - file: book/a\n    sections:\n"
        "    - file: book/b\n- caption: B\n  chapters:\n  - file: book/executed/c\n  - file: book/executed/provenance\n"
    )
    assert book.toc_pages(tmp_path) == [
        "book/index",
        "book/a",
        "book/b",
        "book/executed/c",
        "book/executed/provenance",
    ]
    assert book.notebooks(tmp_path) == [notebook]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("mine/a", "book/executed/mine/a can't be a page; its notebook has to stand in notebooks/ itself"),
        ("a", "book/executed/a is named, but notebooks/a.ipynb is not there"),
    ],
)
def test_a_notebook_in_a_folder_of_its_own_or_nowhere_is_refused_by_name(tmp_path, page, message):
    notebook_at(tmp_path / "notebooks" / "mine" / "a.ipynb")
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n- file: book/executed/{page}\n")
    with pytest.raises(InputError, match=message):
        book.notebooks(tmp_path)


@pytest.mark.parametrize("function", [book.publish, book.build])
def test_a_folder_without_a_book_is_refused_and_left_as_it_was(tmp_path, function):
    with pytest.raises(InputError, match=r"root: .* holds no _config.yml; the book is made in a copy of the project"):
        function(tmp_path)
    assert list(tmp_path.iterdir()) == []


def small_book(root, front):
    (root / "_config.yml").write_text(
        "title: A book\nonly_build_toc_files: true\nexecute:\n  execute_notebooks: 'off'\n"
    )
    (root / "_toc.yml").write_text("format: jb-book\nroot: front\n")
    (root / "front.md").write_text(front)


def test_a_warning_fails_the_build_and_is_quoted(tmp_path, console):
    small_book(tmp_path, "# Front\n\n[nowhere](nowhere.md)\n")
    with pytest.raises(PublishingError, match=r"front\.md.*nowhere"):
        book.build(tmp_path, console=console)


def picture(grey):
    image = io.BytesIO()
    Image.new("L", (4, 4), grey).save(image, "png")
    return new_output("display_data", {"image/png": b64encode(image.getvalue()).decode()})


def test_a_copied_notebook_is_a_page_of_its_own_in_a_book_that_is_built_where_asked(tmp_path, console, started):
    source, output = tmp_path / "source", tmp_path / "elsewhere"
    source.mkdir()
    small_book(source, "# Front\n\nAll is well.\n")
    (source / "_toc.yml").write_text(
        "format: jb-book\nroot: front\nchapters:\n- file: book/executed/a\n- file: book/executed/my_copy\n"
    )
    drawing = nbformat.read(notebook_at(source / "notebooks" / "a.ipynb", "draw()"), as_version=4)
    drawing.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    drawing.cells[2].metadata["mystnb"] = {"figure": {}}
    drawing.cells.append(new_markdown_cell("Read it *so*.", metadata={"tags": ["caption"]}))
    for name, grey in (("a", 0), ("my_copy", 255)):
        drawing.cells[2].outputs = [picture(grey)]
        nbformat.write(drawing, source / "notebooks" / f"{name}.ipynb")
    book.execute(book.notebooks(source), source / book.EXECUTED, console=console)
    stale = output / "_build" / "html" / "stale.html"
    stale.parent.mkdir(parents=True)
    stale.write_text("from an earlier table of contents")
    index = book.build(source, output, console=console)
    assert index == output / "_build" / "html" / "index.html"
    assert "front.html" in index.read_text()
    assert "All is well." in index.with_name("front.html").read_text()
    assert not stale.exists() and not (source / "_build").exists()
    html = index.parent / "book" / "executed"
    assert 'id="a-figure"' in (html / "a.html").read_text()
    copied = (html / "my_copy.html").read_text()
    assert 'id="my-copy-figure"' in copied
    assert re.search(r"<figcaption>.*Read it <em>so</em>", copied, re.DOTALL) and copied.count("Read it") == 1
