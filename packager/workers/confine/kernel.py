"""The system calls that Python has no names for, by ctypes. Each raises OSError.

Numbers and constants: https://man7.org/linux/man-pages/man2/syscalls.2.html and the kernel's
include/uapi, as of Linux 6.12.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47

_MOUNT_SETATTR, _MOUNT_ATTR_RDONLY = 442, 1
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_JOIN_SESSION_KEYRING = 1
# by machine: the same names, other numbers
# fmt: off
_X86 = {
    "pivot_root": 155, "socket": 41, "clone": 56, "clone3": 435, "keyctl": 250, "ptrace": 101,
    "mount": 165, "umount2": 166, "unshare": 272, "setns": 308, "add_key": 248,
    "request_key": 249, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "kexec_load": 246,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "open_by_handle_at": 304,
    "process_vm_readv": 310, "process_vm_writev": 311, "shmget": 29, "semget": 64, "msgget": 68,
    "mq_open": 240, "memfd_create": 319,
}
_ARM = {
    "pivot_root": 41, "socket": 198, "clone": 220, "clone3": 435, "keyctl": 219, "ptrace": 117,
    "mount": 40, "umount2": 39, "unshare": 97, "setns": 268, "add_key": 217,
    "request_key": 218, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "kexec_load": 104,
    "init_module": 105, "finit_module": 273, "delete_module": 106, "open_by_handle_at": 265,
    "process_vm_readv": 270, "process_vm_writev": 271, "shmget": 194, "semget": 190,
    "msgget": 186, "mq_open": 180, "memfd_create": 279,
}
_NEW = {
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432, "fspick": 433,
    "mount_setattr": 442, "io_uring_setup": 425, "memfd_secret": 447,
}
# fmt: on
_MACHINES = {"x86_64": (_X86, 0xC000003E), "aarch64": (_ARM, 0xC00000B7)}
_ABSENT = frozenset(
    {
        *("clone3", "io_uring_setup", "shmget", "semget", "msgget", "mq_open"),
        *("memfd_create", "memfd_secret"),
    }
)
"""Answered as by an older kernel, which libraries have another way for.

A file in memory is of no process, so that nobody could hold a program to its memory by it.
"""
_OUTLIVING = frozenset({"shmget", "semget", "msgget", "mq_open"})
"""What these make is there until somebody removes it, or its IPC namespace ends."""
_ASKED_BY_ARGUMENT = frozenset({"socket", "clone"})
_UNIX, _INTERNET, _INTERNET_6, _NETLINK = 1, 2, 10, 16
_LOCAL_FAMILIES = (_UNIX, _NETLINK)
_FAMILIES = (*_LOCAL_FAMILIES, _INTERNET, _INTERNET_6)
"""Those of sockets that a network namespace separates: one of vsock leads to the machine's host."""
_EPERM, _ENOSYS = 1, 38

_LIBC = ctypes.CDLL(None, use_errno=True)


def _check_call(done: int, what: str) -> int:
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return done


def unshare(flags: int) -> None:
    _check_call(_LIBC.unshare(flags), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    done = _LIBC.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        data.encode(),
    )
    _check_call(done, f"mount {target}")


def unmount(target: str) -> None:
    _check_call(_LIBC.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    _check_call(_syscall("pivot_root", os.fsencode(new), os.fsencode(old)), "pivot_root")


def make_read_only(target: str) -> None:
    """The mount at `target` and every one below it. Raises OSError (ENOSYS before Linux 5.12)."""
    attributes = struct.pack("=4Q", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    done = _LIBC.syscall(
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(_AT_RECURSIVE),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )
    _check_call(done, f"mount_setattr {target}")


def control(option: int, value: int = 0, third: int = 0) -> None:
    zero = ctypes.c_ulong(0)
    done = _LIBC.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(third), zero, zero)
    _check_call(done, f"prctl {option}")


def set_host_name(name: str) -> None:
    _check_call(_LIBC.sethostname(name.encode(), len(name)), "sethostname")


def leave_keyring() -> None:
    """A session keyring of our own: the caller's may hold Kerberos tickets or disk keys."""
    _LIBC.syscall(ctypes.c_long(_table()["keyctl"]), _JOIN_SESSION_KEYRING, None)


def drop_capabilities() -> None:
    """Every right of root, now and after any exec. Raises OSError."""
    for number in range(64):
        if _LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break
    _LIBC.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)
    header = struct.pack("=Ii", 0x20080522, 0)
    _check_call(_LIBC.capset(header, struct.pack("=6I", *[0] * 6)), "capset")


def filter_calls(*, sockets: bool, ipc: bool) -> None:
    """Refuse what changes the machine or looks into others; without `sockets`, the network too.

    Sockets of other families than the internet's, Unix's and netlink's are refused in any case.
    Without `ipc` also what would outlive the program in this machine's IPC namespace. Raises
    OSError where the kernel takes no filter.
    """
    table, machine = _MACHINES[os.uname().machine]
    control(PR_SET_NO_NEW_PRIVS, 1)
    refused = {**table, **_NEW}.keys() - _ASKED_BY_ARGUMENT - (_OUTLIVING if ipc else set())
    program = b"".join(_instructions(table, machine, sorted(refused), sockets=sockets))
    buffer = ctypes.create_string_buffer(program)
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    done = _LIBC.prctl(
        PR_SET_SECCOMP, ctypes.c_ulong(2), head, ctypes.c_ulong(0), ctypes.c_ulong(0)
    )
    _check_call(done, "seccomp")


def _instructions(
    table: dict[str, int], machine: int, refused: Iterable[str], *, sockets: bool
) -> Iterable[bytes]:
    """Classic BPF over struct seccomp_data: number at 0, machine at 4, arguments from 16."""
    load, jump_equal, jump_set, jump_above, leave = 0x20, 0x15, 0x45, 0x35, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000

    def instruction(code: int, yes: int, no: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    yield instruction(load, 0, 0, 4)
    yield instruction(jump_equal, 1, 0, machine)
    yield instruction(leave, 0, 0, refuse | _ENOSYS)
    yield instruction(load, 0, 0, 0)
    # the x32 numbers of x86_64
    yield instruction(jump_above, 0, 1, 0x40000000)
    yield instruction(leave, 0, 0, refuse | _ENOSYS)
    for name in refused:
        yield instruction(jump_equal, 0, 1, {**table, **_NEW}[name])
        yield instruction(leave, 0, 0, refuse | (_ENOSYS if name in _ABSENT else _EPERM))
    yield instruction(jump_equal, 0, 4, table["clone"])
    yield instruction(load, 0, 0, 16)
    yield instruction(jump_set, 0, 1, CLONE_NEWUSER)
    yield instruction(leave, 0, 0, refuse | _EPERM)
    yield instruction(leave, 0, 0, allow)
    families = _FAMILIES if sockets else _LOCAL_FAMILIES
    yield instruction(jump_equal, 0, len(families) + 2, table["socket"])
    yield instruction(load, 0, 0, 16)
    for place, family in enumerate(families):
        yield instruction(jump_equal, len(families) - place, 0, family)
    yield instruction(leave, 0, 0, refuse | _EPERM)
    yield instruction(leave, 0, 0, allow)


def _table() -> dict[str, int]:
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise OSError(_ENOSYS, f"no system call numbers are known for {machine}")
    return _MACHINES[machine][0]


def _syscall(name: str, *arguments: bytes) -> int:
    done: int = _LIBC.syscall(ctypes.c_long(_table()[name]), *arguments)
    return done
