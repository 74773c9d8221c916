"""Claims: what is said of results and numbers can break."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simprune.errors import InputError, shown


@dataclass(frozen=True)
class Claim:
    """A sentence that results bear out or do not.

    text       the sentence, Markdown
    holds      whether it is so; None where the results at hand can't tell
    evidence   the table that decides it, numbers; None for one that the page shows anyway
    source     who said it, as Markdown; None for a finding of one's own
    """

    text: str
    holds: bool | None
    evidence: pd.DataFrame | None = None
    source: str | None = None

    def __post_init__(self):
        if isinstance(self.holds, np.bool_):
            object.__setattr__(self, "holds", bool(self.holds))
        _check("text", self.text, str)
        _check("holds", self.holds, bool | None)
        _check("evidence", self.evidence, pd.DataFrame | None)
        _check("source", self.source, str | None)


def _check(field: str, value: Any, kind: Any) -> None:
    if not isinstance(value, kind):
        named = {bool | None: "True, False or None", pd.DataFrame | None: "a table or None"}.get(kind, "text")
        raise InputError(f"{field}: {shown(value)} is not {named}")
