"""The one error a user of simprune has to know."""

import os
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from numbers import Integral, Real
from pathlib import Path

# More names or numbers than anyone lists, and few enough to be looked at.
MOST_LISTED = 10_000


class InputError(ValueError):
    """What was given cannot be used. The message is one sentence: the field, the value, what would be valid."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence alone."""
        return [f"InputError: {self}"]


def shown(value: object) -> str:
    """A value as a sentence can hold it: its `repr`, on one line and shortened."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:60]} … {text[-20:]}"


def check_path(field: str, value: object) -> Path:
    """Return `value` as a path, ~ being a home; raise `InputError` if it can't be one. Nothing need be there."""
    if value == "":
        raise InputError(f"{field}: '' is not a path")
    try:
        path = Path(value).expanduser()
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except RuntimeError:
        raise InputError(f"{field}: {shown(str(value))} can't be used (nobody has that home directory)") from None
    except (TypeError, ValueError):
        raise InputError(f"{field}: {shown(value)} is not a path") from None
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"{field}: {shown(str(value))} can't be used ({error.strerror or error})") from None
    return path


def check_list(field: str, values: object) -> tuple:
    """Return `values` as a tuple, one name or number as a tuple of one; raise `InputError` for none, or no list."""
    values = (values,) if isinstance(values, str | Integral) else values
    try:
        listed = tuple(islice(values, MOST_LISTED + 1))
    except TypeError:
        raise InputError(f"{field}: {shown(values)} is not a list") from None
    if not listed:
        raise InputError(f"{field}: none given; give at least one")
    if len(listed) > MOST_LISTED:
        raise InputError(f"{field}: more than {MOST_LISTED:,} given")
    return listed


def check_whole(field: str, value: object, low: int, high: int | None = None, of: str = "") -> int:
    """Return `value` if it is a whole number from `low` to `high`, which there are `of`; else raise `InputError`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise InputError(f"{field}: {shown(value)} is not a whole number of at least {low}")
    if high is not None and value > high:
        raise InputError(f"{field}: {value} is more than the {high:,} {of}")
    return int(value)


def check_number(field: str, value: object, within: str) -> float:
    """Return `value` if it is a number in an interval such as "[0, 1)" or "(0, inf)"; else raise `InputError`."""
    low, high = within[1:-1].split(", ")
    number = isinstance(value, Real) and not isinstance(value, bool)
    number = number and not (isinstance(value, Integral) and abs(value) > sys.float_info.max)  # no float can hold it
    above = number and (value > float(low) or (within[0] == "[" and value == float(low)))
    if not above or not (value < float(high) or (within[-1] == "]" and value == float(high))):  # nan is neither
        bounds = [f"{'of at least' if within[0] == '[' else 'above'} {low}"]
        bounds += [f"{'at most' if within[-1] == ']' else 'below'} {high}"] if high != "inf" else []
        raise InputError(f"{field}: {shown(value)} is not a number {' and '.join(bounds)}")
    return float(value)


def check_choice(field: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`; else raise `InputError` with the nearest of them."""
    choices = tuple(choices)
    if isinstance(value, str) and value in choices:
        return value
    near = get_close_matches(str(value)[:100], choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{field}: {shown(value)} is not one of {', '.join(choices)}{hint}")
