"""Where the files of the project lie that are no code, and the user's results."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def project_file(name: str) -> Path:
    """A file or folder of the project: within an installed package, beside it in a checkout."""
    inside = _PACKAGE / "project" / name
    return inside if inside.exists() else _PACKAGE.parent / name


def default_root() -> Path:
    """The user's store: `SIMPRUNE_STORE`, or in the user's cache folder; without a home, in the current folder."""
    if os.environ.get("SIMPRUNE_STORE"):
        return Path(os.environ["SIMPRUNE_STORE"])
    home = os.path.expanduser("~")
    if not (cache := os.environ.get("XDG_CACHE_HOME")) and home == "~":
        return Path("simprune-results")
    return Path(cache or Path(home) / ".cache") / "simprune" / "results"
