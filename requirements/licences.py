"""Write requirements/licences.md: the packages that simprune and its book need, and their licences, as they state them.

.venv/bin/python requirements/licences.py
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

OUTPUT = Path(__file__).with_name("licences.md")
HEADING = """# Licences of the packages that simprune needs

Written by `requirements/licences.py` from what the packages say of themselves, as they are installed. `simprune` itself
is under the MIT licence, the embedded images of Fashion-MNIST too.

| package | version | licence |
|---|---|---|
"""


def needed(name: str, extras: tuple[str, ...] = ()) -> dict[str, Distribution]:
    """The distributions that a package needs, directly or not, where they are installed."""
    found: dict[str, Distribution] = {}
    queue = [(name, extras)]
    while queue:
        current, wanted = queue.pop()
        try:
            package = distribution(current)
        except PackageNotFoundError:  # for another platform or Python
            continue
        key = re.sub(r"[-_.]+", "-", package.name).lower()
        if key in found:
            continue
        found[key] = package
        for requirement in package.requires or ():
            extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
            if extra is None or extra.group(1) in wanted:
                queue.append((re.match(r"[\w.-]+", requirement).group(0), ()))
    del found[name]
    return dict(sorted(found.items()))


def licence(package: Distribution) -> str:
    """What a package states: an expression, else classifiers, else the first line of its text."""
    stated = package.metadata
    if stated.get("License-Expression"):
        return stated["License-Expression"]
    classified = [
        entry.rsplit(" :: ", 1)[1] for entry in stated.get_all("Classifier") or () if entry.startswith("License ::")
    ]
    text = (stated.get("License") or "").strip().split("\n")[0]
    return ", ".join(classified) or text or "not stated"


def table() -> str:
    rows = (
        f"| {name} | {package.version} | {licence(package)} |\n"
        for name, package in needed("simprune", ("book",)).items()
    )
    return HEADING + "".join(rows)


if __name__ == "__main__":
    OUTPUT.write_text(table(), encoding="utf-8")
    print(f"{OUTPUT}: {table().count(chr(10)) - HEADING.count(chr(10))} packages", file=sys.stderr)
