"""Notebooks → executed notebooks → book → print.

`publish` runs the notebooks that the table of contents names, each in a process of its own, and builds the book from
what they gave; `pdf` has a chromium print it. The book's root is the folder that holds `_config.yml` and `_toc.yml`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import urldefrag, urlsplit

import nbformat
import yaml
from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from simprune import kernels, teaching
from simprune.errors import InputError, check_path
from simprune.places import default_root

NOTEBOOKS = Path("notebooks")
EXECUTED = Path("book/executed")
PROVENANCE = EXECUTED / "provenance.md"
RESULTS = Path("book/results")
ROOTS = ("SIMPRUNE_DATA", "SIMPRUNE_STORE")
_ESCAPES = re.compile(r"\x1b\[[\d;]*m")  # of colours
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIME_LIMIT = 600  # seconds that the browser may take
# What only a screen can do. A page's own headings, figures, tables and formulas stay.
_SCREEN_ONLY = "script, style, details.admonition.hide, a.headerlink"
_ADDRESSES = ("href", "src")
SHOWN_BY = ("torch", "torchvision", "numpy", "scipy", "pandas", "matplotlib", "seaborn")
TOOLS = ("papermill", "jupyter-book", "myst-nb", "sphinx", "sphinx-book-theme")


# Tells `simprune.notebook` that a claim which does not hold stops the page: none of its parameters was changed.
CLAIMS_HOLD = "SIMPRUNE_CLAIMS_HOLD"


class PublishingError(RuntimeError):
    """A notebook failed or the book could not be built; the message says which, where and why."""


def publish(
    root: Path | str = ".",
    parameters: Mapping[str, Any] | None = None,
    *,
    jobs: int | None = None,
    output: Path | str | None = None,
    console: Console | None = None,
) -> Path:
    """Run the notebooks of the book and build it; gives the path of its first page.

    `parameters` go to every notebook that has them (see `execute`), `jobs` is the number of notebooks run at
    a time, and `output` the folder in which `_build` is made (default: the root). Raises `InputError` if
    `root` is not a book or no notebook has a parameter, `PublishingError` if a notebook fails or the book
    does not come out whole.
    """
    root, console = book_root(root), console or Console(stderr=True, highlight=False)
    check_writable((Path(output) if output else root) / "_build")
    executed = execute(notebooks(root), root / EXECUTED, parameters, jobs=jobs, console=console)
    write_provenance(executed, root)
    return build(root, output, console=console)


def book_root(root: Path | str = ".") -> Path:
    """The book's root as an absolute path. Raises `InputError` if it isn't one."""
    root = check_path("root", root).resolve()
    missing = [name for name in ("_config.yml", "_toc.yml") if not (root / name).is_file()]
    if missing:
        raise InputError(
            f"root: {str(root)!r} holds no {missing[0]}; the book is made in a copy of the project (its repository, or "
            f"the source archive of a release), not from the installed package alone: go there, or name it with --root"
        )
    return root


def toc_pages(root: Path) -> list[str]:
    """The pages of the table of contents, in its order, as paths from the root without a suffix."""
    from sphinx_external_toc.parsing import parse_toc_yaml  # takes a while to import

    return list(parse_toc_yaml(root / "_toc.yml"))


def notebooks(root: Path) -> list[Path]:
    """The notebooks behind the pages of the table of contents, in its order.

    Raises `InputError` for one that is not there, or in a folder of its own.
    """
    found = []
    for page in map(Path, toc_pages(root)):
        if EXECUTED not in page.parents or page == PROVENANCE.with_suffix(""):
            continue
        if page.parent != EXECUTED:
            raise InputError(
                f"_toc.yml: {page.as_posix()} can't be a page; its notebook has to stand in {NOTEBOOKS}/ itself"
            )
        found.append(root / NOTEBOOKS / f"{page.name}.ipynb")
        if not found[-1].is_file():
            raise InputError(f"_toc.yml: {page.as_posix()} is named, but {NOTEBOOKS}/{page.name}.ipynb is not there")
    return found


# What a notebook holds ----------------------------------------------------------------------------------------------


def read_notebook(path: Path) -> NotebookNode:
    """A notebook from its file. Raises `InputError` naming it if it isn't one."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise InputError(f"notebooks: {str(path)!r} is not there") from None
    except Exception as error:  # nbformat and its parsers raise what they like
        raise InputError(f"{path.name}: it is not a notebook ({str(error).splitlines()[0][:100]})") from None
    return notebook


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def heading(notebook: NotebookNode) -> str | None:
    """A notebook's title: the text of its first heading of level 1."""
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = re.search(r"^# +(\S.*)$", texts, flags=re.MULTILINE)
    return found.group(1).strip() if found else None


def parameter_names(notebook: NotebookNode) -> set[str]:
    """The names that the cell tagged "parameters" sets."""
    sources = [cell.source for cell in notebook.cells if "parameters" in tags(cell)]
    return set(re.findall(r"^(\w+)\s*(?::[^=\n]+)?=", "\n".join(sources), flags=re.MULTILINE))


def label_figures(notebook: NotebookNode, stem: str) -> list[str]:
    """Name the figures of a notebook after its file and the functions that draw them, in place; gives the names.

    So that a copy of a notebook is a page of its own at once.
    """
    names: list[str] = []
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if figure is not None:
            drawn = re.search(r"\bplots\.(\w+)\(", cell.source)
            name = re.sub(r"[^0-9a-z]+", "-", f"{stem}-{drawn[1] if drawn else 'figure'}".lower())
            count = sum(re.sub(r"-\d+$", "", other) == name for other in names) + 1
            figure["name"] = name if count == 1 else f"{name}-{count}"
            names.append(figure["name"])
    return names


def place_captions(notebook: NotebookNode) -> None:
    """Make each cell tagged "caption" the caption of the figure before it, in place; elsewhere it is read as text."""
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        if "caption" in tags(cell) and cells:
            cells[-1].metadata["mystnb"]["figure"]["caption"] = cell.source
        else:
            cells.append(cell)
    notebook.cells = cells


def check(notebooks: Sequence[Path], parameters: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """Refuse what would fail after all have run; gives which notebook takes which parameters.

    Raises `InputError`, naming the notebook, for one without a title, for a label that another has too, and for a
    parameter that none has.
    """
    known, homes = {}, {}
    for path in notebooks:
        notebook = read_notebook(path)
        if heading(notebook) is None:
            raise InputError(f"{path.name}: it has no title, a heading of level 1 such as '# A study of my own'")
        texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        labels = re.findall(r"^\(([^)\s]+)\)=\s*$|^:(?:label|name): *(\S+)", texts, flags=re.MULTILINE)
        for label in {*map("".join, labels), *label_figures(notebook, path.stem)}:
            if label in homes:
                raise InputError(f"{path.name}: its label {label!r} is that of {homes[label]} too; give it another one")
            homes[label] = path.name
        known[path] = parameter_names(notebook)
    every = sorted(set().union(*known.values()))
    for name in parameters:
        if name not in every:
            raise InputError(f"parameters: no notebook has {name!r}; they have {', '.join(every)}")
    return {path: {name: parameters[name] for name in parameters if name in names} for path, names in known.items()}


# Running notebooks ------------------------------------------------------------------------------------------


def check_writable(folder: Path) -> None:
    """Refuse a folder that nothing can be written into, before anything is worked out that would go there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(
            f"root: {str(folder)!r} can't be written ({error.strerror}); copy the project to where you may write"
        ) from None


class _Checksums:
    """What executed notebooks were made from, by name: one that was made from the same isn't run again."""

    def __init__(self, notebooks: Sequence[Path], taken: Mapping[Path, Mapping[str, Any]], folder: Path):
        self._file = folder / "checksums.json"
        self._surroundings = _surroundings(notebooks[0].parent.parent) if notebooks else ""
        given = {path: json.dumps(taken[path], sort_keys=True, default=str) for path in notebooks}
        self._own = {path.name: _sha256(given[path], path.read_bytes()) for path in notebooks}
        try:
            self._known = dict(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            self._known = {}
        now = self._now()
        self.done = {name for name in now if self._known.get(name) == now[name] and (folder / name).is_file()}

    def write(self) -> None:
        """Record those in `done`; what notebooks have written into the user's store meanwhile is no change for them."""
        known = {name: made for name, made in self._known.items() if name not in self._own}
        known |= {name: made for name, made in self._now().items() if name in self.done}
        self._file.write_text(json.dumps(known, indent=1), encoding="utf-8")

    def _now(self) -> dict[str, str]:
        files = sorted(default_root().glob("*/seed-*/*.json"))
        stored = [f"{file} {file.stat().st_mtime_ns}" for file in files]
        return {name: _sha256(own, self._surroundings, *stored) for name, own in self._own.items()}


def _surroundings(root: Path) -> str:
    """Checksum of what any notebook may show: the package, versions, the results that are shipped, where data are."""
    package = Path(__file__).resolve().parent
    parts = [f"{name} {version(name)}" for name in SHOWN_BY + TOOLS]
    for folder, pattern in ((package, "**/*.py"), (root / RESULTS, "**/*.json"), (root, "*.csv"), (root, "book/*.csv")):
        parts += [f"{file.relative_to(folder)} {_sha256(file.read_bytes())}" for file in sorted(folder.glob(pattern))]
    return _sha256(sys.version, os.environ.get("SIMPRUNE_DATA", ""), *parts)


def _sha256(*parts: str | bytes) -> str:
    return hashlib.sha256(b"\0".join(part if isinstance(part, bytes) else part.encode() for part in parts)).hexdigest()


@dataclass
class _Job:
    """One notebook being run by a papermill process."""

    notebook: Path
    target: Path
    process: BaseProcess
    log: Path
    start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.start


def execute(
    notebooks: Sequence[Path | str],
    output_dir: Path | str,
    parameters: Mapping[str, Any] | None = None,
    *,
    jobs: int | None = None,
    console: Console | None = None,
) -> list[Path]:
    """Run notebooks with papermill, several at a time, and tidy what they gave; gives the executed notebooks' paths.

    Each notebook takes those of `parameters` that its cell tagged "parameters" sets. They run with this
    interpreter, whatever kernels are installed, in the folder above the notebook's. `jobs`: at a time;
    default: one per processor. Raises `InputError` for a parameter that no notebook has, `PublishingError`
    naming each notebook that failed, its cell and the exception; what an earlier run left in `output_dir` is
    kept for the notebooks that failed. A notebook that was run before with what it would be run with now is not run.
    """
    notebooks, output_dir = [Path(notebook).resolve() for notebook in notebooks], Path(output_dir).resolve()
    console = console or Console(stderr=True, highlight=False)
    taken = check(notebooks, parameters or {})
    check_writable(output_dir)
    checksums = _Checksums(notebooks, taken, output_dir)
    waiting = [path for path in notebooks if path.name not in checksums.done]
    running, failures = {}, []
    if checksums.done:
        console.print(f"{len(checksums.done)} notebooks are as they were last run, and so is what they read")
    with tempfile.TemporaryDirectory(prefix="simprune-book-") as scratch, _progress(console) as progress:
        scratch = Path(scratch)
        processors = os.cpu_count() or 1
        jobs = min(jobs or processors, len(waiting))
        environment = _environment(scratch, threads=max(1, processors // max(1, jobs)))
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    notebook = waiting.pop(0)
                    job = _start(notebook, scratch / notebook.name, taken[notebook], environment)
                    running[progress.add_task(notebook.stem, total=None)] = job
                wait([job.process.sentinel for job in running.values()], timeout=1)
                for task, job in list(running.items()):
                    if job.process.is_alive():
                        continue
                    del running[task]
                    progress.remove_task(task)
                    if job.process.exitcode:
                        failures.append(_failure(job))
                        continue
                    console.print(f"{job.notebook.name}: executed in {job.seconds:.0f} s")
                    for line in _finish(job, output_dir):
                        console.print(f"{job.notebook.name}: {line}", markup=False)
                    checksums.done.add(job.notebook.name)
        finally:
            for job in running.values():
                job.process.terminate()
                job.process.join()
            checksums.write()
    if failures:
        raise PublishingError("; ".join(failures))
    return [output_dir / notebook.name for notebook in notebooks]


def _environment(scratch: Path, threads: int) -> dict[str, str]:
    """Environment in which "python3" is a kernel of this interpreter, and nothing of the user's is written.

    A kernel computes with that many threads: several that each take all processors hold each other up.
    """
    spec = scratch / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    before = os.environ.get("JUPYTER_PATH")
    # A folder given relative to the current directory would not be found from the notebooks'.
    roots = {name: os.path.abspath(os.environ[name]) for name in ROOTS if os.environ.get(name)}
    return {
        "OMP_NUM_THREADS": str(threads),
        **os.environ,
        **roots,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "JUPYTER_PATH": os.pathsep.join(filter(None, (str(scratch / "jupyter"), before))),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "IPYTHONDIR": str(scratch / "ipython"),
        # Without this the kernel writes a warning about frozen modules for debuggers.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _start(notebook: Path, target: Path, parameters: dict[str, Any], environment: dict[str, str]) -> _Job:
    if not parameters:
        environment = environment | {CLAIMS_HOLD: "1"}
    log = target.with_suffix(".log")
    return _Job(notebook, target, kernels.start(notebook, target, parameters, environment, log), log)


def _failure(job: _Job) -> str:
    """One line: the notebook, the cell, the exception."""
    try:
        cells = nbformat.read(job.target, as_version=4).cells
    except (OSError, ValueError):
        cells = []
    for cell in cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"{job.notebook.name}: {_place(cell, output)} failed: {output.ename}: {output.evalue}"
    said = job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{job.notebook.name}: papermill stopped with status {job.process.exitcode}: {said[-1] if said else ''}"


def _place(cell: NotebookNode, error: NotebookNode) -> str:
    """The cell, and the line of it that the traceback points at."""
    arrow = re.search(r"^-+> \d+ (.*)$", _ESCAPES.sub("", "\n".join(error.traceback)), flags=re.MULTILINE)
    return f"cell {cell.execution_count}" + (f" ({arrow.group(1).strip()})" if arrow else "")


def _finish(job: _Job, output_dir: Path) -> list[str]:
    """Tidy an executed notebook and put it in place; gives what its cells wrote on stderr."""
    notebook = nbformat.read(job.target, as_version=4)
    root = job.notebook.parent.parent
    warnings = tidy(notebook, root)
    place_captions(notebook)
    label_figures(notebook, job.notebook.stem)
    notebook.metadata.papermill.input_path = job.notebook.relative_to(root).as_posix()
    nbformat.write(notebook, output_dir / job.notebook.name)
    return warnings


# Tidying ----------------------------------------------------------------------------------------------------

_PROGRESS = re.compile(r"^seed \d+: |\d+/\d+|\d+%\||[━╸╺█▏▎▍▌▋▊▉]|\x1b\[")


def tidy(notebook: NotebookNode, root: Path) -> list[str]:
    """Make an executed notebook a page, in place; gives the lines on stderr that were not progress.

    Parameter cells fold their code, what cells wrote on stderr and of progress goes, paths of this machine become
    relative, and of papermill's records those stay that say what was run, when, and with what.
    """
    warnings = []
    kept = ("parameters", "start_time", "end_time", "duration", "version")
    notebook.metadata.papermill = {key: notebook.metadata.papermill[key] for key in kept}
    for cell in notebook.cells:
        for record in ("papermill", "execution"):
            cell.metadata.pop(record, None)
        cell.source = teaching.without_marks(cell.source)
        if cell.cell_type != "code":
            cell.source = _from_executed(cell.source)
            continue
        tags = cell.metadata.setdefault("tags", [])
        if "injected-parameters" in tags:
            tags.append("hide-input")
            cell.metadata["mystnb"] = {"code_prompt_show": "Parameters given to this run"}
        streams = [output for output in cell.outputs if output.output_type == "stream" and output.name == "stderr"]
        for line in "".join(output.text for output in streams).replace("\r", "\n").splitlines():
            if line.strip() and not _PROGRESS.search(line):
                warnings.append(line)
        dropped = [*streams, *(output for output in cell.outputs if output.get("metadata", {}).get("simprune"))]
        cell.outputs = [_without_paths(output, root) for output in cell.outputs if output not in dropped]
        for data in (output.get("data", {}) for output in cell.outputs):
            if "text/markdown" in data:
                data["text/markdown"] = _from_executed(data["text/markdown"])
    return warnings


def _from_executed(markdown: str) -> str:
    """Links of notebooks/ to the prose pages, as they are from book/executed/."""
    return markdown.replace("](../book/", "](../")


def _without_paths(output: NotebookNode, root: Path) -> NotebookNode:
    """An output in whose text this project's folder is written as "." and the user's as "~"."""

    def replaced(text: str) -> str:
        for folder, short in {str(root): ".", os.path.expanduser("~"): "~"}.items():
            # Not where the name goes on, as in that of a folder beside it.
            text = re.sub(rf"{re.escape(folder)}(?![\w-]|\.\w)", short, text) if len(folder) > 1 else text
        return text

    if output.output_type == "stream":
        output.text = replaced(output.text)
    for kind, content in output.get("data", {}).items():
        if isinstance(content, str) and "text/" in kind:
            output.data[kind] = replaced(content)
    return output


def write_provenance(executed: Sequence[Path], root: Path) -> Path:
    """Write the page that says how each result that comes with the book and each executed notebook was made."""
    rows = []
    for path in executed:
        notebook = nbformat.read(path, as_version=4)
        record = notebook.metadata.papermill
        given = ", ".join(f"`{name} = {value!r}`" for name, value in record.parameters.items()) or "as in the notebook"
        given = given.replace("|", r"\|")
        when = record.start_time[:16].replace("T", " ")
        title = heading(notebook).replace("|", r"\|")
        rows.append(f"| [{title}]({path.name}) | {when} UTC | {record.duration:.0f} s | {given} |")
    tools = ", ".join(f"{tool} {version(tool)}" for tool in TOOLS)
    page = root / PROVENANCE
    pages = [path.stem for path in executed]
    results = kernels.call("simprune.provenance", "shipped_results", root / RESULTS, pages)
    text = _PROVENANCE_PAGE.format(results=results or "None.", rows="\n".join(rows), tools=tools)
    page.write_text(text, encoding="utf-8")
    return page


_PROVENANCE_PAGE = """\
# Provenance

How everything in this book was made. The page is written when the book is, from what stands beside each result and in
each notebook.

## Results that come with the book

Training takes hours, so its tables come with the book and are only read. A checksum is shown by its first digits; the
record has all of them, and how the run was set up. {{doc}}`../rerun` says how to make any of these again.

{results}

## Pages that were notebooks

They were run to make these pages, with these parameters. On each page of results stands, one click away, what it was
computed from.

| page | run on | took | parameters |
|---|---|---|---|
{rows}

The book was built with {tools}.
"""


# Building the book ------------------------------------------------------------------------------------------


def build(root: Path | str = ".", output: Path | str | None = None, *, console: Console | None = None) -> Path:
    """Build the book from its pages and executed notebooks, warnings being errors; gives the path of its first page.

    `output`: the folder in which `_build` is made (default: the root). Raises `InputError` if `root` is not a book,
    `PublishingError` with the first warning if there is any, or naming a page that is missing or empty.
    """
    root, console = book_root(root), console or Console(stderr=True, highlight=False)
    output = Path(output).resolve() if output else root
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(root)]
    # --all: with pages left over from an earlier build their warnings would not be seen.
    command += ["--path-output", str(output), "--all", "-n", "-W", "--keep-going"]
    html = output / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)  # pages that are no longer in the table of contents
    clock = time.perf_counter()
    with _progress(console) as progress:
        progress.add_task("building the book", total=None)
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = _ESCAPES.sub("", done.stderr + done.stdout)
        warnings = [
            line for line in said.splitlines() if re.search(r"\b(WARNING|ERROR|CRITICAL|Error|Exception)\b", line)
        ]
        for line in warnings or said.splitlines()[-10:]:
            console.print(line, markup=False)
        raise PublishingError(f"the book was not built: {warnings[0] if warnings else said.strip()[-200:]}")
    for page in ["index", *toc_pages(root)]:
        if not (html / f"{page}.html").is_file() or not (html / f"{page}.html").stat().st_size:
            raise PublishingError(f"the book was not built: its page {page}.html is missing or empty")
    teaching.publish(root / NOTEBOOKS, root / EXECUTED, html)
    console.print(f"book: {len(toc_pages(root))} pages built in {time.perf_counter() - clock:.0f} s")
    return html / "index.html"


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    """What is going on and for how long, on a terminal; elsewhere nothing."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


# Printing it -----------------------------------------------------------------------------------------------
# Sphinx's own builder of one page, singlehtml, fails on nodes that its extensions leave in pages (sphinx-design's).


def pdf(root: Path | str = ".", output: Path | str | None = None) -> Path:
    """Print the book that `build` made to a PDF, and its slides to one each beside it; gives the path of the book's.

    `output`: the folder that holds `_build` (default: the root). Raises `InputError` if `root` is not a book, the book
    is not built or there is no chromium, `PublishingError` if it prints nothing.
    """
    root = book_root(root)
    build = (Path(output).resolve() if output else root) / "_build"
    pages = [page for page in toc_pages(root) if (build / "html" / f"{page}.html").is_file()]
    if not pages:
        raise InputError(f"output: {str(build / 'html')!r} holds no built book; run `make book` first")
    program = browser()
    if program is None:
        raise InputError(
            f"there is no chromium on this machine to print the book with (looked for {', '.join(BROWSERS)})"
        )
    folder = build / "pdf"
    folder.mkdir(parents=True, exist_ok=True)
    page, printed = folder / "book.html", folder / "book.pdf"
    page.write_text(one_page(root, build / "html", pages), encoding="utf-8")
    for old in folder.glob("*.pdf"):
        old.unlink()
    _print(program, page.as_uri(), printed)
    for talk in sorted((build / "html" / teaching.FOLDER).glob("*.html")):
        page = folder / talk.name
        page.write_text(printed_slides(talk), encoding="utf-8")
        _print(program, page.as_uri(), folder / f"{talk.stem}.pdf")
    return printed


def printed_slides(talk: Path) -> str:
    """The slides of a built talk one below the other, a page each, without the scripts that show them one by one."""
    read = BeautifulSoup(talk.read_text(encoding="utf-8"), "html.parser")
    read.head.insert(0, read.new_tag("base", href=talk.as_uri()))
    for tag in read.select('body > script, aside.notes, link[href$="reveal.css"]'):
        tag.decompose()
    read.body["class"] = "printed-slides"
    return str(read)


def browser() -> str | None:
    """The path of a chromium on this machine; None if there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def one_page(root: Path, html: Path, pages: list[str]) -> str:
    """The articles of the built pages one after the other, links between them leading within the one page.

    Addresses of files are relative to a folder beside `html`.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    read = {page: BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser") for page in pages}
    # Styles, the settings of MathJax, which the pages carry, and what sets it going.
    head = [*read[pages[0]].select('link[rel~="stylesheet"]'), *filter(_sets_formulas, read[pages[0]].select("script"))]
    for tag in head:
        _move(tag, pages[0], pages)
    title = escape(config["title"])
    articles = [
        f'<div class="printed-page" id="{_anchor(page)}">\n{_article(page, read[page], pages)}</div>' for page in pages
    ]
    return _PAGE.format(
        title=title,
        author=escape(config.get("author", "")),
        head="\n".join(map(str, head)),
        contents=_contents(root, read),
        articles="\n".join(articles),
    )


def _sets_formulas(script: Tag) -> bool:
    return "mathjax" in script.get("src", "") or script.get_text().startswith("window.MathJax")


def _article(page: str, read: BeautifulSoup, pages: list[str]) -> str:
    """What a page says, without what only a screen can do, its addresses those of the one page."""
    article = read.select_one("article.bd-article")
    if article is None or article.h1 is None:
        raise PublishingError(f"the page {page} has no article; was it built by another version of the theme?")
    for tag in article.select(_SCREEN_ONLY):
        tag.decompose()
    for tag in article.find_all(True):
        _move(tag, page, pages)
    return article.decode_contents()


def _move(tag: Tag, page: str, pages: list[str]) -> None:
    """Give a tag of a page the name and the addresses that it has in the one page."""
    if tag.get("id"):
        tag["id"] = f"{_anchor(page)}-{tag['id']}"
    for kind in _ADDRESSES:
        if tag.get(kind):
            tag[kind] = _moved_address(tag[kind], page, pages)


def _moved_address(address: str, page: str, pages: list[str]) -> str:
    if urlsplit(address).scheme:
        return address
    file, fragment = urldefrag(address)
    target = normpath(join(dirname(page), file)) if file else f"{page}.html"
    if target.removesuffix(".html") in pages:
        anchor = _anchor(target.removesuffix(".html"))
        return f"#{anchor}-{fragment}" if fragment else f"#{anchor}"
    return f"../html/{target}" + (f"#{fragment}" if fragment else "")


def _anchor(page: str) -> str:
    return page.replace("/", "-")


def _contents(root: Path, read: dict[str, BeautifulSoup]) -> str:
    """The table of contents, with its parts; the pages are without what only a screen can do."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    front = parse_toc_yaml(root / "_toc.yml").root
    lines = []
    for caption, pages in (("", [front.docname]), *((part.caption, part.files()) for part in front.subtrees)):
        if caption:
            lines.append(f"<p>{escape(caption)}</p>")
        titles = {page: read[page].h1.decode_contents() for page in pages if page in read}
        items = (f'<li><a href="#{_anchor(page)}">{title}</a></li>' for page, title in titles.items())
        lines.append(f"<ul>{''.join(items)}</ul>")
    return "\n".join(lines)


_PAGE = """\
<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<title>{title}</title>
{head}
</head>
<body>
<main class="bd-content printed-book"><div class="bd-article-container">
<header class="printed-title"><p class="printed-name">{title}</p><p>{author}</p></header>
<nav class="printed-contents" aria-label="Contents">
{contents}
</nav>
{articles}
</div></main>
</body>
</html>
"""


def _print(program: str, address: str, printed: Path) -> None:
    """Have a chromium print a page of this machine; it reaches no other."""
    with tempfile.TemporaryDirectory(prefix="simprune-print-", ignore_cleanup_errors=True) as profile:
        command = [program, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        command += ["--disable-component-update", "--disable-sync", "--proxy-server=127.0.0.1:9"]
        # Its sandbox does not work for root, as in containers; the page is ours.
        command += ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        command += [f"--user-data-dir={profile}", "--no-pdf-header-footer", "--generate-pdf-document-outline"]
        # Time runs for the page as fast as it can, until its formulas are set.
        command += ["--virtual-time-budget=120000", f"--print-to-pdf={printed}", address]
        try:
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired as error:
            raise PublishingError(f"the book was not printed: {program} took more than {TIME_LIMIT} s") from error
    if done.returncode or not printed.is_file():
        said = done.stderr.strip().splitlines()
        raise PublishingError(f"the book was not printed: {program}: {said[-1] if said else done.returncode}")
