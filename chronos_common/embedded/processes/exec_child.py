"""Becomes another program: bound to its parent's life, known by a lock, and not as root.

Run as a file with ``python -IS exec_child.py '{...}' program argument...`` by ``child``, in a
process of its own, because a process with threads must not run Python between fork and exec. It
imports nothing of Chronos, to start fast.
"""

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

# linux/prctl.h, linux/securebits.h, linux/capability.h
_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def main() -> None:
    """Become the program of the command line, by the instructions there.

    1. Write this process's id and its stop signal into the lock file, whose lock it inherited.
    2. Give up root if told to, and keep only the right to pass closed folders if told to.
    3. Ask for a signal when the parent dies. Giving up root clears that, so it comes after. If the
       parent died before, this process has another parent now.
    """
    instructions: dict[str, Any] = json.loads(sys.argv[1])
    stop_signal: int = instructions["stop_signal"]
    hold(instructions["lock"], stop_signal=stop_signal)
    if instructions["user"] is not None:
        _become(*instructions["user"], pass_closed_folders=instructions["pass_closed_folders"])
    end_with(instructions["parent"], stop_signal=stop_signal)
    program = sys.argv[2:]
    os.execv(program[0], program)  # noqa: S606 - that is its purpose, and there is no shell


def hold(lock: int, *, stop_signal: int) -> None:
    """Write this process's id and its stop signal into the lock file, whose lock it inherited."""
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()} {stop_signal}\n".encode())


def end_with(parent: int, *, stop_signal: int) -> None:
    """Ask for a signal when the parent dies, and exit if it has."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, stop_signal)
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended")


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """Be the parent of processes below this one whose parent ends meanwhile, on Linux."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def _become(uid: int, gid: int, *, pass_closed_folders: bool) -> None:
    """Change to an ordinary user. Any rights that this leaves vanish when the program starts.

    Where the kernel grants no right to pass closed folders, the program itself says which one
    it cannot enter.
    """
    capability = _capability_to_pass() if pass_closed_folders else None
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if capability is not None:
        with contextlib.suppress(OSError):
            _keep_only(capability)


def _capability_to_pass() -> int | None:
    """Return the weaker capability that passes closed folders, made to outlast setuid."""
    if sys.platform != "linux":
        return None
    data = (_CapabilityData * 2)()
    try:
        _check(_libc().capget(ctypes.byref(_header()), data))
        # access(2), which PostgreSQL asks, ignores ordinary users' capabilities without this.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    except OSError:
        return None
    usable = [c for c in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if data[0].permitted & 1 << c]
    return usable[0] if usable else None


def _keep_only(capability: int) -> None:
    bit = 1 << capability
    data = (_CapabilityData * 2)()
    data[0] = _CapabilityData(bit, bit, bit)
    _check(_libc().capset(ctypes.byref(_header()), data))
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _header() -> _CapabilityHeader:
    return _CapabilityHeader(_CAPABILITY_VERSION_3, 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    _check(_libc().prctl(option, *map(ctypes.c_ulong, padded)))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
