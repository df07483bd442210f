"""Takes from the interpreter what some operating systems do not have, before anything of blockingio is loaded.

An interpreter that finds this folder on PYTHONPATH does so as it starts, and so do those that it starts.  What it is
left with is no more than Windows and macOS both have; files and signals are still POSIX's.
"""
from __future__ import annotations

import functools
import os
import posix
import select
import stat
import sys
from collections.abc import Callable
from typing import Any

import _socket

# By module: what it has no more.
ABSENT = {
    select: ["poll", "epoll", "kqueue", "devpoll"],
    _socket: ["AF_UNIX", "socketpair", "MSG_DONTWAIT", "SO_REUSEPORT", "TCP_CORK"],
    os: ["fork", "forkpty", "register_at_fork", "pread", "preadv", "pwrite", "pwritev", "sendfile", "splice",
         "memfd_create", "O_NOFOLLOW", "O_DIRECTORY", "O_PATH",
         "SCHED_BATCH", "SCHED_IDLE", "sched_setscheduler", "sched_getscheduler", "sched_param"],
}

# Modules that cannot be imported.
NO_MODULES = ["fcntl"]

# What may have been loaded already, by coverage, with what is no more: it is loaded again.
RELOADED = ["socket", "selectors", "socketserver", "ssl", "subprocess", "shutil", "tempfile"]

# Functions without dir_fd, and those that take no descriptor for a directory.
BY_NAME_ONLY = ["open", "readlink", "link", "rename", "replace", "unlink", "mkdir", "rmdir", "stat"]
OF_NAMES_ONLY = ["scandir", "listdir"]


def by_name_only(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if any(named.pop(name, None) is not None for name in ("dir_fd", "src_dir_fd", "dst_dir_fd")):
            raise NotImplementedError(f"{function.__name__}: dir_fd unavailable on this platform")
        return function(*arguments, **named)

    return call


def of_names_only(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(path: Any = ".") -> Any:
        if isinstance(path, int):
            raise TypeError(f"{function.__name__}: path should be string, bytes, os.PathLike or None, not int")
        return function(path)

    return call


def of_no_directories(function: Callable[..., int]) -> Callable[..., int]:
    """os.open as Windows has it."""
    @functools.wraps(function)
    def call(path: Any, *arguments: Any, **named: Any) -> int:
        descriptor = function(path, *arguments, **named)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PermissionError(13, "Permission denied", path)
        return descriptor

    return call


class Absent:
    """An attribute that neither the class nor its objects have."""

    def __get__(self, instance: object, owner: type) -> None:
        raise AttributeError


def take_away() -> None:
    for module, names in ABSENT.items():
        for name in names:
            for holder in (module, posix) if module is os else (module,):
                if hasattr(holder, name):
                    delattr(holder, name)
    for name in RELOADED:
        sys.modules.pop(name, None)
    sys.modules.update(dict.fromkeys(NO_MODULES))  # type: ignore[arg-type]
    for name in BY_NAME_ONLY:
        setattr(os, name, by_name_only(getattr(os, name)))
    for name in OF_NAMES_ONLY:
        setattr(os, name, of_names_only(getattr(os, name)))
    os.open = of_no_directories(os.open)
    for supported in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        supported.clear()

    import socket

    # The class that it is derived from is the system's own, from which nothing can be taken.
    socket.socket.sendmsg = Absent()  # type: ignore[assignment, method-assign]


take_away()
