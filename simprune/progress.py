"""What a run is doing: a bar on a terminal, one line that changes in a notebook, a line for each step in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class Progress:
    """Tells the user on stderr, or under the cell of a notebook, what is going on; with `show=False` nothing."""

    def __init__(self, show: bool = True):
        self._notebook = show and _in_notebook()
        self._line = None  # of a notebook: the output that every text replaces the text of
        self._console = Console(stderr=True, quiet=not show or self._notebook, force_jupyter=False)

    def say(self, text: str) -> None:
        """A line that stays; in a notebook, until the next one."""
        if self._notebook:
            self._show(text)
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def steps(self, title: str, total: int) -> Iterator["Steps"]:
        """A piece of work of `total` steps, such as "seed 0: training"."""
        columns = [TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()]
        columns += [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
        hidden = self._console.quiet or not self._console.is_terminal
        with Bars(*columns, console=self._console, disable=hidden) as bars:
            yield Steps(self, bars, title, total)

    def _show(self, text: str) -> None:
        from IPython.display import display

        # No update of the text on stderr: a kernel sends each as an output of its own, thousands in a long run.
        shown = {"text/plain": text}
        if self._line is None:
            self._line = display(shown, raw=True, display_id=True, metadata={"simprune": "progress"})
        else:
            self._line.update(shown, raw=True, metadata={"simprune": "progress"})


class Steps:
    """The steps of one piece of work."""

    def __init__(self, progress: Progress, bars: Bars, title: str, total: int):
        self._progress, self._bars, self._title, self._done = progress, bars, title, 0
        self._total, self._task = total, bars.add_task(title, total=total)

    def begin(self, what: str) -> None:
        """A step begins, of what."""
        self._bars.update(self._task, completed=self._done, description=f"{self._title}, {what}")
        if self._progress._notebook:
            self._progress._show(f"{self._title}, {what} ({self._done} of {self._total} done)")

    def advance(self, what: str) -> None:
        """One step is done, of what."""
        self._done += 1
        self.begin(what)

    def say(self, text: str) -> None:
        """A line that stays; in a notebook, until the next one."""
        self._progress.say(f"{self._title.split(':')[0]}, {text}")


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook: JupyterLab, VS Code, Colab, papermill."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None
