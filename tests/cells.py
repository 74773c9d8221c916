"""Code as a page has it, run in this process."""

import ast

import nbformat


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(source, known):
    """Run the code of a cell; give the value of its last line, which Jupyter shows, or None."""
    *before, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        before, last = [*before, last], None
    exec(compile(ast.Module(before, []), "<cell>", "exec"), known)
    return last and eval(compile(ast.Expression(last.value), "<cell>", "eval"), known)


def run_page(path, **parameters):
    """Run a notebook with parameters of one's own; give what its cells show."""
    import matplotlib.pyplot as plt

    known, values = {}, []
    for cell in code_cells(nbformat.read(path, as_version=4)):
        values.append(shown(cell.source, known))
        if "parameters" in cell.metadata.get("tags", []):
            known |= parameters
    plt.close("all")
    return values
