"""Locks between processes that share a store.

A lock is one of the operating system's: it ends with the process that holds it, however that ends. The files of locks
stay; beside each stands who holds it.
"""

import errno
import os
import socket
import stat
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
    make_folder(file.parent)
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
            holder.chmod(SHARED)
        yield
    finally:
        lock.release()


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in, where they are not there."""
    if not folder.is_dir():
        make_folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | group_rights(folder))


def group_rights(path: Path) -> int:
    """What a new file or folder gives its group: as much as the folder that it is in, where that is the group's too.

    So a store that several users share stays one, whatever their umask. Folders for all, such as /tmp, are no group's.
    """
    mode = path.parent.stat().st_mode
    shared = mode & stat.S_IWGRP and not mode & stat.S_ISVTX
    return mode & (stat.S_ISGID | stat.S_IRWXG) if shared else 0


def _said(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")
    except OSError:
        return ""
