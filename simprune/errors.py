"""The one error a user of simprune has to know."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class InputError(ValueError):
    """What was given cannot be used. The message is one sentence: the field, the value, what would be valid."""


def shown(value: object) -> str:
    """A value as a sentence can hold it: its `repr`, on one line and shortened."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:60]} … {text[-20:]}"


def check_path(field: str, value: object) -> Path:
    """Return `value` as a path, ~ being a home; raise `InputError` if it can't be one. Nothing need be there."""
    try:
        path = Path(value).expanduser()
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (TypeError, ValueError, RuntimeError):  # the last: of a home of nobody
        raise InputError(f"{field}: {shown(value)} is not a path") from None
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"{field}: {shown(str(value))} can't be used ({error.strerror or error})") from None
    return path


def check_choice(field: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`; else raise `InputError` with the nearest of them."""
    choices = tuple(choices)
    if isinstance(value, str) and value in choices:
        return value
    near = get_close_matches(str(value)[:100], choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{field}: {shown(value)} is not one of {', '.join(choices)}{hint}")
