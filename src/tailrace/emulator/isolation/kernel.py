"""The system calls that Python has no words for. Loaded by the first process of a namespace: built-in modules only.

Each raises `OSError` when the kernel refuses.
"""
# ruff: noqa: PTH123 - pathlib would be most of what a namespace's first process loads

from __future__ import annotations

import ctypes
import errno
import os

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
MNT_DETACH = 0x2

_SYS_MOUNT_SETATTR = 442
"""Since Linux 5.12, of the same number on every machine that Lambda and we know."""

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_ROOT_IS_NOBODY_SPECIAL = 0b0000_0011
"""`SECBIT_NOROOT` and its lock: user 0 gains nothing by running a program (capabilities(7))."""

_LOCKED_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC
"""What a mount from outside a user namespace must keep; `statvfs` names these three by the same bits."""

_OUT_OF_REACH = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EACCES, errno.ENOTCONN, errno.ESTALE)
"""Another mount lies over the folder, it is not for us to enter, or what served it is gone: nobody writes to it."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, place: str = "") -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), place)


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags))


def die_with_parent(number: int) -> None:
    """Get this signal when the parent ends, however it ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def give_up_capabilities() -> None:
    """For whatever program is run from here on, whoever its user is; what runs already keeps its own."""
    _prctl(_PR_SET_SECUREBITS, _ROOT_IS_NOBODY_SPECIAL)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0) >= 0:  # up to the last one there is
        _prctl(_PR_CAPBSET_DROP, number)
        number += 1


def _prctl(option: int, argument: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    words = [os.fsencode(word) if word else None for word in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), options.encode() if options else None), target)


def make_read_only(target: str) -> None:
    """One mount; those on it stay as they are."""
    kept = os.statvfs(target).f_flag & _LOCKED_FLAGS
    mount("", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


class _MountAttributes(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace_fd", ctypes.c_uint64),
    )


def make_tree_read_only(target: str) -> None:
    """A mount, and those on it: all at once, or where the kernel does not know that, each that can be reached."""
    try:
        set_tree_read_only(target)
    except OSError:  # too old, or forbidden by a container's list of calls that it knows
        make_each_read_only(target)


def set_tree_read_only(target: str) -> None:
    """By mount_setattr(2), which needs Linux 5.12."""
    attributes = _MountAttributes(set=_MOUNT_ATTR_RDONLY)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    place = ctypes.c_char_p(os.fsencode(target))
    number, folder, flags = ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), ctypes.c_uint(_AT_RECURSIVE)
    _check(_libc.syscall(number, folder, place, flags, ctypes.byref(attributes), size), target)


def make_each_read_only(target: str) -> None:
    """One mount after the other."""
    make_read_only(target)
    for place in _mounted_below(target):
        try:
            make_read_only(place)
        except OSError as error:
            if error.errno not in _OUT_OF_REACH:
                raise


def _mounted_below(target: str) -> list[str]:
    with open("/proc/self/mountinfo", "rb") as file:
        places = [_unescaped(line.split(b" ", 5)[4]) for line in file]
    return [place for place in places if place.startswith(f"{target}/")]


def _unescaped(place: bytes) -> str:
    """Blanks and the like stand there as three octal digits."""
    first, *others = place.split(b"\\")
    return os.fsdecode(first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in others))


def unmount(target: str) -> None:
    """Now from sight, and for good when nobody uses it any more."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def pivot_root(new_root: str, place_of_old: str) -> None:
    _check(_libc.pivot_root(os.fsencode(new_root), os.fsencode(place_of_old)), new_root)
