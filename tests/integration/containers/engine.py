"""A Docker engine of the tests' own: no bridge, no firewall rules, all of it in one folder."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DAEMON: Final = Path("/usr/sbin/dockerd")
CLIENT: Final = Path("/usr/bin/docker")


def why_not() -> str | None:
    """Why no engine can be started on this machine; None where one can."""
    if os.geteuid() != 0:
        return "a Docker engine is started by root alone"
    missing = [str(path) for path in (DAEMON, CLIENT) if not path.is_file()]
    if missing:
        return f"there is no {' and no '.join(missing)}: apt-get install docker.io"
    return None


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Engine:
    """Docker's command line against one engine."""

    socket: Path

    @property
    def environment(self) -> dict[str, str]:
        home = self.socket.parent
        return {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(home),
            "DOCKER_HOST": f"unix://{self.socket}",
        }

    def run(self, *argv: str | Path, stdin: bytes | None = None, buildkit: bool = False) -> str:
        """Its output. Raises AssertionError with the command's own words where it fails."""
        done = self.tried(*argv, stdin=stdin, buildkit=buildkit)
        assert done.returncode == 0, (argv, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout.strip()

    def tried(
        self, *argv: str | Path, stdin: bytes | None = None, buildkit: bool = False
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [CLIENT, *argv],
            env={**self.environment, "DOCKER_BUILDKIT": str(int(buildkit))},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=300,
        )
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def inspect(self, thing: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.run("inspect", thing))
        return found[0]

    @contextmanager
    def container(self, image: str, *options: str, args: Sequence[str] = ()) -> Iterator[str]:
        """A container's name while it runs; its log is printed at the end."""
        name = self.run("run", "--detach", *options, image, *args)
        try:
            yield name
        finally:
            said = self.tried("logs", name)
            print(said.stdout, said.stderr)  # noqa: T201 - pytest shows it with a failure
            self.tried("rm", "--force", name)


@contextmanager
def started(folder: Path) -> Iterator[Engine]:
    """An engine whose images, socket and process are gone afterwards."""
    path = folder / "docker.sock"
    argv: list[str | Path] = [
        *(DAEMON, "--iptables=false", "--ip6tables=false", "--bridge=none"),
        *("--data-root", folder / "data", "--exec-root", folder / "exec"),
        *("-H", f"unix://{path}", "-p", folder / "docker.pid"),
    ]
    environment: Mapping[str, str] = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder)}
    with (folder / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(
            argv, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        _wait(path, daemon, folder / "dockerd.log")
        yield Engine(path)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
        # it leaves the namespace of `--network host` mounted, and with it its folder
        for place in (folder / "exec" / "netns").glob("*"):
            subprocess.run(["umount", place], capture_output=True, check=False)


def _wait(path: Path, daemon: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and daemon.poll() is None:
        connection = _Unix(path)
        try:
            connection.request("GET", "/_ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise AssertionError(f"the Docker engine did not start:\n{log.read_text()[-3000:]}")
