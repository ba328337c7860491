"""Build an artifact again from its own record, and compare every byte with it."""

from __future__ import annotations

import json
import logging
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final, cast

from packaging.utils import canonicalize_name, is_normalized_name
from packaging.version import Version

from packager.commands.artifact.description import (
    EVIDENCE,
    LOCK,
    MOST_DOCUMENT,
    DescribedArtifact,
    read_artifact,
    read_own_text,
)
from packager.commands.artifact.integrity import YOURS
from packager.commands.artifact.zip_members import find_member
from packager.commands.difference.recorded_audit import recall_audit
from packager.errors import (
    ModelFormatError,
    PackagerError,
    RebuildError,
    StorageError,
)
from packager.models.registry import ModelRegistry
from packager.pipeline.build import build
from packager.pipeline.emit import record_choice
from packager.pipeline.output.record import request_again
from packager.system import cache
from packager.system.atomic_output import MARKER
from packager.system.file_tree import records, sha256
from packager.system.scratch import make_scratch
from packager.targets.images.base_images import PinnedImage, explain_unpinned
from packager.types import (
    ArtifactCheck,
    Audit,
    BuildReport,
    BuildRequest,
    Choice,
    ColdStart,
    Evidence,
    ImportedModule,
    Json,
    LedgerEntry,
    OutputOptions,
    RebuildInputs,
    ResolvedModel,
    VerifiedBundle,
    change_request,
)

_LOG = logging.getLogger(__name__)
CHECK: Final = "rebuild"
_SHOWN: Final = 20
_DOCKERFILE: Final = "Dockerfile"
_ADDRESSES: Final = ("models:/", "runs:/")
"""What a report's model may be fetched by: a registry that you name answers these."""
_ODD: Final = (LookupError, TypeError, ValueError, AttributeError)


def compare_rebuilt(folder: Path, registry: ModelRegistry, given: RebuildInputs) -> ArtifactCheck:
    """Build `folder` again elsewhere, and compare each file byte for byte; nothing in it changes.

    Measured times and sizes are taken from its evidence, as no two runs measure the same. Raises
    RebuildError where it cannot be built again, IntegrityError for a report that is damaged.
    """
    artifact = read_artifact(folder.absolute())
    request = make_request(artifact, given)
    _LOG.info("Building it again from its record: %s", request.model.uri)
    with make_scratch("rebuild") as scratch:
        out = scratch / "dist"
        try:
            built = build(
                change_request(request, out_dir=out),
                registry,
                take_model=lambda model: _take_model(artifact, model),
                take_proof=lambda verified: restore_measurements(artifact, verified),
                pin_base=lambda reference: recall_base(artifact, reference),
                answer_audit=lambda packages: _recall_audit(artifact, packages),
            )
            _restore_choice(artifact, built)
        except (RebuildError, StorageError):
            raise
        except PackagerError as error:
            why = f"the build ended with exit code {error.exit_code}: {error}"
            raise _explain(artifact, why) from error
        problems = list(_list_differences(artifact, read_artifact(out)))
    shown = problems[:_SHOWN]
    if len(problems) > _SHOWN:
        shown.append(f"and {len(problems) - _SHOWN:,} more files that differ from the rebuild")
    return {"name": CHECK, "passed": not problems, "problems": shown}


def _restore_choice(artifact: DescribedArtifact, built: BuildReport) -> None:
    """Write what the artifact's build weighed, which this one did not. Raises RebuildError."""
    told = artifact.read(EVIDENCE).get("choice")
    if told is None:
        return
    try:
        record_choice(built, cast("Choice", told))
    except _ODD as error:
        raise _explain(
            artifact, f"its evidence records no choice of a build's ({error!r})."
        ) from error


def make_request(artifact: DescribedArtifact, given: RebuildInputs) -> BuildRequest:
    """Return the request that the artifact was built by. Raises RebuildError."""
    report = artifact.read(MARKER)
    own = version("serverless-model-packager")
    if report.get("packager") != own:
        raise _explain(
            artifact,
            f"packager {str(report.get('packager'))[:40]} built it, and this is {own}, which "
            "writes other bytes. Verify with the version that built it.",
        )
    code = cache.digest_code()
    if report.get("program", code) != code:
        raise _explain(
            artifact,
            f"another program that calls itself packager {own} built it (its files have the digest "
            f"{str(report['program'])[:16]}, and these {code[:16]}), and it may write other bytes. "
            "Verify with the one that built it: the same release, or the same commit of a checkout "
            "without changes.",
        )
    if "options" not in report:
        raise _explain(artifact, "its report does not record the options that it was built with.")
    try:
        request = BuildRequest(
            model=replace(given.options, uri=_find_address(report["model"], given.options.uri)),
            output=OutputOptions(reuse=False),
            versions=_list_versions(artifact),
        )
        request = change_request(request, allow_unproven=given.allow_unproven)
        return request_again(request, report["options"], given.files)
    except ModelFormatError as error:
        raise _explain(artifact, str(error)) from error
    except _ODD as error:
        words = str(error) if isinstance(error, ValueError) else repr(error)
        raise _explain(artifact, f"{words}.") from error


def restore_measurements(artifact: DescribedArtifact, verified: VerifiedBundle) -> VerifiedBundle:
    """Return what was proven now, with the times and sizes that the artifact's build measured.

    Raises RebuildError for an evidence that no build wrote.
    """
    told = artifact.read(EVIDENCE)
    try:
        return replace(
            verified,
            evidence=_restore_evidence(told["evidence"], verified.evidence),
            bundle=replace(
                verified.bundle,
                ledger=tuple(
                    _restore_entry(now, before)
                    for now, before in zip(verified.bundle.ledger, told["ledger"], strict=True)
                ),
            ),
        )
    except _ODD as error:
        raise _explain(
            artifact, f"its evidence records another build than is made now ({error!r})."
        ) from error


def _take_model(artifact: DescribedArtifact, model: ResolvedModel) -> ResolvedModel:
    """Return the model with the address and aliases of then. Raises RebuildError for another."""
    told = artifact.read(MARKER)["model"]
    if model.digest != artifact.model_digest:
        raise _explain(
            artifact,
            f"the model at {model.uri} has the digest {model.digest}, and the one that was built "
            f"{artifact.model_digest}: its files were changed, or it is another.",
        )
    if model.name != told["name"]:
        raise _explain(
            artifact,
            f"the model at {model.uri} is called {model.name!r} and was {told['name']!r}: a "
            "folder's name is the model's. Rename or copy it.",
        )
    uri = str(told["uri"])
    return replace(
        model,
        uri=uri if uri.startswith(_ADDRESSES) else model.uri,
        aliases=tuple(map(str, told["aliases"])),
    )


def _find_address(model: Mapping[str, object], given: str) -> str:
    """Raises ValueError where the report's address leads nowhere, and none is given."""
    if given:
        return given
    uri = str(model["uri"])
    if model.get("version") and uri.startswith("models:/"):
        return f"models:/{model['name']}/{model['version']}"
    if uri.startswith(_ADDRESSES):
        return uri
    raise ValueError(
        f"its model is {uri[:200]!r}, which the report alone does not lead to: name the model with "
        "--model"
    )


def recall_base(artifact: DescribedArtifact, reference: str) -> PinnedImage:
    """Return the digest that the artifact's Dockerfile has of its base: no registry is asked.

    A tag may lead to another image since, and no artifact chooses whom a rebuild asks. Raises
    RebuildError for a report that no build wrote, ModelFormatError without a Dockerfile.
    """
    if not reference or "@" in reference:
        return PinnedImage()
    text = read_own_text(artifact.home / _DOCKERFILE)
    if found := re.search(rf"{re.escape(reference)}@(sha256:[0-9a-f]{{64}})\b", text):
        return PinnedImage(digest=found[1])
    try:
        reasons = [str(each) for each in artifact.read(MARKER)["plan"]["reasons"]]
    except _ODD as error:
        raise _explain(artifact, f"its report has no reasons ({error!r}).") from error
    said = (each for each in reasons if each.startswith(explain_unpinned(reference)))
    return PinnedImage(why_not=next(said, ""))


def _recall_audit(artifact: DescribedArtifact, packages: Mapping[str, str]) -> Audit:
    """Return what the artifact's build was told. Raises RebuildError for what no build wrote."""
    try:
        return recall_audit(artifact.read(EVIDENCE), packages)
    except _ODD as error:
        raise _explain(artifact, f"its evidence records no audit ({error!r}).") from error


def _list_versions(artifact: DescribedArtifact) -> tuple[str, ...]:
    """The lock's versions, as constraints. Raises ValueError for a name or version that is none.

    What else uv would read in their place (an address, a line of options) nobody's lock may say.
    """
    document = tomllib.loads(read_own_text(artifact.home / LOCK))
    return tuple(
        _make_constraint(str(each["name"]), str(each["version"]))
        for each in document.get("packages", ())
        if "version" in each and "archive" not in each
    )


def _make_constraint(name: str, version: str) -> str:
    if not is_normalized_name(canonicalize_name(name)):
        raise ValueError(f"its lock has a package {name[:80]!r}, which is the name of none")
    return f"{name}=={Version(version)}"


def _restore_evidence(told: Mapping[str, Json], now: Evidence) -> Evidence:
    start = now.replay.cold_start
    if start is not None:
        start = ColdStart(**{each.name: told["cold_start"][each.name] for each in fields(start)})
    measured = None if now.declared_start_cpu_ms is None else told["declared_start_cpu_ms"]
    imports = {
        when: tuple(ImportedModule(**each) for each in told["imports"][when])
        for when in now.imports
    }
    return replace(
        now,
        replay=replace(now.replay, cold_start=start),
        declared_start_cpu_ms=measured,
        imports=imports,
    )


def _restore_entry(now: LedgerEntry, before: Mapping[str, Json]) -> LedgerEntry:
    """The time that a pass saves, and its sentence if it differs by that or by what was kept."""
    if before["name"] != now.name:
        raise ValueError(f"its pass {str(before['name'])[:40]!r} is {now.name!r} now")
    proof = str(before["proof"])
    is_measured = now.cpu_ms_saved is not None
    mask = _mask_figures if is_measured else _mask_kept
    return replace(
        now,
        proof=proof if mask(proof) == mask(now.proof) else now.proof,
        cpu_ms_saved=before["cpu_ms_saved"] if is_measured else None,
    )


def _mask_kept(text: str) -> str:
    """The sentence without the words that a part of it was found in an earlier build."""
    return re.sub(r" ?\([^()]*\bearlier build\b[^()]*\)", "", text)


def _mask_figures(text: str) -> str:
    """The sentence without times, and without lists in parentheses, which they put in order."""
    return re.sub(r"[\d.,]+ ms", "# ms", re.sub(r" ?\([^()]*\)", "", text))


def _list_differences(before: DescribedArtifact, after: DescribedArtifact) -> Iterator[str]:
    """Name each file that differs; the report last, as it has the digest of all others."""
    if before.archive is None or after.archive is None:
        yield from _compare_trees(before.folder, after.folder)
    elif (found := sha256(before.archive)) != (now := sha256(after.archive)):
        member = find_member(before.archive, after.archive, "it is built again")
        yield f"function.zip differs: {member} It has sha256 {found}, and {now} when built again."
    for name in sorted(before.emitted.keys() | after.emitted.keys()):
        if name not in after.emitted:
            yield f"{name} is not written when it is built again."
        elif name not in before.emitted:
            yield f"{name} is written when it is built again, and is not in the artifact's report."
        elif name not in YOURS:
            yield from _compare_file(before.home / name, after.home / name, name)
        elif before.emitted[name] != after.emitted[name]:
            yield f"{name} differs: the build wrote another one than is written now."
    yield from _compare_file(before.home / MARKER, after.home / MARKER, MARKER)


def _compare_file(one: Path, other: Path, name: str) -> Iterator[str]:
    if not one.is_file():
        yield f"{name} is missing."
    elif one.read_bytes() != other.read_bytes():
        texts = (_read_plain(each) for each in (one, other))
        yield f"{name} differs: {_find_place(*texts)}"


def _compare_trees(before: Path, after: Path) -> Iterator[str]:
    one, other = ({f.path: f.sha256 for f in records(each)} for each in (before, after))
    names = one.keys() | other.keys()
    differing = sorted(path for path in names if one.get(path) != other.get(path))
    if differing:
        first = differing[0]
        how = "differs" if first in one and first in other else "is in one of the two alone"
        yield f"function/ differs in {len(differing):,} files, the first of them: {first} {how}."


def _read_plain(path: Path) -> str:
    """The text; of a report without the digests of other files, which are compared themselves."""
    text = read_own_text(path, MOST_DOCUMENT)
    if path.name != MARKER:
        return text
    report = {key: value for key, value in json.loads(text).items() if key != "emitted"}
    return json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)


def _find_place(one: str, other: str) -> str:
    """Say where two texts differ first."""
    if one == other:
        return "in nothing but the digests of other files."
    pairs = zip(one.splitlines(), other.splitlines(), strict=False)
    for number, (mine, theirs) in enumerate(pairs, 1):
        if mine != theirs:
            letters = zip(mine, theirs, strict=False)
            at = next((at for at, (a, b) in enumerate(letters) if a != b), 0)
            cut = slice(max(0, at - 20), at + 60)
            return f"line {number} has {mine[cut]!r}, and {theirs[cut]!r} when built again."
    return "one of the two is longer."


def _explain(artifact: DescribedArtifact, why: str) -> RebuildError:
    return RebuildError(
        f"{artifact.home} cannot be built again, so nothing is known of its bytes: {why}"
    )
