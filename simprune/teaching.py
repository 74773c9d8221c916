"""Material for teaching, made of notebooks: the student's version of the exercises, and slides of the sessions.

Solutions stand between the marks that nbgrader uses, so that a course that runs on nbgrader can take the notebook as it
is. Slides are reveal.js, which comes with the book; notes for the teacher are in its speaker view.
"""

import copy
import re
from base64 import b64encode
from functools import cache
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from simprune.errors import InputError

FOLDER = Path("book/teach")  # in the built book

_SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION[ \t]*\n?", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:)[^)\s]+\.(?:ipynb|md)(?:#[^)]*)?\)")  # to a page of the book
_MARK = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)
# What nbgrader puts in the place of a solution, in code and in text.
_STUBS = {"code": r"\1# YOUR CODE HERE\n\1raise NotImplementedError()\n", "markdown": "*Your answer here.*\n"}


def student(notebook: NotebookNode) -> NotebookNode:
    """The notebook without outputs, a place to write in the place of each solution, and no links to pages around it.

    Raises `InputError` for a mark that has no counterpart, and where there is none.
    """
    if not any(_MARK.search(cell.source) for cell in notebook.cells):
        raise InputError("notebook: it has no solutions, which stand between ### BEGIN SOLUTION and ### END SOLUTION")
    made = copy.deepcopy(notebook)
    for number, cell in enumerate(made.cells, 1):
        # Of several solutions in a cell, the first is the place to write.
        source = _SOLUTION.sub(_STUBS.get(cell.cell_type, ""), cell.source, count=1)
        cell.source = _SOLUTION.sub("", source).rstrip("\n")
        if _MARK.search(cell.source):
            raise InputError(f"cell {number}: BEGIN SOLUTION and END SOLUTION are not in pairs")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = _LINK.sub(r"*\1* (a page of the book)", cell.source)
    made.metadata.pop("papermill", None)
    return made


def without_marks(source: str) -> str:
    """A cell's source with its solution, but not the marks around it."""
    return _MARK.sub("", source).rstrip("\n") if _MARK.search(source) else source


# Slides -------------------------------------------------------------------------------------------------------


def slides(notebook: NotebookNode) -> str:
    """A page of reveal.js made of an executed notebook whose cells say what they are on a slide, as Jupyter has it.

    Cells that a page of the book hides are left out, and so is the code of cells whose code it folds.
    """
    columns: list[list[str]] = []
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if kind == "skip":
            continue
        content = _markdown(cell.source) if cell.cell_type == "markdown" else _code(cell)
        if kind == "slide":
            columns.append([])
        if not columns:
            continue
        around = {"notes": '<aside class="notes">{}</aside>', "fragment": '<div class="fragment">{}</div>'}
        columns[-1].append(around.get(kind, "{}").replace("{}", content))
    title = next(cell.source for cell in notebook.cells if cell.source.startswith("# "))
    title = escape(title.splitlines()[0].removeprefix("# "))
    opening = f"<section><h1>{title}</h1></section>"
    sections = "\n".join(f"<section>\n{''.join(parts)}\n</section>" for parts in columns)
    return _SLIDES.replace("{title}", title).replace("{slides}", f"{opening}\n{sections}")


@cache
def _markdown_renderer():
    """Renders Markdown with tables and formulas, as MathJax reads them."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def formula(text, options):
        return (r"\[{}\]" if options["display_mode"] else r"\({}\)").format(escape(text))

    renderer = MarkdownIt("commonmark", {"html": True}).enable("table")
    return renderer.use(dollarmath_plugin, renderer=formula)


def _code(cell: NotebookNode) -> str:
    """What a cell shows; before it, its code, unless the book folds it."""
    folded = {"hide-input", "remove-input"} & set(cell.metadata.get("tags", []))
    code = "" if folded else f"<pre><code>{escape(cell.source)}</code></pre>"
    alt = escape(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))
    return code + "".join(_output(output, alt) for output in cell.outputs)


def _markdown(text: str) -> str:
    """Markdown as HTML, links between pages leading from the slides to the pages of the book."""
    html = _markdown_renderer().render(text)
    html = re.sub(r'href="([\w-]+)\.ipynb"', r'href="../executed/\1.html"', html)
    return re.sub(r'href="(\.\./[\w/-]+)\.md"', r'href="\1.html"', html)


def _output(output: NotebookNode, alt: str) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return f"<div>{data['text/html']}</div>"
    if "text/markdown" in data:
        return _markdown(data["text/markdown"])
    if "image/svg+xml" in data:
        return f'<img alt="{alt}" src="data:image/svg+xml;base64,{b64encode(data["image/svg+xml"].encode()).decode()}">'
    if "image/png" in data:
        return f'<img alt="{alt}" src="data:image/png;base64,{data["image/png"].strip()}">'
    return f"<pre>{escape(data.get('text/plain', output.get('text', '')))}</pre>"


_SLIDES = """\
<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="../../_static/reveal/reveal.css">
<link rel="stylesheet" href="../../_static/simprune.css">
<link rel="stylesheet" href="../../_static/slides.css">
<script defer src="../../_static/mathjax/tex-chtml.js"></script>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="../../_static/reveal/reveal.js"></script>
<script src="../../_static/reveal/notes.js"></script>
<script>
// An address may hold the state of a picture that is dragged: reveal.js, which would drop it, is sent to its slide.
const state = location.hash;
Reveal.initialize({width: 1120, height: 720, margin: 0.04, hash: true, slideNumber: "c/t", transition: "none",
  controlsTutorial: false, plugins: [RevealNotes], pdfSeparateFragments: false}).then(() => {
  const picture = document.getElementById(`live-${state.slice(1).split("?")[0]}`);
  if (!picture) return;
  Reveal.slide(Reveal.getIndices(picture.closest("section")).h);
  location.hash = state;
});
</script>
</body>
</html>
"""


# With the book -----------------------------------------------------------------------------------------------


def publish(sources: Path, executed: Path, html: Path) -> list[Path]:
    """Put the student's versions and the slides of the executed notebooks beside the pages of the built book.

    `sources` and `executed` are the folders of the notebooks before and after they were run. Gives the files' paths.
    """
    folder = html / FOLDER
    made = []
    for path in sorted(executed.glob("*.ipynb")):
        if (sources / path.name).is_file():
            source = nbformat.read(sources / path.name, as_version=4)
            if any(_MARK.search(cell.source) for cell in source.cells):
                made.append(folder / f"{path.stem}_student.ipynb")
                _write(made[-1], nbformat.writes(student(source)))
        notebook = nbformat.read(path, as_version=4)
        if any("slideshow" in cell.metadata for cell in notebook.cells):
            made.append(folder / f"{path.stem}.html")
            _write(made[-1], slides(notebook))
    return made


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
