"""Policy of a builder for what ships: known vulnerabilities and licences."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Final, TypeAlias

from packaging.utils import canonicalize_name

from packager.commands.artifact.supply_chain.advisories import audit_packages, check_audit
from packager.commands.artifact.supply_chain.licences import (
    DeniedLicences,
    LicenceVerdict,
    StatedLicence,
    read_denied,
    read_licence,
)
from packager.commands.artifact.supply_chain.shipped_files import (
    STORE,
    ShippedFiles,
    find_module,
    find_owner,
    is_left_out_unlisted,
    list_shipped,
)
from packager.commands.artifact.supply_chain.wheel_documents import read_documents
from packager.errors import AuditUnavailableError, ConfigurationError, SupplyChainError
from packager.types import (
    AnalysisState,
    Audit,
    Bundle,
    LicenceFinding,
    Severity,
    SupplyChain,
    SupplyChainOptions,
    Vulnerability,
    WheelDocument,
)

_LOG = logging.getLogger(__name__)
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{2,99}")
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_SHOWN: Final = 10
Answer: TypeAlias = Callable[[Mapping[str, str]], Audit]
"""What is known of distributions, name to version, before it is held to what ships."""
LICENCES: Final = "Log the model without the package, or with another that does the same."
VULNERABILITIES: Final = (
    "Log the model with a release that mends it. If it does not reach you, give "
    "--ignore-vulnerability 'ID=REASON', or --vulnerable-code ID=MODULE if its code does not ship."
)
AUDIT: Final = "Try again, or name a mirror that you can reach with --osv-url."
"""What to do about each kind of refusal."""


def check_options(options: SupplyChainOptions) -> Iterator[str]:
    """Yield what is wrong with the options, a sentence each."""
    for check in (
        lambda: read_denied(options.deny_licenses),
        lambda: check_audit(options.osv_url) if options.is_audited else None,
        lambda: read_ignored(options.ignore_vulnerabilities),
        lambda: read_vulnerable_code(options.vulnerable_code),
    ):
        try:
            check()
        except ConfigurationError as error:
            yield str(error)
    of_audit = {
        "--ignore-vulnerability": options.ignore_vulnerabilities,
        "--vulnerable-code": options.vulnerable_code,
        "--audit-severity": options.audit_severity is not None,
    }
    for name, given in of_audit.items():
        if given and not options.is_audited:
            yield f"{name} says how an audit is read, and none is made: give --audit too."


def read_ignored(given: Sequence[str]) -> dict[str, str]:
    """Return id to reason, of `ID` and `ID=REASON`. Raises ConfigurationError."""
    found = {}
    for each in given:
        name, _, reason = each.partition("=")
        if not _ID.fullmatch(name.strip()):
            raise ConfigurationError(
                f"--ignore-vulnerability {each!r} begins with no id: give one as CVE-2026-1234, "
                "with your reason as 'CVE-2026-1234=we never call it'."
            )
        found[name.strip().upper()] = " ".join(reason.split())
    return found


def read_vulnerable_code(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return id to the modules that you say are vulnerable. Raises ConfigurationError."""
    found: dict[str, tuple[str, ...]] = {}
    for each in given:
        name, _, modules = each.partition("=")
        named = tuple(filter(None, map(str.strip, modules.split(","))))
        if not _ID.fullmatch(name.strip()) or not named or not all(map(_MODULE.fullmatch, named)):
            raise ConfigurationError(
                f"--vulnerable-code {each!r} is not as CVE-2026-1234=package.module: an id, and "
                "the modules that its advisory is about, with commas between them."
            )
        key = name.strip().upper()
        found[key] = (*found.get(key, ()), *named)
    return found


def hold_to_policy(
    bundle: Bundle,
    options: SupplyChainOptions,
    requirers: Mapping[str, Sequence[str]],
    answer: Answer | None = None,
) -> SupplyChain:
    """Judge a tree before it is packed; what was asked for and holds is returned.

    `requirers` has what requires a distribution, `answer` what is known of them where the service
    is not to be asked. Raises SupplyChainError for a licence or a
    vulnerability that is refused, and where an audit is required and was not done.
    """
    if not options.is_audited and not options.deny_licenses:
        return SupplyChain()
    metadata = read_metadata(bundle.root)
    listed = list_licences(bundle.documents, metadata)
    refused, chain = judge_licences(listed, options, requirers)
    refusals = {LICENCES: refused}
    if options.is_audited:
        installed = frozenset(str(each.path) for each in bundle.staged)
        audit = audit_tree(bundle.root, metadata, options, installed, answer)
        chain = replace(chain, audit=audit)
        refusals[AUDIT if not audit.done else VULNERABILITIES] = list_refused(audit, options)
    if any(refusals.values()):
        raise refuse(refusals)
    return chain


def refuse(refusals: Mapping[str, Sequence[str]]) -> SupplyChainError:
    """Make the error of what is refused, a list of sentences for each way out."""
    refused = {way: each for way, each in refusals.items() if each}
    kind = AuditUnavailableError if refused.keys() == {AUDIT} else SupplyChainError
    return kind(refused)


def read_metadata(root: Path) -> dict[str, Message]:
    """Return the metadata of each distribution that ships code, by name."""
    found = {}
    for path in sorted(root.glob("*.dist-info/METADATA")):
        meta = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))
        if not {*meta.keys()} <= {"Metadata-Version", "Name", "Version"} or _has_code(root, path):
            found[str(canonicalize_name(str(meta["Name"])))] = meta
    return found


def _has_code(root: Path, metadata: Path) -> bool:
    """Tell whether there is more of a distribution than its name: its folder, or one module."""
    name = metadata.parent.name.partition("-")[0]
    return any(root.glob(f"{name}*.py*")) or (root / name).is_dir()


def audit_tree(
    root: Path,
    metadata: Mapping[str, Message],
    options: SupplyChainOptions,
    installed: frozenset[str] = frozenset(),
    answer: Answer | None = None,
) -> Audit:
    """Ask about each distribution in a tree, and say what each vulnerability means for it.

    `installed` has the paths before anything was left out, where they are known. Raises
    ConfigurationError for an id that is ignored and that nothing has.
    """
    _LOG.info("Asking for known vulnerabilities of %d packages", len(metadata))
    packages = {name: str(each["Version"]) for name, each in metadata.items()}
    if answer is None:
        audit = audit_packages(packages, options.osv_url, refresh=options.refresh_audit)
    else:
        audit = answer(packages)
    if not audit.done:
        _LOG.warning("Not audited: %s", audit.why_not)
        return audit
    ignored = read_ignored(options.ignore_vulnerabilities)
    named = read_vulnerable_code(options.vulnerable_code)
    shipped = list_shipped(root)
    _check_named(named, shipped, installed)
    found = tuple(_analyse(each, shipped, installed, ignored, named) for each in audit.found)
    notes = tuple(_list_idle(audit.found, ignored, named))
    for note in notes:
        _LOG.warning("%s", note)
    return replace(audit, found=found, notes=notes)


def list_refused(audit: Audit, options: SupplyChainOptions) -> list[str]:
    """List what an audit refuses, a sentence each: what counts, and an audit that was not done."""
    if not audit.done:
        return [f"Not audited: {audit.why_not}"] if options.require_audit else []
    least = (options.audit_severity or Severity.LOW).rank
    return [
        _word_vulnerability(each)
        for each in audit.found
        if not each.ignored
        and each.state is not AnalysisState.NOT_AFFECTED
        and (each.severity is Severity.UNKNOWN or each.severity.rank >= least)
    ]


def _word_vulnerability(each: Vulnerability) -> str:
    score = "" if each.score is None else f" ({each.score})"
    other = f", {', '.join(each.aliases[:3])}" if each.aliases else ""
    fixed = f"fixed in {', '.join(each.fixed_in)}" if each.fixed_in else "no release mends it"
    return (
        f"{each.package} {each.version} has {each.id}{other}: {each.summary or 'no summary'}. "
        f"Severity {each.severity}{score}, {fixed}."
    )


def _analyse(
    found: Vulnerability,
    shipped: ShippedFiles,
    installed: frozenset[str],
    ignored: Mapping[str, str],
    named: Mapping[str, tuple[str, ...]],
) -> Vulnerability:
    """Say what is known of a vulnerability in this artifact, and no more than that."""
    reasons = [ignored[each] for each in sorted(found.names & ignored.keys())]
    yours = tuple(sorted({module for each in found.names for module in named.get(each, ())}))
    found = replace(found, code=yours, code_from="you") if yours else found
    detail, is_absent = _judge_code(found, shipped, installed)
    if reasons:
        detail += f" The builder goes on with it: {reasons[0] or 'no reason was given'}."
    return replace(
        found,
        state=AnalysisState.NOT_AFFECTED if is_absent else AnalysisState.IN_TRIAGE,
        justification="code_not_present" if is_absent else "",
        detail=detail,
        ignored=bool(reasons),
    )


def _judge_code(
    found: Vulnerability, shipped: ShippedFiles, installed: frozenset[str]
) -> tuple[str, bool]:
    """Say where its code is, and tell whether all of it was left out."""
    files, unknown = _find_code(found.code, shipped, installed)
    if found.code and not files and not unknown:
        untold = _list_untold(found.code, shipped, installed)
        if untold:
            return _word_untold(found, untold), False
        return _word_code(found, files, unknown, shipped), True
    return _word_code(found, files, unknown, shipped), False


def _find_code(
    code: Sequence[str], shipped: ShippedFiles, installed: frozenset[str]
) -> tuple[list[str], list[str]]:
    """Return the files of it that ship, and the names of it that nothing installed had."""
    files = {file for each in code for file in find_module(shipped.names, each, installed)}
    known = shipped.names | installed
    return sorted(files), [each for each in code if not find_module(known, each, known)]


def _list_untold(
    code: Sequence[str], shipped: ShippedFiles, installed: frozenset[str]
) -> list[str]:
    """List names whose code may be elsewhere in the package, or may never have been there."""
    known = shipped.names | installed
    untold = []
    for each in code:
        module, name = find_owner(each, known)
        if is_left_out_unlisted(each, installed) or (name and shipped.may_define(module, name)):
            untold.append(each)
    return untold


def _word_untold(found: Vulnerability, untold: Sequence[str]) -> str:
    return (
        f"{_name_some(untold)}, which {found.code_from} named, is not where it was named, and that "
        "shows nothing: other files of the package that ship may have its code, or it cannot be "
        "told whether it was there."
    )


def _word_code(
    found: Vulnerability, files: Sequence[str], unknown: Sequence[str], shipped: ShippedFiles
) -> str:
    code = f"({_name_some(found.code)}, named by {found.code_from})"
    if not found.code:
        return "The advisory names no module or function, so that what was left out shows nothing."
    if not files and unknown:
        return (
            f"Nothing that was installed has {_name_some(unknown)}, which {found.code_from} "
            "named: it may go by another name here, so that its absence shows nothing."
        )
    if not files:
        return f"The vulnerable code {code} was left out: no file of the artifact has it."
    is_stored = all(each in shipped.stored and each not in shipped.archived for each in files)
    return (
        f"Vulnerable code {code} ships{f', compressed in {STORE}' if is_stored else ''}: "
        f"{_name_some(files)}. That it was not loaded while the artifact was proven would not show "
        "that no request reaches it."
    )


def _check_named(
    named: Mapping[str, tuple[str, ...]], shipped: ShippedFiles, installed: frozenset[str]
) -> None:
    """Refuse a module that was never installed: its absence would show nothing.

    Raises ConfigurationError.
    """
    known = shipped.names | installed
    unknown = sorted(
        {
            module
            for modules in named.values()
            for module in modules
            if not find_module(known, module, known)
        }
    )
    if unknown:
        raise ConfigurationError(
            f"--vulnerable-code names {_name_some(unknown)}, and nothing that was installed has "
            "such a module. Read the name in the advisory again: one that never was there is no "
            "proof that it was left out."
        )


def _list_idle(
    found: Sequence[Vulnerability],
    ignored: Mapping[str, str],
    named: Mapping[str, tuple[str, ...]],
) -> Iterator[str]:
    """Name ids that were given and that nothing has: they would hide what comes later."""
    known = frozenset(name for each in found for name in each.names)
    for option, given in (("--ignore-vulnerability", ignored), ("--vulnerable-code", named)):
        for each in sorted(given.keys() - known):
            yield f"{option} {each}: nothing that ships has this vulnerability. Take it out."


def judge_licences(
    listed: Iterable[Licensed],
    options: SupplyChainOptions,
    requirers: Mapping[str, Sequence[str]],
) -> tuple[list[str], SupplyChain]:
    """Return refusals, a sentence each, and what could not be judged."""
    if not options.deny_licenses:
        return [], SupplyChain()
    denied = read_denied(options.deny_licenses)
    refused: list[str] = []
    unknown: list[LicenceFinding] = []
    judged = 0
    for judged, each in enumerate(listed, start=1):  # noqa: B007 - the count of them
        finding = _judge_licence(each, denied, requirers)
        if finding is not None and finding.denied:
            refused.append(_word_denied(finding, each.licence))
        elif finding is not None:
            unknown.append(finding)
    if unknown and denied.refuses_unknown:
        refused += map(_word_unknown, unknown)
    elif unknown:
        _LOG.warning(
            "Licences that nothing can be said of: %s. --deny-license unknown refuses them.",
            _name_some([each.package for each in unknown]),
        )
    return refused, SupplyChain(
        denied_patterns=tuple(options.deny_licenses), judged=judged, unknown=tuple(unknown)
    )


def _judge_licence(
    each: Licensed, denied: DeniedLicences, requirers: Mapping[str, Sequence[str]]
) -> LicenceFinding | None:
    """Return what is denied, or cannot be judged; None for what is allowed.

    That a wheel's own list is silent of a part's licence is no finding of the part's.
    """
    verdict, ids = denied.judge(each.licence)
    is_silent = bool(each.within) and not each.licence.words
    if verdict is LicenceVerdict.ALLOWED or (verdict is LicenceVerdict.UNKNOWN and is_silent):
        return None
    return LicenceFinding(
        package=each.name,
        version=each.version,
        licence=str(each.licence),
        stated_in=each.licence.field,
        denied=ids if verdict is LicenceVerdict.DENIED else (),
        pulled_in_by=each.within or _name_requirers(requirers.get(each.name, ())),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Licensed:
    """A package, or a part of a wheel, and its licence."""

    name: str
    version: str
    licence: StatedLicence
    within: str = ""
    """The wheel that a part is inside of, as the end of a sentence."""


def list_licences(
    documents: Sequence[WheelDocument], metadata: Mapping[str, Message]
) -> Iterator[Licensed]:
    """Yield each package that ships, and what wheels list of themselves."""
    for name, meta in metadata.items():
        yield Licensed(name=name, version=str(meta["Version"]), licence=read_licence(meta))
    for folder, parts in read_documents(documents).items():
        name, _, version = folder.removesuffix(".dist-info").rpartition("-")
        if str(canonicalize_name(name)) in metadata:
            for part in parts.parts:
                yield Licensed(
                    name=part.name,
                    version=part.version,
                    licence=part.licence,
                    within=word_wheel(name, version),
                )


def word_wheel(name: str, version: str) -> str:
    return f"it is inside the wheel of {canonicalize_name(name)} {version}"


def _name_requirers(names: Iterable[str]) -> str:
    listed = sorted(names)
    if not listed:
        return "the model's requirements, or the function itself, ask for it"
    return f"{', '.join(listed)} {'requires' if len(listed) == 1 else 'require'} it"


def _word_denied(each: LicenceFinding, licence: StatedLicence) -> str:
    words = f" (in its words: {'; '.join(licence.words)})" if licence.field == "Classifier" else ""
    return (
        f"{each.package} {each.version} is under {each.licence}{words}, and you refuse "
        f"{', '.join(each.denied)}. It says so in {each.stated_in}; {each.pulled_in_by}."
    )


def _word_unknown(each: LicenceFinding) -> str:
    said = f"says {each.licence!r} in {each.stated_in}" if each.licence else "states no licence"
    return f"{each.package} {each.version} {said}, which cannot be judged; {each.pulled_in_by}."


def _name_some(names: Iterable[str]) -> str:
    listed = [*names]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"{', '.join(listed[:_SHOWN])}{more}"
