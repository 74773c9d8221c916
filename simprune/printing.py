"""Built book → one page → PDF.

`pdf` puts the pages of the built book one after the other, as they are on the screen but for what only a screen can do,
and has a chromium print them. Nothing is fetched: formulas, fonts and figures come from the built book.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import urldefrag, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

from simprune.errors import InputError
from simprune.publishing import PublishingError, book_root, toc_pages

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIME_LIMIT = 600  # seconds that the browser may take
# What only a screen can do. A page's own headings, figures, tables and formulas stay.
_SCREEN_ONLY = "script, style, details.admonition.hide, a.headerlink"
_ADDRESSES = ("href", "src")


def pdf(root: Path | str = ".", output: Path | str | None = None) -> Path:
    """Print the book that `publishing.build` made to a PDF; gives its path.

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
    printed.unlink(missing_ok=True)
    _print(program, page, printed)
    return printed


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
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    parts = [{"chapters": [{"file": toc["root"]}]}, *toc.get("parts", [{"chapters": toc.get("chapters", [])}])]
    lines = []
    for part in parts:
        chapters = [entry["file"] for entry in part["chapters"] if entry.get("file") in read]
        if part.get("caption"):
            lines.append(f"<p>{escape(part['caption'])}</p>")
        items = (f'<li><a href="#{_anchor(page)}">{read[page].h1.decode_contents()}</a></li>' for page in chapters)
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


def _print(program: str, page: Path, printed: Path) -> None:
    """Have a chromium print a page of this machine; it reaches no other."""
    with tempfile.TemporaryDirectory(prefix="simprune-print-", ignore_cleanup_errors=True) as profile:
        command = [program, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        command += ["--disable-component-update", "--disable-sync", "--proxy-server=127.0.0.1:9"]
        # Its sandbox does not work for root, as in containers; the page is ours.
        command += ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        command += [f"--user-data-dir={profile}", "--no-pdf-header-footer", "--generate-pdf-document-outline"]
        # Time runs for the page as fast as it can, until its formulas are set.
        command += ["--virtual-time-budget=120000", f"--print-to-pdf={printed}", page.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired as error:
            raise PublishingError(f"the book was not printed: {program} took more than {TIME_LIMIT} s") from error
    if done.returncode or not printed.is_file():
        said = done.stderr.strip().splitlines()
        raise PublishingError(f"the book was not printed: {program}: {said[-1] if said else done.returncode}")


if __name__ == "__main__":
    try:
        print(f"The book to print: {pdf()}")
    except (InputError, PublishingError) as error:
        sys.exit(f"Error: {error}")
