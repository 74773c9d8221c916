"""The one error a user of simprune has to know."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """What was given cannot be used. The message is one sentence: the field, the value, what would be valid."""


def shown(value: object) -> str:
    """A value as a sentence can hold it: its `repr`, on one line and shortened."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:60]} … {text[-20:]}"


def check_choice(field: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`; else raise `InputError` with the nearest of them."""
    choices = tuple(choices)
    if isinstance(value, str) and value in choices:
        return value
    near = get_close_matches(str(value)[:100], choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{field}: {shown(value)} is not one of {', '.join(choices)}{hint}")
