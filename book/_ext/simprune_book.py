"""What the book asks of Sphinx beyond its configuration.

Docstrings of the package are plain text: here they become reStructuredText, paragraph by paragraph. Links to the
glossary say what the term means when one points at them.
"""

import re

from docutils import nodes
from sphinx.addnodes import glossary

# Words set apart by several spaces: a name and its meaning. An indented line goes on with the one before it.
ENTRY = re.compile(r"(\S.*?) {3,}(\S.*)")
CODE = re.compile(r"`([^`\n]+)`")


def plain_text(lines):
    """A plain docstring as reStructuredText: names with meanings as a list, other indented lines as they are."""
    made = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        rows = paragraph.splitlines()
        if ENTRY.fullmatch(rows[0]) and all(ENTRY.fullmatch(row) or row[0] == " " for row in rows):
            for row in rows:
                entry = ENTRY.fullmatch(row) if row[0] != " " else None
                made += [f"``{entry[1]}``", f"   {inline(entry[2])}"] if entry else [f"   {inline(row.strip())}"]
            made.append("")
        elif any(row.startswith(" ") for row in rows):
            made += ["::", "", *(f"   {row}" for row in rows), ""]
        else:
            made += [inline(paragraph), ""]
    return "\n".join(made).splitlines()


def inline(text):
    """Text with what means something in reStructuredText taken literally, and `code` as code."""
    pieces = CODE.split(text)
    pieces[::2] = [re.sub(r"([\\*|])|_(?=\W|$)", r"\\\g<0>", piece) for piece in pieces[::2]]
    pieces[1::2] = [f"``{code}``" for code in pieces[1::2]]
    return "".join(pieces)


def as_restructuredtext(app, what, name, thing, options, lines):
    lines[:] = plain_text(lines)


def first_sentence(text):
    return re.split(r"(?<=\.)\s", " ".join(text.split()), maxsplit=1)[0]


def explain_terms(app, doctree, docname):
    """Give every link to a term of the glossary the first sentence of its definition as a title."""
    meanings = {}
    for page in app.env.domaindata["std"]["objects"].items():
        (kind, _), (home, label) = page
        if kind == "term":
            meanings[label] = home
    if not meanings:
        return
    sentences = getattr(app.env, "simprune_terms", None)
    if sentences is None:
        sentences = app.env.simprune_terms = {}
        for home in set(meanings.values()):
            for listing in app.env.get_doctree(home).findall(glossary):
                for item in listing.findall(nodes.definition_list_item):
                    meaning = next(item.findall(nodes.definition)).astext()
                    for term in item.findall(nodes.term):
                        sentences.update({label: first_sentence(meaning) for label in term["ids"]})
    for link in doctree.findall(nodes.reference):
        label = link.get("refid") or link.get("refuri", "").partition("#")[2]
        if label in sentences:
            link["reftitle"] = sentences[label]


def setup(app):
    app.connect("autodoc-process-docstring", as_restructuredtext)
    app.connect("doctree-resolved", explain_terms)
    return {"parallel_read_safe": True}
