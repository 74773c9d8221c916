"""Where the files of the project lie that are no code."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def project_file(name: str) -> Path:
    """A file or folder of the project: within an installed package, beside it in a checkout."""
    inside = _PACKAGE / "project" / name
    return inside if inside.exists() else _PACKAGE.parent / name
