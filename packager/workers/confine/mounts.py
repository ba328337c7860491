"""The file tree that a confined program sees: a root of its own, with little in it."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from . import kernel

if TYPE_CHECKING:
    from .spec import Spec

_OLD = "/.old"
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
)
"""Where programs and libraries of the system lie; links among these stay links."""
_ETC = (
    *(
        "alternatives",
        "ca-certificates.conf",
        "crypto-policies",
        "fonts",
        "gai.conf",
        "ld.so.cache",
    ),
    *("ld.so.conf", "ld.so.conf.d", "ld-nix.so.preload", "localtime", "mime.types"),
    *("OpenCL", "pki/ca-trust", "pki/tls/certs", "pki/tls/cert.pem", "protocols", "services"),
    *("ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf", "static", "timezone", "vulkan"),
)
"""Of /etc: what a library reads, and nothing that holds a name, a key or a password."""
_PLATFORM_ETC = (
    *("crypto-policies", "ld.so.cache", "ld-nix.so.preload", "pki/ca-trust", "pki/tls/certs"),
    *("pki/tls/cert.pem", "protocols", "services", "ssl/cert.pem", "ssl/certs", "static"),
    "ssl/openssl.cnf",
)
"""Of these, what a platform's image has: no fonts, no types of files, no time zone but UTC."""
_NETWORK_ETC = ("resolv.conf", "host.conf")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LDCONFIG = "ldconfig"
_OF_MEMORY = (
    *("Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal", "SwapFree", "Shmem"),
    *("Slab", "SReclaimable", "SUnreclaim"),
)
_BASES = ("/tmp", "/run", "/mnt", "/var", "/opt")  # noqa: S108 - a place to mount on, not to write
_CPU_FILES = ("/sys/devices/system",)
_DEVICE_FILES = ("/sys",)
_NAMED = kernel.MS_NOSUID | kernel.MS_NODEV


def _leave_out_nested(paths: list[str]) -> list[str]:
    """The paths that lie in no other of them, the shortest first."""
    outer: list[str] = []
    for path in sorted(paths, key=len):
        if not any(path == each or path.startswith(each.rstrip("/") + "/") for each in outer):
            outer.append(path)
    return outer


def build_root(spec: Spec, *, fresh_proc: bool) -> None:
    """Replace this mount namespace's root. Raises OSError where a step is not allowed."""
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    real = {path: os.path.realpath(path) for path in [*spec["readable"], *spec["writable"]]}
    base = next(path for path in _BASES if os.path.isdir(path))
    kernel.mount("tmpfs", base, "tmpfs", _NAMED, "mode=0755,size=4m")
    os.mkdir(base + _OLD)
    kernel.pivot_root(base, base + _OLD)
    os.chdir("/")
    for path, size in spec["scratch"].items():
        _scratch(path, size)
    _show_system(spec["system"])
    _fill_etc(spec)
    _fill_dev(spec)
    for path in _DEVICE_FILES if spec["devices"] else _CPU_FILES if spec["cpu_files"] else ():
        _bind_if_there(path)
    for path in _leave_out_nested(spec["readable"]):
        _bind(real[path], path)
    for path in spec["writable"]:
        _bind(real[path], path, writable=True)
    _mount_proc(fresh=fresh_proc)
    if spec["system"] is not None and spec["memory_bytes"] is not None:
        _show_memory(spec["memory_bytes"])
    kernel.unmount(_OLD)
    os.rmdir(_OLD)
    _remount_read_only("/")


def _bind(source: str, target: str, *, writable: bool = False, device: bool = False) -> None:
    old = _OLD + source
    if os.path.isdir(old):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(old, target, None, kernel.MS_BIND | kernel.MS_REC)
    if not writable and not device:
        _make_read_only(target)


def _make_read_only(target: str) -> None:
    try:
        kernel.make_read_only(target)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        _remount_read_only(target)


def _remount_read_only(target: str) -> None:
    """Flags that an outer namespace has set may not be taken away, so they are given again."""
    kept = os.statvfs(target).f_flag & (kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kept
    kernel.mount(None, target, None, flags)


def _show_system(files: list[str] | None) -> None:
    """The system's folders, or of them the links and files that are named."""
    for path in _SYSTEM:
        old = _OLD + path
        if os.path.islink(old):
            _link(path)
        elif os.path.isdir(old) and files is None:
            _bind(path, path)
    for path in files or []:
        if os.path.basename(path) == _LDCONFIG:
            _write_ldconfig(path, files or [])
        elif os.path.islink(_OLD + path):
            _link(path)
        elif os.path.exists(_OLD + path):
            _bind(path, path)


def _write_ldconfig(path: str, files: list[str]) -> None:
    """A program that lists what is shown of the system's libraries: this machine's lists its own.

    ctypes.util.find_library reads it: https://docs.python.org/3/library/ctypes.html
    """
    libraries = {os.path.basename(each): each for each in files if ".so." in each}
    kind = "libc6,x86-64" if os.uname().machine == "x86_64" else "libc6,AArch64"
    lines = [f"\t{name} ({kind}) => {at}" for name, at in sorted(libraries.items())]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    made = os.open(path, os.O_CREAT | os.O_WRONLY, 0o755)
    with open(made, "w", encoding="utf-8") as out:
        out.write("\n".join(["#!/bin/sh", "cat <<'END'", *lines, "END", ""]))


def _link(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(os.readlink(_OLD + path), path)


def _bind_if_there(path: str) -> None:
    source = _real_in_old(path)
    if os.path.exists(_OLD + source):
        _bind(source, path)


def _real_in_old(path: str) -> str:
    """Follow links as the old root has them; what is absolute in a link is below it, too."""
    for _ in range(16):
        if not os.path.islink(_OLD + path):
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(_OLD + path)))
    return path


def _scratch(path: str, size: int) -> None:
    os.makedirs(path, exist_ok=True)
    mode = "1777" if path in {"/tmp", "/dev/shm"} else "0700"  # noqa: S108
    kernel.mount("tmpfs", path, "tmpfs", _NAMED, f"mode={mode},size={size}")


def _fill_etc(spec: Spec) -> None:
    os.makedirs("/etc", exist_ok=True)
    names = _ETC if spec["system"] is None else _PLATFORM_ETC
    for name in names + (_NETWORK_ETC if spec["network"] else ()):
        _bind_if_there(f"/etc/{name}")
    user, home = spec["user"], spec["home"]
    uid, gid = spec["uid"], spec["gid"]
    texts = {
        "passwd": f"{user}:x:{uid}:{gid}::{home}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
        "group": f"{user}:x:{gid}:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    for name, text in texts.items():
        with open(f"/etc/{name}", "w", encoding="utf-8") as out:
            out.write(text)


def _fill_dev(spec: Spec) -> None:
    os.makedirs("/dev", exist_ok=True)
    for name in (*_DEVICES, *spec["devices"]):
        if os.path.exists(f"{_OLD}/dev/{name}"):
            _bind(f"/dev/{name}", f"/dev/{name}", device=True)
    for name, number in (("stdin", "0"), ("stdout", "1"), ("stderr", "2"), ("fd", "")):
        os.symlink(f"/proc/self/fd/{number}".rstrip("/"), f"/dev/{name}")


def _mount_proc(*, fresh: bool) -> None:
    """Read-only, as a caller who is root would own all of /proc/sys in it."""
    os.makedirs("/proc", exist_ok=True)
    if fresh:
        flags = _NAMED | kernel.MS_NOEXEC | kernel.MS_RDONLY
        kernel.mount("proc", "/proc", "proc", flags)
        for name in ("kcore", "keys", "key-users", "timer_list"):
            with contextlib.suppress(OSError):
                kernel.mount("/dev/null", f"/proc/{name}", None, kernel.MS_BIND)
    else:
        _bind("/proc", "/proc")


def _show_memory(size: int) -> None:
    """Have /proc/meminfo tell of `size` bytes, where this machine has more.

    Libraries size their caches and pools by it: https://man7.org/linux/man-pages/man5/proc_meminfo.5.html
    """
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size >= total:
        return
    told = dict.fromkeys(("MemTotal", "MemFree", "MemAvailable"), size >> 10)
    told |= dict.fromkeys(_OF_MEMORY, 0)
    made = "/.meminfo"
    with open(made, "w", encoding="ascii") as out:
        out.writelines(f"{name + ':':<15} {kilobytes:8} kB\n" for name, kilobytes in told.items())
    kernel.mount(made, "/proc/meminfo", None, kernel.MS_BIND)
    _make_read_only("/proc/meminfo")
    os.unlink(made)
