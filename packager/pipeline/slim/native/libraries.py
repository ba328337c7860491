"""Supply shared libraries that wheels expect of the system and the runtime does not have.

Only ever from a wheel for the target's platform: the machine that builds may run another system.
"""

from __future__ import annotations

import logging
import shutil
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import tomli_w

from packager import facts
from packager.environments import lockfile
from packager.errors import PlanError, ToolError
from packager.facts import Donor
from packager.pipeline.slim.passes import Pass, account_for, check_wanted
from packager.system import cache, elf, file_tree
from packager.system.scratch import make_scratch
from packager.types import BuildPlan, Bundle, Lock, LockedPackage, PassName

_LOG = logging.getLogger(__name__)
_FOLDER: Final = "lib"
"""Lambda has /var/task/lib on LD_LIBRARY_PATH; where a target has no such thing, its entry point
loads what lies here before the model."""
_DIGITS: Final = 20


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Copy what is missing to lib/; what nobody donates is left for the linkage check to report."""
    supplied: list[str] = []
    sought: set[str] = set()
    while wanted := missing(bundle.root, plan.runtime.libraries) - sought:
        sought |= wanted
        supplied += [
            f"{library} from {donor}"
            for library in sorted(wanted)
            if (donor := _supply(library, bundle.root, plan))
        ]
    return account_for(
        bundle, PASS, proof="; ".join(supplied) or "nothing that is needed was missing"
    )


def missing(root: Path, provided: Iterable[str]) -> set[str]:
    """Names in DT_NEEDED of any file under `root` that neither it nor the system has."""
    present = set(provided)
    needed: set[str] = set()
    for relative in file_tree.walk(root):
        check_wanted()
        path = root / relative
        present.add(relative.name)
        if ".so" in relative.name and elf.is_elf(path):
            try:
                needed.update(elf.read(path).needed)
            except ValueError as error:
                _LOG.debug("Passed over: %s", error)  # the linkage check reports it
    return needed - present


def _supply(library: str, root: Path, plan: BuildPlan) -> str | None:
    donors = [d for d in facts.donors(plan.request.target.facts_dir) if d.library == library]
    for donor in donors:
        if found := _first(root, donor.glob):
            _copy(found, root / _FOLDER / library)
            return f"{donor.distribution}, which is installed"
    for donor in donors:
        try:
            source = _fetch_library(donor, plan)
        except (PlanError, ToolError) as error:
            _LOG.debug("%s gives no %s: %s", donor.distribution, library, error)
            continue
        _copy(source, root / _FOLDER / library)
        return f"{donor.distribution} {donor.version}'s wheel for {plan.platform}"
    return None


def _first(folder: Path, glob: str) -> Path | None:
    return min(folder.glob(glob), default=None)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)
    elf.rename(target, target.name)


def _fetch_library(donor: Donor, plan: BuildPlan) -> Path:
    """The library out of the donor's wheel for the target's platform; cached by all that chose it.

    Raises ToolError where there is no such wheel, or it does not hold the library.
    """

    def make(folder: Path) -> None:
        _LOG.info("Taking %s from %s %s", donor.library, donor.distribution, donor.version)
        with make_scratch("donor") as name:
            lockfile.install(
                _lock_donor(donor, plan),
                name,
                interpreter=plan.interpreter,
                platform=plan.platform,
                options=plan.model.requirements.options,
            )
            found = _first(name, donor.glob)
            if found is None:
                raise ToolError(
                    f"{donor.distribution} {donor.version} has no file {donor.glob}: correct the "
                    "donor in libraries.toml."
                )
            shutil.copyfile(found, folder / donor.library)

    # one wheel gives a library by several names
    taken = cache.make_key([donor.library, donor.glob])[:_DIGITS]
    key = f"{donor.distribution}-{donor.version}-{plan.interpreter.minor}-{plan.platform}-{taken}"
    return cache.ensure("donors", key, make) / donor.library


def _lock_donor(donor: Donor, plan: BuildPlan) -> Lock:
    """The donor alone: what it needs to run is of no use here."""
    wanted = lockfile.Wanted(
        requirements=(f"{donor.distribution}=={donor.version}",),
        options=plan.model.requirements.options,
        interpreter=plan.interpreter,
        platform=plan.platform,
    )
    document = tomllib.loads(lockfile.lock(wanted).text)
    document["packages"] = [p for p in document["packages"] if p["name"] == donor.distribution]
    return Lock(
        text=tomli_w.dumps(document),
        packages=(LockedPackage(name=donor.distribution, version=donor.version),),
    )


PASS: Final = Pass(
    name=PassName.LIBRARIES,
    reason="wheels leave some libraries to the system, and the runtime's does not have them",
    apply=apply,
)
