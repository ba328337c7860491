"""Side effects of loading the deferred modules, in forks of the started function."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypedDict

from packager.errors import ToolError
from packager.pipeline.slim.import_deferral import Name
from packager.system.resources import WORKERS
from packager.system.sandbox import read_result
from packager.system.scratch import make_scratch
from packager.targets.lambda_emulator import choose_interpreter, run_script
from packager.types import BuildPlan, Bundle


class Loaded(TypedDict, total=False):
    """Result of loading a group: `error`, or all else."""

    names: list[str]
    """What each name turned out to be."""
    effects: list[str]
    """What has changed."""
    error: str


_WORKER: Final = WORKERS / "deferred.py"
_SECONDS: Final = 300
_LISTED: Final = 6
_CACHES: Final = re.compile(
    r"""[\w.]+(:\w+)?\.\w*[cC]ache\w* | [\w.:]+\.__annotations(_cache)?__
    | sys\.modules | re:RegexFlag\._(value2member|member)_map_
    | threading\._threading_atexits
    | numpy\._core\.overrides\.ARRAY_FUNCTIONS | numpy\.testing\.overrides\._array_functions
    | numpy:iinfo\._(min|max)_vals | _cython_\w+\.\w+""",
    re.VERBOSE,
)
"""Tables that grow by any import or by what any code asks of them, and what is made when read."""


def of_loading(
    groups: Sequence[Sequence[Name]], bundle: Bundle, plan: BuildPlan
) -> list[list[Loaded]]:
    """Observe what comes of each group, in the one order and in the other.

    Raises ToolError where the function does not start.
    """
    target = plan.request.target
    with make_scratch("defer") as folder:
        question, answer = folder / "asked.json", folder / "answered.json"
        question.write_text(json.dumps([list(group) for group in groups]), encoding="utf-8")
        done = run_script(
            bundle.root,
            _WORKER,
            [bundle.root, plan.target.program.entrypoint, question, answer],
            interpreter=choose_interpreter(
                plan.interpreter, target.architecture, target.arm64_python
            ),
            provided=plan.provided,
            brings_client=plan.runtime.brings_client,
            writable=(folder,),
            timeout_seconds=_SECONDS,
        )
        if done.returncode != 0:
            raise ToolError(done.stderr.strip()[-500:])
        found: list[list[Loaded]] = json.loads(read_result(answer))
    return found


def wrong(group: Sequence[Name], found: Loaded, names: Mapping[Name, str]) -> str:
    """Explain what speaks against deferring a group; "" where it did what it would have done."""
    if "error" in found:
        return found["error"]
    for name, what in zip(group, found["names"], strict=True):
        if names.get(name, what) != what:
            return f"{'.'.join(name)} is {what}, not {names[name]}"
    effects = [each for each in found["effects"] if not _CACHES.fullmatch(each)]
    return f"changes {', '.join(effects[:_LISTED])}" if effects else ""
