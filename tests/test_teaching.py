"""Slides are made of what notebooks say of their cells; the sessions hold to their plans."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from simprune import teaching

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SESSIONS = sorted(NOTEBOOKS.glob("session_*.ipynb"))


def on(kind, made, **metadata):
    """A cell with its place on the slides."""
    made.metadata = metadata | {"slideshow": {"slide_type": kind}}
    return made


@pytest.fixture
def page():
    table = new_output("execute_result", {"text/html": "<table>12</table>", "text/plain": "12"})
    said = new_output(
        "display_data", {"text/markdown": "**So** $a < b$, see [it](guide.ipynb) and [that](../rerun.md)."}
    )
    picture = new_output("display_data", {"image/png": "iVBORw=="})
    cells = [
        on("skip", new_markdown_cell("# A talk <1>\n\nThe plan.")),
        on("skip", new_code_cell("hidden = 1", outputs=[])),
        on("slide", new_markdown_cell("## First")),
        on("-", new_code_cell("folded", outputs=[said]), tags=["hide-input"]),
        on("fragment", new_code_cell("shown < 1", outputs=[table])),
        on("notes", new_markdown_cell("> *Say.* Hello.")),
        on("slide", new_markdown_cell("## Second\n\n$$\nx^2\n$$")),
        on("-", new_code_cell("draw", outputs=[picture]), mystnb={"image": {"alt": "A <line>"}}, tags=["hide-input"]),
    ]
    return teaching.slides(new_notebook(cells=cells))


def test_a_slide_has_what_follows_its_cell_up_to_the_next(page):
    title, first, second = re.findall("<section>(.*?)</section>", page, re.DOTALL)
    assert "A talk &lt;1&gt;" in title and "The plan" not in page and "hidden" not in page
    assert "<h2>First</h2>" in first and "<h2>Second</h2>" not in first
    assert "\\(a &lt; b\\)" in first and "\\[x^2\\]" in second


def test_code_is_shown_unless_it_is_folded_and_notes_are_for_the_speaker(page):
    assert "folded" not in page and "draw" not in page
    assert '<div class="fragment"><pre><code>shown &lt; 1</code></pre><div><table>12</table></div></div>' in page
    assert re.search(r'<aside class="notes"><blockquote>\s*<p><em>Say.</em> Hello.', page)


def test_links_lead_from_the_slides_to_the_pages_and_pictures_are_described(page):
    assert 'href="../executed/guide.html"' in page and 'href="../rerun.html"' in page
    assert '<img alt="A &lt;line&gt;" src="data:image/png;base64,iVBORw==">' in page


def test_what_is_taught_with_is_put_beside_the_pages_of_the_book(tmp_path):
    sources, executed = tmp_path / "notebooks", tmp_path / "executed"
    for folder in (sources, executed):
        folder.mkdir()
    mark = new_code_cell("### BEGIN SOLUTION\n1\n### END SOLUTION")
    nbformat.write(new_notebook(cells=[mark]), sources / "tasks.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), executed / "tasks.ipynb")
    cells = [on("skip", new_markdown_cell("# A talk")), on("slide", new_markdown_cell("## One"))]
    nbformat.write(new_notebook(cells=cells), executed / "talk.ipynb")
    nbformat.write(new_notebook(cells=[new_markdown_cell("# A page")]), executed / "page.ipynb")
    made = teaching.publish(sources, executed, tmp_path / "html")
    assert made == [tmp_path / "html/book/teach" / name for name in ("talk.html", "tasks_student.ipynb")]
    assert "YOUR CODE HERE" in made[1].read_text()


def test_a_students_version_is_made_by_a_command(tmp_path, command):
    target = tmp_path / "mine.ipynb"
    assert command("student", NOTEBOOKS / "exercises.ipynb", target)[::2] == (0, "")
    assert "SOLUTION" not in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("none.ipynb", "made.ipynb", "'none.ipynb' is not there"),
        ("text.ipynb", "made.ipynb", "text.ipynb: it is not a notebook"),
        ("plain.ipynb", "made.ipynb", "it has no solutions, which stand between ### BEGIN SOLUTION and ### END"),
        ("plain.ipynb", "./plain.ipynb", "made: that is the notebook itself"),
        ("tasks.ipynb", "no/made.ipynb", "'no/made.ipynb' can't be written (No such file or directory)"),
        ("x" * 3000, "made.ipynb", "can't be used (File name too long)"),
    ],
)
def test_the_command_refuses_what_it_can_make_no_version_of(source, target, message, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    Path("text.ipynb").write_text("text")
    nbformat.write(new_notebook(cells=[new_markdown_cell("text")]), "plain.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("### BEGIN SOLUTION\n1\n### END SOLUTION")]), "tasks.ipynb")
    status, _, err = command("student", source, target)
    assert status == 2 and message in err and err.count("\n") == 1 and not Path("made.ipynb").exists()


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_the_plan_of_a_session_has_45_minutes_and_a_row_for_each_slide(path):
    cells = nbformat.read(path, as_version=4).cells
    rows = re.findall(r"^\| (\d+)–(\d+) \| .* \| (\d+) \|$", cells[0].source, re.MULTILINE)
    starts, ends, numbers = ([int(value) for value in column] for column in zip(*rows, strict=True))
    assert starts == [0, *ends[:-1]] and ends[-1] == 45
    kinds = [(cell.metadata.get("slideshow", {}).get("slide_type"), cell.source) for cell in cells]
    titles = [int(re.match(r"## (\d+)\. ", source)[1]) for kind, source in kinds if kind == "slide"]
    assert titles == numbers == list(range(1, len(titles) + 1))
    # Each slide has its notes, and every cell its place.
    assert [kind for kind, _ in kinds if kind in ("slide", "notes")] == ["slide", "notes"] * len(titles)
    assert all(kind for kind, _ in kinds)
    assert all(
        "*Say.*" in source or "*Do.*" in source or "*Expect.*" in source for kind, source in kinds if kind == "notes"
    )
