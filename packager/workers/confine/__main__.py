"""Run one program apart from everything else on this machine, with what it is allowed.

    python -I -S confine SPEC REPORT LIFELINE DOOR

Four file descriptors, -1 for none. SPEC holds a JSON object: see
packager/system/sandbox. REPORT gets a
JSON object a line about what went wrong. When the other end of LIFELINE is closed, everything ends.
Each byte that comes by DOOR is answered with a TCP socket of the program's network. The exit code
is the program's, or 128 and the number of the signal that ended it.

Three processes: this one watches from outside; it starts the first of the program's process
namespace, which builds what the program sees, starts it, and reaps; when that one goes, the kernel
ends all that it started. Run by the packager's own Python; the standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if not __package__:
    # run by its path, without the packager: the folder is a package of its own
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    __package__ = "confine"
    __spec__ = None  # which would have it that there is no package

from . import kernel, landlock, mounts, watch

if TYPE_CHECKING:
    from .spec import Spec

_FAILED = 125
_NAMESPACES = {
    "user": kernel.CLONE_NEWUSER,
    "pid": kernel.CLONE_NEWPID,
    "ipc": kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS,
    "net": kernel.CLONE_NEWNET,
}
_UCOUNTS = (5, 14)
"""Since then RLIMIT_NPROC counts a user namespace's own processes."""
_INIT_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(argv: list[str]) -> int:
    spec_fd, report_fd, lifeline, door = (int(each) for each in argv)
    with os.fdopen(spec_fd, "rb") as file:
        spec: Spec = json.load(file)
    for fd in (report_fd, lifeline, door):
        if fd >= 0:
            os.set_inheritable(fd, False)

    def tell(**what: object) -> None:
        os.write(report_fd, json.dumps(what).encode() + b"\n")

    try:
        has = _separate(spec)
        leader = os.fork()
        if leader == 0:
            _lead(spec, has, lifeline, door)
    except OSError as error:
        tell(failed=str(error))
        return _FAILED
    if door >= 0:
        os.close(door)
    status = watch.wait(leader, lifeline if lifeline >= 0 else None, spec, tell)
    if "pid" not in has:
        watch.end_all(os.getpid())
    return _exit_code(status)


def _separate(spec: Spec) -> frozenset[str]:
    """Enter the namespaces that are asked for; the process one holds from the next fork on."""
    has = frozenset(spec["features"])
    wanted = has - {"net"} if spec["network"] else has
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.setgroups([])
    kernel.leave_keyring()
    uid, gid = os.geteuid(), os.getegid()
    flags = sum(_NAMESPACES[name] for name in wanted & _NAMESPACES.keys())
    if flags:
        kernel.unshare(flags)
    if "user" in has:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{spec['uid']} {uid} 1")
        _write("/proc/self/gid_map", f"{spec['gid']} {gid} 1")
        # no namespace inside this one, in which its program would have every right again
        with contextlib.suppress(OSError):
            _write("/proc/sys/user/max_user_namespaces", "0")
    if "pid" not in has:
        kernel.control(kernel.PR_SET_CHILD_SUBREAPER, 1)
    return has


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _lead(spec: Spec, has: frozenset[str], lifeline: int, door: int) -> NoReturn:
    """The first process inside: everything that it does not catch is said by its exit code."""
    try:
        kernel.control(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if lifeline >= 0:
            os.close(lifeline)
        if "net" in has and not spec["network"]:
            _raise_loopback()
        if "mount" in has:
            # from here on alone: a new root becomes that of everyone in the namespace
            kernel.unshare(kernel.CLONE_NEWNS)
            mounts.build_root(spec, fresh_proc="proc" in has)
        if "ipc" in has:
            kernel.set_host_name("localhost")
        _limit(spec, has)
        child = os.fork()
        if child == 0:
            _become(spec, has)
        kernel.control(kernel.PR_SET_DUMPABLE, 0)
        os.dup2(os.open("/dev/null", os.O_RDWR), 1)
        os._exit(_reap(child, door))
    except OSError as error:
        sys.stderr.write(f"sandbox: {error}\n")
    except BaseException as error:  # noqa: BLE001 - a forked process must not run its parent's code
        sys.stderr.write(f"sandbox: {error!r}\n")
    os._exit(_FAILED)


def _raise_loopback() -> None:
    import fcntl
    import socket
    import struct

    up_and_running, set_flags = 0x41, 0x8914
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", up_and_running)
        fcntl.ioctl(any_socket, set_flags, request)


def _limit(spec: Spec, has: frozenset[str]) -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: spec["open_files"],
        resource.RLIMIT_MEMLOCK: 1 << 26,
    }
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if "user" in has and release >= _UCOUNTS:
        limits[resource.RLIMIT_NPROC] = spec["processes"]
    for which, wanted in limits.items():
        hard = resource.getrlimit(which)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (most, most))


def _become(spec: Spec, has: frozenset[str]) -> NoReturn:
    """Turn into the program, without a right beyond an ordinary user's."""
    os.setsid()
    for number in _INIT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.chdir(spec["cwd"])
    if "user" in has or os.geteuid() == 0:
        kernel.drop_capabilities()
    kernel.control(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if "landlock" in has:
        landlock.restrict(spec["landlock_readable"], [*spec["writable"], *spec["scratch"]])
    if "seccomp" in has:
        sockets = spec["network"] or "net" in has or spec["listens"]
        kernel.filter_calls(sockets=sockets, ipc="ipc" in has)
    argv, env = spec["argv"], spec["env"]
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        sys.stderr.write(f"sandbox: {argv[0]} cannot be started: {error}\n")
    os._exit(_FAILED)


def _reap(child: int, door: int) -> int:
    """Until the program ends; returns its exit code, or ends as it did."""
    for number in _INIT_SIGNALS:
        signal.signal(number, lambda got, _: _pass_on(child, got))
    poll, ends = select.poll(), -1
    with contextlib.suppress(AttributeError, OSError):
        ends = os.pidfd_open(child)
        poll.register(ends, select.POLLIN)
    if door >= 0:
        poll.register(door, select.POLLIN | select.POLLHUP)
    while True:
        ready = poll.poll(20 if ends < 0 else 1000)
        for fd, _ in ready:
            if fd == door and not _hand_out_socket(door):
                poll.unregister(door)
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == child:
                    return _exit_code(found[1])


def _exit_code(status: int) -> int:
    """A signal as a shell has it: the first process of a namespace cannot end itself by one."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _pass_on(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _hand_out_socket(door: int) -> bool:
    import socket

    if not os.read(door, 1):
        return False
    with socket.socket() as made, socket.socket(fileno=os.dup(door)) as way:
        socket.send_fds(way, [b"s"], [made.fileno()])
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
