"""Material for teaching, made of notebooks: the student's version of the exercises, and slides of the sessions.

Solutions stand between the marks that nbgrader uses, so that a course that runs on nbgrader can take the notebook as it
is. Slides are reveal.js, which comes with the book; notes for the teacher are in its speaker view.
"""

import copy
import re

import nbformat

from simprune.errors import InputError

_SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION[ \t]*\n?", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)
# What nbgrader puts in the place of a solution, in code and in text.
_STUBS = {"code": r"\1# YOUR CODE HERE\n\1raise NotImplementedError()\n", "markdown": "*Your answer here.*\n"}


def student(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without outputs, a place to write in the place of each solution.

    Raises `InputError` for a mark that has no counterpart.
    """
    made = copy.deepcopy(notebook)
    for number, cell in enumerate(made.cells, 1):
        # Of several solutions in a cell, the first is the place to write.
        source = _SOLUTION.sub(_STUBS.get(cell.cell_type, ""), cell.source, count=1)
        cell.source = _SOLUTION.sub("", source).rstrip("\n")
        if _MARK.search(cell.source):
            raise InputError(f"cell {number}: BEGIN SOLUTION and END SOLUTION are not in pairs")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    made.metadata.pop("papermill", None)
    return made


def solved(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without the marks of its solutions."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        cell.source = _MARK.sub("", cell.source).rstrip("\n")
    return made
