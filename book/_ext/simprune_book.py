"""What the book asks of Sphinx beyond its configuration: links to the glossary say what the term means."""

import re

from docutils import nodes
from sphinx.addnodes import glossary


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
    app.connect("doctree-resolved", explain_terms)
    return {"parallel_read_safe": True}
