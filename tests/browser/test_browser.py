"""The built book in a browser. `make test-browser` runs these on what `make book` made.

`SIMPRUNE_HTML` names the folder of the built pages; axe-core is looked for in `SIMPRUNE_AXE` and in `_build/node`.
"""

import csv
import functools
import http.server
import os
import re
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Error, Page, sync_playwright

from simprune.book import browser as find_browser

CHECKOUT = Path(__file__).resolve().parents[2]
HTML = Path(os.environ["SIMPRUNE_HTML"]).resolve() if os.environ.get("SIMPRUNE_HTML") else None
AXE = Path(os.environ.get("SIMPRUNE_AXE") or CHECKOUT / "_build/node/node_modules/axe-core/axe.min.js")
PAGES = sorted(
    path.relative_to(HTML).as_posix() for path in (HTML.rglob("*.html") if HTML else []) if "_static" not in path.parts
)
# Sphinx makes these; they are pages like others, but for genindex and search without content of ours.
CONTENT = [page for page in PAGES if page.startswith("book/")]
EXPLORER = "book/executed/explorer.html"
# The page of a study has the tables that it was made from.
RESULTS = [page for page in CONTENT if "/performance.parquet" in (HTML / page).read_text(encoding="utf-8")]
PHONE = 390

CHROMIUM = find_browser()

pytestmark = [
    pytest.mark.skipif(HTML is None, reason="SIMPRUNE_HTML names no built book; make test-browser does"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


def address(page, query=""):
    return (HTML / page).as_uri() + query


SETTLED = """
Promise.resolve(window.MathJax?.startup?.promise)
  .then(() => document.fonts.ready)
  .then(() => new Promise(done => setTimeout(done, 150)))
"""


class Reader:
    """Somebody who reads a page, and what their browser complains of."""

    def __init__(self, page: Page):
        self.page, self.problems = page, []
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("console", lambda said: self.problems.append(said.text) if said.type in ("error", "assert") else None)
        page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        page.context.route(re.compile("^(?!(file|data|blob|about|http://127.0.0.1):?)"), self._refuse)

    def _refuse(self, route):
        self.problems.append(f"foreign request: {route.request.url}")
        route.abort()

    def open(self, address, *, width=1280, height=900):
        """Go to a page and wait until it is loaded, its formulas are set and nothing moves."""
        self.problems.clear()
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.goto(address)
        self.page.wait_for_load_state()
        try:
            self.run(SETTLED)
        except Error:  # the first page leads on to another
            self.page.wait_for_load_state()
            self.run(SETTLED)

    def run(self, script):
        """The value of a JavaScript expression in the page; of a promise, what it comes to."""
        return self.page.evaluate(script)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser(chromium):
    """A reader of the book as it lies on a disk."""
    page = chromium.new_page()
    yield Reader(page)
    page.close()


@pytest.fixture(scope="module")
def online(chromium):
    """A reader of the book as a server of the web gives it, and the address that it is under."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=HTML)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page()
        yield Reader(page), f"http://127.0.0.1:{server.server_port}"
        page.close()
        server.shutdown()


@pytest.fixture
def explorer(browser):
    browser.open(address(EXPLORER))
    return browser


def test_there_are_pages():
    assert len(CONTENT) > 5


# Every page -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_without_an_error_or_a_request_to_another_host(browser, page):
    browser.open(address(page))
    assert browser.problems == []


@pytest.mark.parametrize("page", CONTENT)
def test_a_page_does_not_scroll_sideways_on_a_phone(browser, page):
    browser.open(address(page), width=PHONE, height=844)
    wide = browser.run(
        "[...document.querySelectorAll('article *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        ".slice(0, 3).map(e => e.outerHTML.slice(0, 120))"
    )
    assert browser.run("document.scrollingElement.scrollWidth") <= PHONE, wide


SERIOUS = """
axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations
  .filter(({impact}) => ["serious", "critical"].includes(impact))
  .map(({id, nodes}) => [id, nodes.length, nodes.slice(0, 3).map((node) => `${node.target}: ${node.failureSummary}`)]))
"""


@pytest.mark.parametrize("page", CONTENT)
def test_axe_finds_nothing_serious_in_either_theme(browser, page):
    if not AXE.is_file():
        pytest.skip(f"axe-core is not at {AXE}; make test-browser fetches it where npm is there")
    browser.open(address(page))
    browser.run(AXE.read_text(encoding="utf-8") + "; null")
    for theme in ("light", "dark"):
        browser.run(f"document.documentElement.dataset.theme = '{theme}'; new Promise(done => setTimeout(done, 400))")
        assert browser.run(SERIOUS) == [], theme


@pytest.mark.parametrize("page", PAGES)
def test_no_address_in_a_page_starts_at_the_root_of_a_host(page):
    """So the book can be put into any folder of any host."""
    text = (HTML / page).read_text(encoding="utf-8")
    assert not re.findall(r'(?:href|src)="/[^"]*"', text)


# Controls of the theme --------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["CKA", "Procrustes"])
def test_the_search_finds_pages(browser, words):
    browser.open(address("search.html", f"?q={words}"))
    found = browser.run(
        "new Promise(done => { let left = 100; const look = () => { const links = "
        "[...document.querySelectorAll('#search-results li a')]; "
        "links.length || !left-- ? done(links.map(a => a.getAttribute('href'))) : setTimeout(look, 50); }; look(); })"
    )
    assert any("book/" in link for link in found)


def test_the_theme_can_be_switched(browser):
    browser.open(address(CONTENT[0]))
    themes = set()
    for _ in range(3):
        themes.add(browser.run("document.documentElement.dataset.theme"))
        browser.run("document.querySelector('.theme-switch-button').click()")
    assert themes == {"light", "dark"}


def test_folded_cells_and_solutions_unfold(browser):
    pages = {page: (HTML / page).read_text(encoding="utf-8") for page in CONTENT}
    folded = next(page for page, text in pages.items() if '<details class="admonition hide' in text)
    browser.open(address(folded))
    assert browser.run(
        "(() => { const cell = document.querySelector('details.hide'); const before = cell.open; "
        "cell.querySelector('summary').click(); return before !== cell.open; })()"
    )
    browser.open(address("book/executed/exercises.html"))
    shown = "[...document.querySelectorAll('article details:not(.hide)')].map(answer => answer.open)"
    assert not any(browser.run(shown))
    browser.run("document.querySelector('article details:not(.hide) summary').click()")
    assert browser.run(shown).count(True) == 1


def test_a_link_to_the_glossary_says_what_the_term_means(browser):
    browser.open(address("book/methods/experiment.html"))
    titles = browser.run("[...document.querySelectorAll('article a[href*=\"#term-\"]')].map(link => link.title)")
    assert len(titles) >= 4 and all(len(title) > 20 for title in titles)


@pytest.mark.parametrize("page", CONTENT)
def test_figures_and_their_numbers_can_be_taken_away(browser, page):
    browser.open(address(page))
    counts = browser.run(
        "['article figure img:not(.live img)', 'figcaption .take-away a', "
        "'.cell_output :not(#explorer-table, .verdict) > table.dataframe', "
        "'a[download$=\".csv\"]:not(#explorer-download)'].map(chosen => document.querySelectorAll(chosen).length)"
    )
    assert counts[0] == counts[1] and counts[2] == counts[3]


# What a reader sees in each place of a table, cells that span several repeated.
SEEN = """
[...document.querySelectorAll('article .cell_output :not(#explorer-table, .verdict) > table.dataframe')].map(table => {
  const box = cell => cell.getBoundingClientRect(), cells = [...table.querySelectorAll('th, td')];
  const folded = table.closest('details'); if (folded) folded.open = true;
  const columns = [...new Set(cells.map(cell => Math.round(box(cell).left)))].sort((a, b) => a - b);
  return [...table.rows].map(row => { const y = box(row).top + box(row).height / 2; return columns.map(x =>
    cells.find(cell => { const b = box(cell); return b.left <= x + 1 && x + 1 < b.right && b.top <= y && y < b.bottom;
    })?.textContent.trim() ?? ''); });
})
"""


@pytest.mark.parametrize("page", CONTENT)
def test_numbers_that_are_taken_away_stand_where_they_are_seen(browser, page):
    browser.open(address(page))
    seen = browser.run(SEEN)
    links = browser.page.locator("a[download$='.csv']:not(#explorer-download)")
    for place, table in enumerate(seen):
        with browser.page.expect_download() as download:
            links.nth(place).click()  # by the mouse: without a hand the browser saves ten files of a page and no more
        rows = list(csv.reader(download.value.path().read_text(encoding="utf-8").splitlines()))
        assert len({len(row) for row in rows}) == 1, (page, place)
        assert rows == table, (page, place)


def test_a_figure_is_taken_away_from_a_server_and_opened_from_a_disk(browser, online):
    """A browser downloads no file from a disk; there the figure is opened, to be saved from where it is."""
    reader, host = online
    page = (RESULTS or CONTENT)[0]
    reader.open(f"{host}/{page}")
    figure = reader.page.locator("article figure").first
    with reader.page.expect_download() as download:
        figure.locator("figcaption a[download]").click()
    assert download.value.suggested_filename == f"{figure.get_attribute('id')}.png"
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    browser.open(address(page))
    with browser.page.context.expect_page() as opened:
        browser.page.locator("article figure figcaption .take-away a").first.click()
    assert opened.value.url.endswith(".png")
    opened.value.close()


@pytest.mark.parametrize("page", RESULTS)
def test_a_page_of_results_says_what_made_it(browser, page):
    browser.open(address(page))
    box = browser.run("document.querySelector('article table.table').innerText")
    assert re.search(r"made by\s+simprune run \w+ \w+ --profile \w+ --seeds", box)
    assert browser.run(f"!!document.querySelector('.article-header-buttons a[href$=\"{Path(page).stem}.ipynb\"]')")
    links = browser.run("[...document.querySelectorAll('article table.table a')].map(link => link.href)")
    assert len(links) >= 3 and all(Path(unquote(urlsplit(link).path)).is_file() for link in links)


def test_a_figure_opens_large(browser):
    browser.open(address(CONTENT[0] if not RESULTS else RESULTS[0]), width=PHONE)
    opened = browser.run(
        "[...document.querySelectorAll('article figure img')].map(image => [image.closest('a')?.href, image.src])"
    )
    assert opened and all(link == picture for link, picture in opened)


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_tables_of_words_are_in_view_whole(browser, width):
    pages = [page for page in CONTENT if 'class="dataframe words"' in (HTML / page).read_text(encoding="utf-8")]
    assert pages
    for page in pages:
        browser.open(address(page), width=width)
        hidden = browser.run(
            "[...document.querySelectorAll('table.words :is(th, td)')].filter(cell => cell.offsetParent && "
            "cell.getBoundingClientRect().right > document.querySelector('article').getBoundingClientRect().right)"
            ".map(cell => cell.textContent)"
        )
        assert hidden == [], page


# The explorer -----------------------------------------------------------------------------------------------

FIGURES = "['map', 'scores', 'beside'].map(name => document.getElementById('explorer-' + name).innerHTML).join('')"
FIRST_COLUMN = """(() => {
  const plot = document.querySelector("#explorer-scores .nsewdrag");
  plot.scrollIntoView({block: "center"});
  const box = plot.getBoundingClientRect();
  return [box.left + 5, box.top + box.height / 2];
})()"""


@pytest.mark.parametrize("control", ["study", "network", "layer", "density", "measure", "view"])
def test_each_control_changes_a_figure_by_keyboard(explorer, control):
    count = explorer.run(
        f"(control => control.tagName === 'SELECT' ? control.options.length : Number(control.max) + 1)"
        f"(document.getElementById('explorer-{control}'))"
    )
    if count < 2:
        pytest.skip(f"there is one {control} only")
    before = explorer.run(FIGURES)
    explorer.run(f"document.getElementById('explorer-{control}').focus()")
    first = explorer.run("document.activeElement.selectedIndex === 0 || document.activeElement.value === '0'")
    key = "ArrowDown" if first and control != "density" else "ArrowUp"
    key = "ArrowLeft" if control == "density" and not first else key
    explorer.page.keyboard.press(key)
    assert explorer.run("new Promise(done => setTimeout(() => done(0), 300))") == 0
    assert explorer.run(FIGURES) != before
    assert explorer.problems == []


def test_a_link_keeps_what_is_chosen(explorer):
    names = "['study', 'network', 'layer', 'density', 'measure', 'view']"
    chosen = f"{names}.map(name => document.getElementById('explorer-' + name).value)"
    for control, value in (("network", "sibling"), ("layer", "0"), ("density", "10")):
        explorer.run(
            f"(control => {{ control.value = '{value}'; for (const kind of ['input', 'change']) "
            f"control.dispatchEvent(new Event(kind)); }})(document.getElementById('explorer-{control}'))"
        )
    link, before = explorer.run("document.querySelector('.live-link').href"), explorer.run(chosen)
    assert explorer.run("location.href") == link
    explorer.open("about:blank")
    explorer.open(link)
    assert explorer.run(chosen) == before


def test_every_density_of_a_study_can_be_reached(explorer):
    counted = (
        "Object.values(JSON.parse(document.getElementById('explorer-data').textContent).studies)[0].densities.length"
    )
    assert explorer.run("Number(document.getElementById('explorer-density').max) + 1") == explorer.run(counted)


def test_every_control_has_a_label(explorer):
    unlabelled = "[...document.querySelectorAll('.explorer :is(select, input)')].filter(e => !e.labels.length).length"
    assert explorer.run(unlabelled) == 0


def test_a_click_into_the_heatmap_moves_the_map(explorer):
    layer = "document.getElementById('explorer-layer').value"
    before = explorer.run(layer)
    explorer.page.mouse.click(*explorer.run(FIRST_COLUMN), delay=200)
    explorer.run("new Promise(done => setTimeout(() => done(0), 200))")
    assert (before, explorer.run(layer)) == (before, "0") and before != "0"


def test_the_figures_follow_the_theme(explorer):
    colour = "document.querySelector('#explorer-scores .xtick text').style.fill"
    light = explorer.run(
        f"document.documentElement.dataset.theme = 'light'; new Promise(d => setTimeout(() => d({colour}), 300))"
    )
    dark = explorer.run(
        f"document.documentElement.dataset.theme = 'dark'; new Promise(d => setTimeout(() => d({colour}), 300))"
    )
    assert light != dark


def test_the_heatmap_has_its_numbers_as_a_table_and_as_a_file(explorer):
    cells = "document.querySelectorAll('#explorer-table td').length"
    shape = (
        "(study => study.layers.length * study.densities.length)"
        "(Object.values(JSON.parse(document.getElementById('explorer-data').textContent).studies)[0])"
    )
    assert explorer.run(cells) == explorer.run(shape)
    lines = explorer.run("fetch(document.getElementById('explorer-download').href).then(a => a.text())").splitlines()
    assert len(lines) == explorer.run(shape) + 1


# Pictures that are dragged ----------------------------------------------------------------------------------

CLOUD, PLANE = "book/executed/what_measures_see.html", "book/executed/spectral_family.html"
SCORE = "Number(document.querySelector('[data-measure={}]').dataset.value)"
LATER = "new Promise(done => setTimeout(() => done(0), 300))"


@pytest.fixture(params=[1280, PHONE])
def live(browser, request):
    """Open a live picture, at the width of a desk or of a phone, in a state."""

    def opened(page, state="", theme="light"):
        browser.open("about:blank")  # the same address with another state would load nothing
        browser.open(address(page, state), width=request.param)
        browser.run(f"document.documentElement.dataset.theme = '{theme}'; {LATER}")
        return browser

    return opened


def drag(browser, chosen, right, down):
    """Drag what a selector chooses by so many pixels, as a reader would."""
    x, y = browser.run(
        f"(grip => {{ grip.scrollIntoView({{block: 'center', behavior: 'instant'}}); "
        f"const box = grip.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; }})"
        f"(document.querySelector({chosen!r}))"
    )
    mouse = browser.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + right, y + down, steps=2)
    mouse.up()
    browser.run(LATER)


def test_a_cloud_that_is_turned_by_hand_is_a_change_for_few_measures(live):
    browser = live(CLOUD)
    drag(browser, "[data-grip=turn] circle:last-of-type", -40, -30)
    turned = browser.run("Number(document.getElementById('cloud-turn').value)")
    assert 5 < turned < 60 and f"turn={turned}" in browser.run("location.hash")
    assert browser.run(SCORE.format("linear_cka")) == pytest.approx(1, abs=1e-9)
    assert browser.run(SCORE.format("unit_correlation")) < 0.99
    said = browser.run("document.querySelector('.live-reading').textContent")
    same, every = map(int, re.fullmatch(r"(\d+) of (\d+) measures see no change\.", said).groups())
    assert every / 2 < same < every
    assert browser.problems == []


def test_a_cloud_that_is_squeezed_by_hand_or_moved_says_so(live):
    browser = live(CLOUD)
    drag(browser, "[data-grip='stretch 2'] circle:last-of-type", 0, 40)
    assert browser.run("Number(document.getElementById('cloud-second').value)") < 0.95
    assert browser.run(SCORE.format("linear_cka")) < 1 - 1e-6
    assert browser.run(SCORE.format("mean_cca")) == pytest.approx(1, abs=1e-9)
    drag(browser, "[data-grip=move] circle:last-of-type", 20, 10)
    assert browser.run("Number(document.getElementById('cloud-right').value)") > 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dials_go_by_keyboard_and_by_number_and_a_link_keeps_them(live, theme):
    browser = live(CLOUD, theme=theme)
    browser.run("document.getElementById('cloud-noise').focus()")
    browser.page.keyboard.press("ArrowRight")
    assert browser.run(f"{LATER}.then(() => document.getElementById('cloud-noise').value)") == "0.05"
    browser.run(
        "(field => { field.focus(); field.value = '0.4'; field.dispatchEvent(new Event('input')); field.blur(); "
        "field.dispatchEvent(new Event('change')); })(document.querySelector('#cloud-noise + input'))"
    )
    score = browser.run(f"{LATER}.then(() => {SCORE.format('nbs')})")
    link = browser.run("document.querySelector('.live-link').getAttribute('href')")
    assert link == "#cloud?noise=0.4" and score < 0.99
    assert live(CLOUD, link).run(SCORE.format("nbs")) == pytest.approx(score, abs=1e-12)


def test_a_point_of_the_plane_is_dragged_and_has_the_value_of_its_measure(live):
    browser = live(PLANE, "#plane?pair=1&alpha=1&inverse=1")
    value = "Number(document.querySelector('.live-reading').dataset.value)"
    row = browser.run(
        "[...document.querySelectorAll('table.dataframe tbody tr')].map(row => row.textContent.trim().split(/\\s+/))"
        ".find(cells => cells[0] === 'nbs')"
    )
    assert browser.run(value) == pytest.approx(float(row[-1]), abs=1e-3)
    assert "NBS" in browser.run("document.querySelector('.live-reading').textContent")
    drag(browser, ".live-surface", 30, 20)
    assert browser.run(value) != pytest.approx(float(row[-1]), abs=1e-3)
    assert "alpha=" in browser.run("location.hash")


@pytest.mark.parametrize("state, dial", [("#cloud?turn=30", "cloud-turn"), ("#plane?alpha=0.3", "plane-alpha")])
def test_a_link_to_a_picture_of_the_slides_opens_its_slide(browser, state, dial):
    slides = "book/teach/session_2.html"
    browser.open("about:blank")
    browser.open(address(slides, state))
    shown = f"(dial => [dial.closest('section').className, dial.value])(document.getElementById('{dial}'))"
    assert browser.run(shown) == ["present", state.split("=")[1]]


@pytest.mark.parametrize("page", [CLOUD, PLANE])
def test_in_print_a_still_figure_stands_for_a_picture_that_is_dragged(live, page):
    browser = live(page)
    shown = "['.live-still', '.live-moving'].map(part => getComputedStyle(document.querySelector(part)).display)"
    assert browser.run(shown) == ["none", "block"]
    browser.page.emulate_media(media="print")
    try:
        assert browser.run(shown) == ["block", "none"]
    finally:
        browser.page.emulate_media(media="screen")


def test_without_scripts_the_explorer_says_where_its_maps_stand(browser):
    text = (HTML / EXPLORER).read_text(encoding="utf-8")
    assert '<div class="explorer-controls" hidden>' in text
    assert "drawn in the built book, by JavaScript" in text
    assert "explorer-spectral-layers" in text


def test_only_the_explorer_loads_plotly():
    loading = [page for page in PAGES if "plotly-cartesian.min.js" in (HTML / page).read_text(encoding="utf-8")]
    assert loading == [EXPLORER]
