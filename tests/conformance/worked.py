"""The cases of the suite through Azure's real worker library, as its host sends HTTP requests.

As tests.conformance.emulated: one app serves every signature, the one that a request names. All
that is between the worker's messages and the scorer is the artifact's. The libraries are this
environment's.
"""

from __future__ import annotations

import base64
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from packager.environments import interpreters
from packager.system.sandbox import Confinement
from packager.targets.hosts import Boot
from packager.targets.hosts.functions_worker import WorkerHost
from tests.conformance.asking import Reply
from tests.conformance.cases import Case
from tests.conformance.emulated import LIBRARIES, LOADER, ROOT, key, signatures

SERVED = """
import sys
from pathlib import Path

import azure.functions as func
import tests  # the worker's own, which has its messages

HERE = Path(__file__).parent
sys.path.append({libraries!r})
tests.__path__ = [*tests.__path__, {tests!r}]

from handlers.azure_functions import Function

FUNCTIONS = {{}}
app = func.FunctionApp()


@app.function_name("http")
@app.route(route="{{*path}}")
def http(req: func.HttpRequest) -> func.HttpResponse:
    number = req.headers["x-signature"]
    if number not in FUNCTIONS:
        FUNCTIONS[number] = Function(HERE / "signatures" / number)
    return FUNCTIONS[number](req)
"""


class Worked:
    """Asks a running app; `numbers` are those of the signatures."""

    def __init__(self, running: WorkerHost, numbers: dict[str, int]) -> None:
        self._running = running
        self._numbers = numbers

    def http(self, case: Case) -> Reply:
        """What the host would hand to the client."""
        headers = {"host": "test", "x-signature": str(self._numbers[key(case)])}
        if case.content_type is not None:
            headers["content-type"] = case.content_type
        request = {
            "method": case.method,
            "url": f"http://test{case.path}",
            "headers": headers,
            "body": base64.b64encode(case.body).decode("ascii"),
        }
        done = self._running.invoke("http", {"req": {"http": request}})
        assert "returned" in done, (case.name, done, self._running.log()[-2000:])
        answer = done["returned"]["http"]
        found = {name.lower(): value for name, value in answer["headers"].items()}
        told = {name: found[name] for name in ("allow", "location") if name in found}
        if "allow" in told:
            told["allow"] = ", ".join(sorted(told["allow"].split(", ")))
        body = base64.b64decode(answer["body"])
        return Reply(answer["status"], found.get("content-type", ""), body, tuple(told.items()))


class _Beside(WorkerHost):
    """A worker that may also read this test's environment."""

    def _confine(self, more: Sequence[Path] = ()) -> Confinement:
        return super()._confine((*more, *LIBRARIES))


@contextmanager
def worked(cases: Iterable[Case], folder: Path) -> Iterator[Worked]:
    """An app for the cases' signatures, indexed. Raises EmulatorError or ToolError."""
    numbers = signatures(cases, folder)
    home = folder / ".python_packages" / "lib" / "site-packages"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "handlers", home / "handlers", ignore=ignored)
    (home / "handlers" / "loaders" / "recorder.py").write_text(LOADER, encoding="utf-8")
    text = SERVED.format(libraries=sysconfig.get_paths()["purelib"], tests=str(ROOT / "tests"))
    (folder / "function_app.py").write_text(text, encoding="utf-8")
    interpreter = interpreters.find("{}.{}".format(*sys.version_info))
    with _Beside(Boot(folder=folder, interpreter=interpreter, entrypoint="")) as running:
        assert running.failure is None, (running.failure, running.log())
        yield Worked(running, numbers)
