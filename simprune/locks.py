"""Locks between processes that share a store.

A lock is one of the operating system's: it ends with the process that holds it, however that ends. The files of locks
stay; beside each stands who holds it.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

# What file systems that know no locks answer. Any other error is one, and ends the run: it must not write unlocked.
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
SHARED = 0o666  # whoever may write in the store's folder may take a lock there


@contextmanager
def locked(file: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of `file` for the time of a block; wait as long as another process holds it.

    `waiting` is called, once, with who holds it. Where the file system knows no locks (some of clusters), there is
    none. Waiting ends with Ctrl-C.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(file, mode=SHARED, timeout=0), file.with_name(f"{file.name}.holder")
    try:
        lock.acquire()
    except Timeout:
        if waiting is not None:
            waiting(_said(holder) or "another process")
        lock.acquire(timeout=-1)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        with suppress(OSError):  # another user's word, in a store that two share
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        lock.release()


def _said(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")
    except OSError:
        return ""
