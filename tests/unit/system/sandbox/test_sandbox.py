"""A wall round what loads a model: what is tried from inside, and what comes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from packager.errors import SandboxError, ToolError
from packager.system import procfs
from packager.system.sandbox import Confined, Confinement, has_own_root, launch, read_result, run
from packager.system.sandbox.protections import LEVELS

HERE = Path(__file__)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")

needs_root_of_its_own = pytest.mark.skipif(
    not has_own_root(), reason="this machine allows no namespaces"
)


PLAIN = Confinement()


def python(code: str, inside: Confinement = PLAIN, env: dict[str, str] | None = None) -> str:
    done = run(
        [sys.executable, "-I", "-S", "-c", code],
        inside=inside,
        cwd=Path("/"),
        env=env or {},
        timeout_seconds=30,
        check=False,
    )
    return (done.stdout + done.stderr).strip()


def raised(statement: str) -> str:
    return (
        "import os, socket, ctypes\n"
        f"try:\n    {statement}\n    print('nothing')\n"
        "except BaseException as error:\n"
        "    print(type(error).__name__, getattr(error, 'errno', ''))\n"
    )


@pytest.mark.few(5)
@needs_root_of_its_own
@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("os.makedirs('/var/cache/x')", "OSError 30"),
        ("os.mkdir('/x')", "OSError 30"),
        ("os.makedirs(os.path.expanduser('~/.cache'))", "OSError 30"),
        ("open('/usr/lib/x', 'w')", "OSError 30"),
        ("open('/etc/passwd', 'a')", "OSError 30"),
        ("open('/etc/shadow')", "FileNotFoundError 2"),
        ("open('/dev/shm/x', 'w')", "FileNotFoundError 2"),
        (f"open('{HERE}')", "FileNotFoundError 2"),
        ("os.listdir('/var')", "FileNotFoundError 2"),
        ("open('/proc/1/environ').read()", "PermissionError 13"),
        ("open('/proc/self/oom_score_adj', 'w')", "OSError 30"),
        ("open('/proc/sys/kernel/core_pattern', 'w')", "OSError 30"),
        ("os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0))", "PermissionError 1"),
        ("os.chroot('/tmp')", "PermissionError 1"),
        ("os.setuid(0)", "OSError 22"),
        ("os.memfd_create('x')", "OSError 38"),
        ("socket.create_connection(('192.0.2.1', 80), 2)", "OSError 101"),
        ("socket.getaddrinfo('example.com', 80)", "gaierror -3"),
        ("open('/tmp/x', 'w').write('1')", "nothing"),
        ("socket.create_server(('127.0.0.1', 0))", "nothing"),
    ],
)
def test_outside_stays_outside(statement: str, outcome: str) -> None:
    assert python(raised(statement)) == outcome


@needs_root_of_its_own
def test_is_nobody_among_nobody() -> None:
    found = python(
        "import os, json\n"
        "pids = [each for each in os.listdir('/proc') if each.isdecimal()]\n"
        "status = open('/proc/self/status').read()\n"
        "rights = [l.split()[1] for l in status.splitlines() if l.startswith('Cap')]\n"
        "print(json.dumps([os.getuid(), os.getgid(), os.getgroups(), len(pids), rights,"
        " sorted(os.environ), sorted(os.listdir('/proc/self/fd'))]))",
        env={"LANG": "C.UTF-8"},
    )
    uid, gid, _, processes, rights, names, fds = json.loads(found)
    assert (uid, gid, processes, set(rights)) == (993, 990, 2, {"0" * 16})
    assert names == ["LANG", "PYTHONFAULTHANDLER"]  # the second is the sandbox's
    assert fds == ["0", "1", "2", "3"]  # the last is the listing's own


@needs_root_of_its_own
def test_each_protection_is_in_force() -> None:
    """Each alone: what one of them refuses, another would too."""
    found = python(
        "import json, os, resource, socket\n"
        "status = dict(l.split(':', 1) for l in open('/proc/self/status').read().splitlines())\n"
        "limits = {n: resource.getrlimit(getattr(resource, 'RLIMIT_' + n))"
        " for n in ('CORE', 'NOFILE')}\n"
        "print(json.dumps({**limits, 'host': socket.gethostname(),"
        " 'privileges': status['NoNewPrivs'].strip(), 'calls': status['Seccomp'].strip(),"
        " 'namespaces': open('/proc/sys/user/max_user_namespaces').read().strip(),"
        " 'groups': open('/proc/self/setgroups').read().strip()}))",
        Confinement(open_files=300),
    )
    assert json.loads(found) == {
        "CORE": [0, 0],
        "NOFILE": [300, 300],
        "host": "localhost",
        "privileges": "1",
        "calls": "2",
        "namespaces": "0",
        "groups": "deny",
    }


@needs_root_of_its_own
def test_no_namespace_within() -> None:
    code = "import ctypes; print(ctypes.CDLL(None, use_errno=True).unshare(0x10000000))"
    assert python(code) == "-1"


@needs_root_of_its_own
def test_reads_and_writes_what_it_is_given(tmp_path: Path) -> None:
    given, kept = tmp_path / "given", tmp_path / "kept"
    given.mkdir()
    kept.mkdir()
    (given / "file").write_text("7")
    (tmp_path / "secret").write_text("s")
    code = (
        f"import os; print(open('{given}/file').read(), sorted(os.listdir('{tmp_path}')))\n"
        f"open('{kept}/out', 'w').write('8')\n"
        f"try: open('{given}/file', 'w')\n"
        "except OSError as error: print(error.errno)"
    )
    said = python(code, Confinement(readable=(given,), writable=(kept,)))
    assert said.splitlines() == ["7 ['given', 'kept']", "30"]
    assert (kept / "out").read_text() == "8"


@needs_root_of_its_own
def test_reads_through_links_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("7")
    link = tmp_path / "link"
    link.symlink_to("real")
    assert python(f"print(open('{link}/file').read())", Confinement(readable=(link,))) == "7"


@needs_root_of_its_own
def test_scratch_is_as_large_as_is_said() -> None:
    code = raised("open('/tmp/x', 'wb').write(bytes(2 << 20))")
    small = Confinement(scratch={"/tmp": 1 << 20})  # noqa: S108
    assert python(code, small) == "OSError 28"


@needs_root_of_its_own
def test_a_link_that_is_left_behind_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    kept = tmp_path / "kept"
    kept.mkdir()
    python(f"import os; os.symlink('{secret}', '{kept}/out')", Confinement(writable=(kept,)))
    with pytest.raises(SandboxError, match="left no out"):
        read_result(kept / "out")
    os.mkfifo(kept / "pipe")
    with pytest.raises(SandboxError, match="not a plain file"):
        read_result(kept / "pipe")


SHARED = "import mmap; x = mmap.mmap(-1, 400 << 20); x.write(b'x' * (400 << 20))"
SEGMENT = (
    "import ctypes; libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p\n"
    "place = libc.shmat(libc.shmget(0, 400 << 20, 0o1600), None, 0)\n"
    "ctypes.memset(place, 1, 400 << 20); libc.shmdt(ctypes.c_void_p(place))"
)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "taken",
    [
        "x = b'x' * (400 << 20)",
        SHARED,
        f"{SHARED}; x.madvise(mmap.MADV_DONTNEED)",
        pytest.param(SEGMENT, marks=needs_root_of_its_own),
    ],
)
def test_is_killed_at_its_memory(taken: str) -> None:
    with pytest.raises(SandboxError, match="MB of memory, and 100 MB are allowed"):
        python(f"{taken}\nimport time; time.sleep(20)", Confinement(memory_bytes=100 << 20))


def test_memory_that_is_shared_counts_once() -> None:
    code = (
        "import mmap, os, time\n"
        "x = mmap.mmap(-1, 60 << 20)\n"
        "for _ in range(60): x.write(b'x' * (1 << 20))\n"
        "if os.fork() == 0: time.sleep(30)\n"
        "time.sleep(1.5); print('there')"
    )
    assert python(code, Confinement(memory_bytes=100 << 20)) == "there"


@pytest.mark.few(5)
@needs_root_of_its_own
@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize(
    ("family", "outcome"),
    [("VSOCK", "PermissionError 1"), ("PACKET", "PermissionError 1"), ("ALG", "PermissionError 1"),
     ("INET", "nothing"), ("INET6", "nothing"), ("UNIX", "nothing"), ("NETLINK", "nothing")],
)  # fmt: skip
def test_no_socket_is_of_a_network_that_no_namespace_separates(
    family: str, outcome: str, *, network: bool
) -> None:
    """By vsock a virtual machine reaches the one that it runs on."""
    kind = "STREAM" if family == "VSOCK" else "RAW" if family == "NETLINK" else "DGRAM"
    statement = f"socket.socket(socket.AF_{family}, socket.SOCK_{kind})"
    assert python(raised(statement), Confinement(network=network)) == outcome


def test_cannot_fork_without_end() -> None:
    code = (
        "import os, time\n"
        "made = 0\n"
        "try:\n"
        "    while made < 500:\n"
        "        made += 1\n"
        "        if os.fork() == 0: time.sleep(30)\n"
        "    time.sleep(20)\n"
        "except BlockingIOError: print('refused')\n"
    )
    begun = time.monotonic()
    try:
        said = python(code, Confinement(processes=50))
    except SandboxError as error:
        said = str(error)
    assert "refused" in said or "50 are allowed" in said
    assert time.monotonic() - begun < 20


def test_nothing_outlives_it(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}"
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(60)\n"
        "    os._exit(0)\n"
        "time.sleep(0.2)"
    )
    run(
        [sys.executable, "-I", "-S", "-c", code, mark],
        inside=Confinement(),
        cwd=Path("/"),
        env={},
        timeout_seconds=30,
    )
    assert running_with(mark) == []


def test_is_ended_when_time_is_up() -> None:
    mark = f"late-{os.getpid()}"
    with pytest.raises(ToolError, match="ran past 1 seconds"):
        run(
            [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)", mark],
            inside=Confinement(),
            cwd=Path("/"),
            env={},
            timeout_seconds=1,
        )
    wait_until_gone(mark)


def test_dies_with_the_tool(tmp_path: Path) -> None:
    """Even where the tool is killed, and says goodbye to nobody."""
    mark = f"orphan-{os.getpid()}"
    tool = (
        "import sys; from pathlib import Path\n"
        "from packager.system.sandbox import Confinement, run\n"
        "run([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)', sys.argv[1]],"
        " inside=Confinement(), cwd=Path('/'), env={}, timeout_seconds=60)"
    )
    with subprocess.Popen([sys.executable, "-c", tool, mark], cwd=HERE.parents[4]) as process:
        until = time.monotonic() + 20
        while len(running_with(mark)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    wait_until_gone(mark)


def running_with(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and procfs.stat(int(entry.name)):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(int(entry.name))
    return found


def wait_until_gone(mark: str) -> None:
    until = time.monotonic() + 10
    while (left := running_with(mark)) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == []


def test_a_server_inside_is_reached(tmp_path: Path) -> None:
    code = (
        "import http.server\n"
        "http.server.HTTPServer(('127.0.0.1', 47123), http.server.SimpleHTTPRequestHandler)"
        ".serve_forever()"
    )
    with Confined(
        [sys.executable, "-I", "-c", code],
        inside=Confinement(),
        cwd=Path("/"),
        env={},
        log=tmp_path / "log",
    ) as server:
        for _ in range(400):
            try:
                connection = server.connect(47123, 5)
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.02)
        else:
            pytest.fail((tmp_path / "log").read_text())
        with connection:
            connection.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
            assert b"404" in connection.recv(100)
        assert len(server.members()) >= 1
    assert server.poll() is not None
    assert server.members() == ()


@pytest.mark.few(1)
@pytest.mark.parametrize("level", [name for name, _ in LEVELS])
def test_weaker_levels_still_run(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has = dict(LEVELS)[level]
    if not launch._holds(has):
        pytest.skip(f"this machine has no {level}")
    monkeypatch.setattr(launch, "features", lambda: has)
    code = "import os; open(os.environ['TMPDIR'] + '/x', 'w').write('1'); print('written')"
    inside = Confinement(variables={"TMPDIR": "/tmp"})  # noqa: S108
    assert python(code, inside) == "written"
    secret = HERE.parents[4] / "pyproject.toml"
    assert secret.is_file()
    expected = {"seccomp": "nothing", "process": "nothing", "landlock": "PermissionError 13"}
    assert python(raised(f"open('{secret}')")) == expected.get(level, "FileNotFoundError 2")
    own_sockets = "net" in has or "seccomp" not in has
    assert python(raised("socket.create_connection(('127.0.0.1', 9), 2)")) == (
        "ConnectionRefusedError 111" if own_sockets else "PermissionError 1"
    )


def test_environment_is_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert "secret" not in python("import os; print(dict(os.environ))")
