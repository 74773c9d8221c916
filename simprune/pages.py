"""The page of a study: one template for all, and in it the cells that an author writes for each.

A cell of the template that is tagged "author" is a place for an author's own words: a page may hold any number of cells
with that tag there, of which the first has the id of the template's. The other cells are the template's in every page,
and the parameters are those of the study. So a change of the template reaches every page, and no page loses its words.
"""

import ast
import dataclasses
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from nbformat import NotebookNode

from simprune import studies
from simprune.book import EXECUTED, NOTEBOOKS, book_root, check_writable, heading, read_notebook, tags
from simprune.data import short_name
from simprune.errors import InputError
from simprune.experiment import Experiment
from simprune.measures import MEASURES
from simprune.notebook import check_parameters
from simprune.results import load

TEMPLATE = PurePosixPath("notebooks/templates/study.ipynb")
OTHERS = "others"  # the parameter that takes the fields of a study that have none of their own
MOST_DRAWN = 5  # measures that a page draws where it can't have those of the template


def page(architecture: str, dataset: str, profile: str | None = None, root: Path | str = ".") -> Path:
    """Make the notebook of a study's page, or renew it, and enter it in the table of contents; gives its path.

    What the study is beyond its architecture and dataset is said by the first row of `studies.csv` that has them (and
    `profile`, where that is given). Without such a row, its parameters are those of the template or, if the page is
    there, its own. Raises `InputError` for a study that can't be, and for a page that is not of the template.
    """
    given = {"architecture": architecture, "dataset": dataset} | ({"profile": profile} if profile else {})
    return _made(book_root(root), given, Experiment(**given).title)


def page_of(results: Path | str, root: Path | str = ".") -> Path:
    """The same of results that are stored, named as for `load`: the parameters are those that they were made with."""
    root, experiment = book_root(root), load(results).experiment
    drawn = _drawn(experiment, _parameters(read_notebook(root / TEMPLATE)))
    return _made(root, _given(experiment) | drawn, experiment.title)


def _given(experiment: Experiment) -> dict[str, Any]:
    """The fields of an experiment, but for those that follow from the others."""
    first = ("architecture", "dataset", "profile")
    others = [field.name for field in dataclasses.fields(Experiment)]
    others = [name for name in others if name not in (*first, "seeds", *studies.LISTS)]
    given = {name: getattr(experiment, name) for name in (*first, *others)}
    for name in reversed(others):
        rest = {other: value for other, value in given.items() if other != name}
        with suppress(InputError):  # the rest can't be without it
            given = rest if getattr(Experiment(**rest), name) == given[name] else given
    return given


def _drawn(experiment: Experiment, usual: Mapping[str, Any]) -> dict[str, Any]:
    """What of the template's measures, references and view there is; others where there is none of them."""
    of_layers = [name for name in experiment.measures if MEASURES[name].subject == "representations"]
    measures = [name for name in usual["measures"] if name in of_layers] or of_layers[:MOST_DRAWN]
    check_parameters(references=list(experiment.references), measures=measures or list(experiment.measures))
    views = experiment.views
    return {
        "measures": measures,
        "view": usual["view"] if usual["view"] in views else views[0],
        "references": [name for name in usual["references"] if name in experiment.references],
    }


def _made(root: Path, given: Mapping[str, Any], title: str) -> Path:
    path = root / NOTEBOOKS / f"{_stem(given)}.ipynb"
    present = read_notebook(path) if path.is_file() else None
    if present is not None and not is_of_template(present):
        raise InputError(f"{path.name}: it is there, and not made from {TEMPLATE}; give it another name first")
    check_writable(root)
    fresh = filled(root, path.stem, present, given)
    for cell in fresh.cells:
        cell.source = cell.source.replace("{title}", title) if "author" in tags(cell) else cell.source
    enter(root, path.stem)
    nbformat.write(fresh, path)
    return path


def renew(root: Path | str = ".") -> list[Path]:
    """Write every page that is made from the template anew, with its author's cells; gives those that changed."""
    root, changed = book_root(root), []
    for path in sorted((root / NOTEBOOKS).glob("*.ipynb")):
        present = read_notebook(path)
        if is_of_template(present) and (fresh := filled(root, path.stem, present)) != present:
            nbformat.write(fresh, path)
            changed.append(path)
    return changed


def _stem(study: Mapping[str, Any]) -> str:
    """The name of the notebook of a study's page."""
    return re.sub(r"\W+", "_", f"{study['architecture']}_{short_name(study['dataset'])}")


def is_of_template(notebook: NotebookNode) -> bool:
    """Whether a notebook was made from the template."""
    return notebook.metadata.get("simprune", {}).get("template") == TEMPLATE.stem


def filled(root: Path, stem: str, present: NotebookNode | None, given: Mapping[str, Any] | None = None) -> NotebookNode:
    """The template with the author's cells of the page `stem` and the parameters of its study.

    They are those of the study's row in `studies.csv`. A page without one, and a copy under another name, has its own.
    """
    template = read_notebook(root / TEMPLATE)
    own = _own_cells(present, template) if present else {}
    values = (_parameters(present) if present else {}) | dict(given or {})
    if _stem(values) == stem and (study := _study(root, values, given)) is not None:
        values = given = {field: getattr(study.experiment, field) for field, _ in study.fields}
    if given:
        known = _parameters(template)
        values[OTHERS] = {field: value for field, value in given.items() if field not in known}
        check_parameters(others=values[OTHERS])
    cells = []
    for cell in template.cells:
        if "parameters" in tags(cell):
            cell.source = _with_values(cell.source, values)
        cells += own.get(cell.id, [cell]) if "author" in tags(cell) else [cell]
    template.cells = cells
    return template


def _study(root: Path, values: Mapping[str, Any], given: Mapping[str, Any] | None) -> studies.Study | None:
    """The row of the table of studies that a page is of, if there is one."""
    known = {field: values[field] for field in ("architecture", "dataset")} | dict(given or {})
    table = root / studies.STUDIES.name
    rows = studies.read(table) if table.is_file() else []
    return next((row for row in rows if all(row[field] == value for field, value in known.items())), None)


def _own_cells(page: NotebookNode, template: NotebookNode) -> dict[str, list[NotebookNode]]:
    """The author's cells of a page by the place that they stand in. Raises `InputError` where a place is gone."""
    places = [cell.id for cell in template.cells if "author" in tags(cell)]
    own: dict[str, list[NotebookNode]] = {}
    before = None
    for cell in page.cells:
        if "author" not in tags(cell):
            before = None
            continue
        before = cell.id if cell.id in places or before is None else before
        own.setdefault(before, []).append(cell)
    if lost := [place for place in own if place not in places]:
        raise InputError(
            f"{heading(page)}: an author's cells stand at {lost[0]!r}, where {TEMPLATE} has no place any more; it has "
            f"{', '.join(places)}"
        )
    return own


def _parameters(notebook: NotebookNode) -> dict[str, Any]:
    """What the cell of parameters sets."""
    [cell] = [cell for cell in notebook.cells if "parameters" in tags(cell)]
    return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(cell.source).body}


def _with_values(source: str, values: Mapping[str, Any]) -> str:
    """A cell of parameters, one on a line, that sets these values; the comments stay."""
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        name, value = statement.targets[0].id, statement.value
        if name in values and values[name] != ast.literal_eval(value):
            line = lines[value.lineno - 1]
            lines[value.lineno - 1] = line[: value.col_offset] + _literal(values[name]) + line[value.end_col_offset :]
    return "\n".join(lines)


def _literal(value: Any) -> str:
    value = list(value) if isinstance(value, tuple) else value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(name)}: {_literal(one)}" for name, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (str, list)) else repr(value)


def enter(root: Path, stem: str) -> None:
    """Enter the page of a notebook in the table of contents, after the last one that is made from the template."""
    file = root / "_toc.yml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    place, entry = None, re.compile(rf"( *)- file: {re.escape(EXECUTED.as_posix())}/(\S+)\s")
    for number, line in enumerate(lines):
        if found := entry.match(line):
            if found[2] == stem:
                return
            notebook = root / NOTEBOOKS / f"{found[2]}.ipynb"
            if notebook.is_file() and is_of_template(read_notebook(notebook)):
                place = number, found[1]
    if place is None:
        raise InputError(f"_toc.yml: it has no page of a study; enter {EXECUTED.as_posix()}/{stem} where it belongs")
    lines.insert(place[0] + 1, f"{place[1]}- file: {EXECUTED.as_posix()}/{stem}\n")
    file.write_text("".join(lines), encoding="utf-8")
