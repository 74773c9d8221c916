"""Locks between processes that share a store.

A lock is one of the operating system's on an open file: it ends with the process that holds it, however that ends, so
that no lock is ever left behind. The files stay; they are empty but for a word on who holds the lock.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # not a Unix: processes there are on their own
    fcntl = None

# What file systems that know no locks answer. Any other error is one, and ends the run: it must not write unlocked.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


@contextmanager
def locked(file: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of `file` for the time of a block; wait as long as another process holds it.

    `waiting` is called, once, with who holds it. Where the file system knows no locks (some of clusters), there is
    none. Waiting ends with Ctrl-C.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a+", encoding="utf-8") as stream:
        if fcntl is not None:
            try:
                _acquire(stream, waiting)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        yield


def _acquire(stream: TextIO, waiting: Callable[[str], None] | None) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting is not None:
            stream.seek(0)
            waiting(stream.read() or "another process")
        fcntl.flock(stream, fcntl.LOCK_EX)
