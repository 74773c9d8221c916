"""Running a notebook in processes that have imported already.

Importing papermill, PyTorch and the plots takes longer than most pages do. On Linux the process that runs a notebook,
and that notebook's kernel, are therefore forked from a server that has imported them, once for all notebooks; elsewhere
both import for themselves.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

FORKS = sys.platform == "linux"  # forks of processes that have imported such libraries are not safe on macOS
_CONTEXT = multiprocessing.get_context("forkserver" if FORKS else "spawn")
_PRELOADED = ["papermill", "ipykernel.kernelapp", "jupyter_client.manager", "simprune.analysis", "simprune.notebook"]
_PRELOADED += ["simprune.plots", "simprune.plots.explorer", "simprune.study", "seaborn", "torch._dynamo", __name__]


def start(
    notebook: Path, target: Path, parameters: Mapping[str, Any], environment: Mapping[str, str], log: Path
) -> BaseProcess:
    """Start papermill on a notebook, in the folder above its own; what is said on the way goes to the file `log`.

    The process ends with status 0 if every cell ran. Libraries that are told their number of threads by the environment
    keep that of the first call.
    """
    _CONTEXT.set_forkserver_preload(_PRELOADED)
    log.touch()
    environment, folder = dict(environment), notebook.parent.parent
    kernel_end, papermill_end = _CONTEXT.Pipe() if FORKS else (None, None)
    process = _CONTEXT.Process(target=_run, args=(notebook, target, dict(parameters), environment, log, papermill_end))
    with _seen_by_children(environment):
        process.start()
        if FORKS:
            _CONTEXT.Process(target=_kernel, args=(kernel_end, environment, folder, log), daemon=True).start()
            kernel_end.close()
            papermill_end.close()
    return process


def call(module: str, function: str, *arguments: Any) -> Any:
    """What a function gives, from a process that has imported what the notebooks import."""
    _CONTEXT.set_forkserver_preload(_PRELOADED)
    with _seen_by_children(os.environ), ProcessPoolExecutor(1, _CONTEXT) as pool:
        return pool.submit(_call, module, function, arguments).result()


def _call(module: str, function: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(import_module(module), function)(*arguments)


@contextmanager
def _seen_by_children(environment: Mapping[str, str]) -> Iterator[None]:
    """Processes that are started meanwhile have that environment, and do not run the user's script once more."""
    before, script = dict(os.environ), sys.modules["__main__"]
    os.environ.update(environment)
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        os.environ.clear()
        os.environ.update(before)


def _run(
    notebook: Path,
    target: Path,
    parameters: dict[str, Any],
    environment: dict[str, str],
    log: Path,
    kernel: Connection | None,
) -> None:
    import papermill

    _enter(environment, notebook.parent.parent, log)
    options = {"kernel_manager_class": _manager(kernel)} if kernel else {}
    names = {"kernel_name": "python3", "language": "python"}
    papermill.execute_notebook(notebook, target, parameters, **names, progress_bar=False, **options)


def _kernel(papermill: Connection, environment: dict[str, str], folder: Path, log: Path) -> None:
    """Wait to be told where to listen, then be a kernel, for as long as the process that runs the notebook is there."""
    from ipykernel.kernelapp import IPKernelApp

    papermill.send(os.getpid())
    try:
        connection_file = papermill.recv()
    except EOFError:
        return

    def leave() -> None:
        papermill.poll(None)
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
    _enter(environment, folder, log)
    IPKernelApp.launch_instance(["-f", connection_file])


def _enter(environment: Mapping[str, str], folder: Path, log: Path) -> None:
    """Take an environment and a folder, and write what is said to a file."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(stream, descriptor)


def _manager(kernel: Connection) -> type:
    """A manager that has one kernel, which is there already."""
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
            self.provisioner.process = _Waiting(kernel.recv())
            self.provisioner.pid = self.provisioner.process.pid
            kernel.send(self.connection_file)

    return Manager


class _Waiting(psutil.Process):
    """A process as a manager of kernels knows those of `subprocess`."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        return None if self.is_running() else 0
