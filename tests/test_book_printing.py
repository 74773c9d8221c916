"""The built book becomes one page, and that a PDF."""

import re
import shutil
from pathlib import Path

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from simprune import book as making
from simprune import teaching
from simprune.book import PublishingError
from simprune.errors import InputError

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = """<html><head><link rel="stylesheet" href="{up}_static/simprune.css">
<script src="{up}_static/mathjax/m.js"></script>
<script>window.MathJax = {{}}</script></head><body><nav>Sidebar</nav><article class="bd-article">
<section id="{id}"><h1>{title}<a class="headerlink" href="#{id}">#</a></h1>{text}</section></article></body></html>"""


@pytest.fixture
def book(tmp_path):
    """A built book of two pages that link to each other, beside its configuration."""
    (tmp_path / "_config.yml").write_text("title: A <small> book\nauthor: Somebody\n")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n- caption: Methods\n  chapters:\n  - file: book/more/second\n"
    )
    pages = {
        "book/index": '<p>See <a href="more/second.html#top">it</a>, <a href="https://doi.org/10">elsewhere</a>.</p>'
        '<details class="admonition hide above-input"><summary>Show</summary><pre>folded_code()</pre></details>',
        "book/more/second": '<p id="top">Back to the <a href="../index.html">start</a>, to <a href="#top">top</a>.</p>'
        '<img alt="A picture" src="../../_images/a.png"><script>interactive()</script>',
    }
    for page, text in pages.items():
        path = tmp_path / "_build" / "html" / f"{page}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        title = page.rsplit("/", 1)[1].capitalize()
        up = "../" * page.count("/")
        path.write_text(PAGE.format(up=up, id="top-of-it", title=title, text=text))
    return tmp_path


def one_page(book):
    return making.one_page(book, book / "_build" / "html", ["book/index", "book/more/second"])


def test_links_between_pages_lead_within_the_one_page(book):
    text = one_page(book)
    links = re.findall(r'href="#([^"]+)"', text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert set(links) == {"book-index", "book-more-second", "book-more-second-top"}
    assert set(links) <= set(ids) and len(ids) == len(set(ids))
    assert 'href="https://doi.org/10"' in text


def test_files_are_those_of_the_built_book(book):
    text = one_page(book)
    assert 'src="../html/_images/a.png"' in text
    assert 'href="../html/_static/simprune.css"' in text
    assert text.count('src="../html/_static/mathjax/m.js"') == 1


def test_what_only_a_screen_can_do_is_left_out(book):
    text = one_page(book)
    for word in ("folded_code", "interactive", "Sidebar", "headerlink"):
        assert word not in text
    assert "window.MathJax" in text


def test_the_contents_list_the_pages_under_their_parts(book):
    contents = re.search(r'<nav class="printed-contents".*?</nav>', one_page(book), re.S).group()
    assert re.findall(r">([^<>\n]+)<", contents) == ["Index", "Methods", "Second"]
    assert "A &lt;small&gt; book" in one_page(book)


@pytest.mark.skipif(making.browser() is None, reason="there is no chromium on this machine")
def test_the_book_is_printed(book):
    stale = book / "_build" / "pdf" / "book.pdf"
    stale.parent.mkdir()
    stale.write_text("from an earlier book")
    static = book / "_build" / "html" / "_static"
    static.mkdir()
    shutil.copy(CHECKOUT / "book" / "_static" / "simprune.css", static)
    data = making.pdf(book).read_bytes()
    assert data.startswith(b"%PDF-")
    # The contents, and each page of the book on one of its own.
    assert len(re.findall(rb"/Type /Page\b", data)) == 3


@pytest.mark.skipif(making.browser() is None, reason="there is no chromium on this machine")
def test_slides_are_printed_each_on_a_page(book):
    cells = [new_markdown_cell(f"# Talk {n}", metadata={"slideshow": {"slide_type": "slide"}}) for n in (1, 2, 3)]
    talk = book / "_build" / "html" / teaching.FOLDER / "talk.html"
    talk.parent.mkdir(parents=True)
    talk.write_text(teaching.slides(new_notebook(cells=cells)))
    shutil.copytree(CHECKOUT / "book" / "_static", book / "_build" / "html" / "_static", dirs_exist_ok=True)
    data = (making.pdf(book).parent / "talk.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", data)) == 4  # the title, and three


def test_a_book_that_is_not_built_is_refused(book):
    (book / "_build" / "html").rename(book / "_build" / "other")
    with pytest.raises(InputError, match="holds no built book; run `make book` first"):
        making.pdf(book)


def test_without_a_browser_nothing_is_written_and_the_reason_is_said(book, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="no chromium on this machine"):
        making.pdf(book)
    assert not (book / "_build" / "pdf").exists()


def test_a_browser_that_prints_nothing_is_named(book, monkeypatch):
    monkeypatch.setattr(making, "browser", lambda: "/bin/false")
    with pytest.raises(PublishingError, match="the book was not printed: /bin/false"):
        making.pdf(book)


def test_a_page_of_another_theme_is_named(book, monkeypatch):
    monkeypatch.setattr(making, "browser", lambda: "/bin/false")

    path = book / "_build" / "html" / "book" / "index.html"
    path.write_text(path.read_text().replace("<article", "<div").replace("</article>", "</div>"))
    with pytest.raises(PublishingError, match="the page book/index has no article"):
        making.pdf(book)
