"""Known vulnerabilities of distributions, as OSV's service answers: over pip-audit.

pip-audit asks and reads; what it leaves out of an answer (how bad it is, which functions) is read
of the same response. An answer is kept in the cache for a day.
https://google.github.io/osv.dev/post-v1-query/, https://ossf.github.io/osv-schema/
"""

from __future__ import annotations

import importlib.util
import json
import logging
import re
import time
import urllib.error
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from packager.environments.machine.installation import name_install
from packager.errors import ConfigurationError, StorageError
from packager.system import cache
from packager.system.http_client import (
    FAULTS,
    RequestLimits,
    TooLargeError,
    is_late,
    make_request,
    read_answer,
    word_fault,
)
from packager.system.redaction import hide_users, redact
from packager.system.scratch import make_scratch
from packager.types import OSV, Audit, Json, Severity, Vulnerability

if TYPE_CHECKING:
    from pip_audit._service import OsvService, VulnerabilityResult

_Record: TypeAlias = Mapping[str, Any]
"""JSON of OSV's schema, which a test of each value's kind comes before."""
_LOG = logging.getLogger(__name__)
_KIND: Final = "advisories"
_FORMAT: Final = 2
_KEPT: Final = (
    *("id", "aliases", "package", "version", "severity", "score", "vector", "summary"),
    *("fixed_in", "published", "code", "code_from"),
)
"""Fields that are kept of an answer."""
_KEPT_SECONDS: Final = 24 * 3600.0
_ANSWER_SECONDS: Final = 10
_WHOLE_SECONDS: Final = 120.0
"""For all distributions: a service that dribbles is no service."""
_MOST_BYTES: Final = 32 << 20
_MOST_VULNERABILITIES: Final = 500
"""Of one distribution."""
_LONGEST: Final = 300
_RATINGS: Final[Mapping[str, Severity]] = {
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}
_SYSTEM: Final = re.compile(r"\[Errno -?\d+\] ([^'\")(]{1,100})")
_SCORES: Final = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM))
"""https://www.first.org/cvss/v3.1/specification-document#Qualitative-Severity-Rating-Scale"""


class _NoAnswerError(Exception):
    """The service gave none that can be used; the message says why."""


def check_audit(url: str) -> None:
    """Raises ConfigurationError where pip-audit is missing, or the address is none of a service."""
    missing = [name for name in ("pip_audit", "cvss") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"--audit needs pip-audit and cvss: `{name_install(extra='audit')}`."
        )
    try:
        parts = urlsplit(url)
        is_service = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_service = False
    if not is_service:
        raise ConfigurationError(
            f"--osv-url {redact(url)!r} is no address of a service: give one as {OSV}."
        )


def audit_packages(packages: Mapping[str, str], url: str, *, refresh: bool = False) -> Audit:
    """Ask about each distribution, `packages` being name to version.

    Nothing is raised where the service does not answer: the audit says that it was not done. With
    `refresh` no answer is taken out of the cache.
    """
    source = hide_users(url)
    begun = time.monotonic()
    found: list[Vulnerability] = []
    oldest = time.time()
    with make_scratch("audit") as folder:
        service: OsvService | None = None
        for name, version in sorted(packages.items()):
            kept = None if refresh else _recall_answer(url, name, version)
            if kept is None:
                service = service or _open_service(url, folder, begun + _WHOLE_SECONDS)
                try:
                    kept = time.time(), _ask(service, name, version)
                except _NoAnswerError as error:
                    why = f"{source} was asked about {name} {version}, and {error}."
                    return Audit(asked=True, why_not=why, source=source)
                _keep_answer(url, name, version, kept)
            oldest = min(oldest, kept[0])
            found += kept[1]
    day = datetime.fromtimestamp(oldest, UTC).date().isoformat()
    return Audit(
        asked=True,
        done=True,
        source=source,
        day=day,
        packages=len(packages),
        found=tuple(sorted(found, key=lambda each: (-each.severity.rank, each.package, each.id))),
    )


@dataclass
class _Answer:
    """An answer as pip-audit reads one."""

    body: bytes

    def raise_for_status(self) -> None:
        """Do nothing: a status that is none of success raised before."""

    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class _Session:
    """Asks in the place of pip-audit's own session: bound in time and in bytes."""

    ends: float
    """On the monotonic clock, for all distributions."""
    body: bytes = b""
    """The last answer."""

    def post(self, *, url: str, data: str, timeout: float) -> _Answer:
        """Raises _NoAnswerError. An answer that leads elsewhere is none."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise _NoAnswerError(f"the answers before took {_WHOLE_SECONDS:.0f} s")
        limits = RequestLimits(
            seconds=min(left, timeout), silence_seconds=timeout, most_bytes=_MOST_BYTES
        )
        headers = {"Content-Type": "application/json"}
        try:
            _, self.body = read_answer(make_request(url, headers, data.encode()), limits)
        except urllib.error.HTTPError as error:
            error.close()
            raise _NoAnswerError(f"refused ({error.code} {_cut(error.reason)})") from error
        except TooLargeError as error:
            raise _NoAnswerError(f"gave an answer of more than {_MOST_BYTES:,} bytes") from error
        except FAULTS as error:
            if is_late(error):
                raise _NoAnswerError(f"did not answer within {timeout:g} s") from error
            raise _NoAnswerError(f"could not be reached ({_word_failure(error)})") from error
        return _Answer(self.body)


def _open_service(url: str, folder: Path, ends: float) -> OsvService:
    from pip_audit._service import OsvService  # noqa: PLC0415 - an extra

    service = OsvService(folder, _ANSWER_SECONDS, url)
    service.session = _Session(ends)
    return service


def _ask(service: OsvService, name: str, version: str) -> tuple[Vulnerability, ...]:
    """Ask once. Raises _NoAnswerError."""
    try:
        results, told = _query(service, name, version)
    except json.JSONDecodeError as error:
        raise _NoAnswerError("gave no answer of OSV's, which is JSON") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _NoAnswerError(f"gave no answer of OSV's ({_word_failure(error)})") from error
    listed = told.get("vulns", [])
    if len(listed) > _MOST_VULNERABILITIES or told.get("next_page_token"):
        raise _NoAnswerError(f"lists more than {_MOST_VULNERABILITIES} vulnerabilities of it")
    if unread := _list_unread(listed, results):
        raise _NoAnswerError(
            f"lists {', '.join(unread[:3])} in a form that cannot be read, of no schema 1 of OSV's"
        )
    more = {str(each["id"]): each for each in listed}
    made = [_make_vulnerability(each, more, name, version) for each in results]
    return tuple(_join_aliases(made))


def _query(
    service: OsvService, name: str, version: str
) -> tuple[Sequence[VulnerabilityResult], _Record]:
    """Return what pip-audit reads of an answer, and the answer itself.

    Raises _NoAnswerError where none comes, and whatever another form makes pip-audit raise.
    """
    from pip_audit._service import ResolvedDependency  # noqa: PLC0415 - an extra

    try:
        asked = ResolvedDependency(name, Version(version))
    except InvalidVersion as error:
        raise _NoAnswerError(f"its version is none of Python's ({error})") from error
    _, results = service.query(asked)
    told = json.loads(service.session.body)
    if not isinstance(told, dict):  # pip-audit takes whatever is empty for "none"
        raise _NoAnswerError("gave no answer of OSV's, which is an object of JSON")
    return results, told


def _list_unread(listed: Sequence[_Record], results: Sequence[VulnerabilityResult]) -> list[str]:
    """List ids that are not withdrawn and that pip-audit left out: it skips what is new to it."""
    known = {str(name) for each in results for name in (each.id, *each.aliases)}
    return [
        _cut(str(each["id"]))
        for each in listed
        if str(each["id"]) not in known and not each.get("withdrawn")
    ]


def _make_vulnerability(
    result: VulnerabilityResult, listed: Mapping[str, _Record], name: str, version: str
) -> Vulnerability:
    """Join what pip-audit reads with severity and functions, which it leaves out."""
    ids = {str(result.id), *map(str, result.aliases)}
    records = [listed[each] for each in sorted(ids & listed.keys())]
    code = sorted({each for record in records for each in _list_code(record, name)})
    rated = [_rate(record) for record in records] or [(Severity.UNKNOWN, None, "")]
    severity, score, vector = max(rated, key=lambda each: each[0].rank)
    return Vulnerability(
        id=_cut(str(result.id)),
        aliases=tuple(sorted(map(_cut, map(str, result.aliases)))),
        package=name,
        version=version,
        severity=severity,
        score=score,
        vector=vector,
        summary=_cut(result.description),
        fixed_in=tuple(map(str, result.fix_versions)),
        published="" if result.published is None else result.published.date().isoformat(),
        code=tuple(code),
        code_from="the advisory" if code else "",
    )


def _rate(record: _Record) -> tuple[Severity, float | None, str]:
    """Read the worst rating of an advisory: a CVSS vector, else the database's own word."""
    best: tuple[Severity, float | None, str] = (Severity.UNKNOWN, None, "")
    listed = record.get("severity")
    for each in listed if isinstance(listed, list) else ():
        vector = each.get("score") if isinstance(each, Mapping) else None
        if isinstance(vector, str) and (score := _score_vector(vector)) is not None:
            rating = next((word for least, word in _SCORES if score >= least), Severity.LOW)
            best = max(best, (rating, score, vector), key=lambda rated: rated[0].rank)
    own = record.get("database_specific")
    word = own.get("severity") if isinstance(own, Mapping) else None
    named = _RATINGS.get(word.upper(), Severity.UNKNOWN) if isinstance(word, str) else None
    if named is not None and named.rank > best[0].rank:
        return named, best[1], best[2]
    return best


def _score_vector(vector: str) -> float | None:
    from cvss import CVSS2, CVSS3, CVSS4, CVSSError  # noqa: PLC0415 - an extra

    kind = CVSS4 if vector.startswith("CVSS:4") else CVSS3 if vector.startswith("CVSS:3") else CVSS2
    try:
        return float(kind(vector).scores()[0])
    except (CVSSError, ValueError, LookupError, TypeError):
        return None


def _list_code(record: _Record, name: str) -> Iterator[str]:
    """List the functions and modules that an advisory of this distribution says are vulnerable."""
    for each in _list_records(record.get("affected")):
        package = each.get("package")
        if not isinstance(package, Mapping) or package.get("name") != name:
            continue
        for specific in (each.get("ecosystem_specific"), each.get("database_specific")):
            if isinstance(specific, Mapping):
                yield from _list_names(specific.get("affected_functions"))
                for part in _list_records(specific.get("imports")):
                    yield from _list_symbols(part)


def _list_symbols(part: _Record) -> list[str]:
    """List the symbols of a module that is vulnerable; the module where it names none."""
    path = _read_name(part.get("path"))
    if not path:
        return []
    return [f"{path}.{symbol}" for symbol in _list_names(part.get("symbols"))] or [path]


def _list_records(value: object) -> list[_Record]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _list_names(value: object) -> list[str]:
    return [*filter(None, map(_read_name, value))] if isinstance(value, list) else []


def _read_name(value: object) -> str:
    """Return a dotted name; empty for anything else."""
    plain = value.strip().removesuffix("()") if isinstance(value, str) else ""
    return plain if plain and all(map(str.isidentifier, plain.split("."))) else ""


def _join_aliases(found: Sequence[Vulnerability]) -> Iterator[Vulnerability]:
    """Join advisories of one vulnerability, as several databases have them: the worst counts."""
    left = list(found)
    while left:
        first = left.pop(0)
        for other in [each for each in left if each.names & first.names]:
            left.remove(other)
            first = _join(first, other)
        yield first


def _join(first: Vulnerability, other: Vulnerability) -> Vulnerability:
    worse = max(first, other, key=lambda each: each.severity.rank)
    ids = {first.id, other.id, *first.aliases, *other.aliases} - {first.id}
    code = tuple(sorted({*first.code, *other.code}))
    return replace(
        first,
        aliases=tuple(sorted(ids)),
        severity=worse.severity,
        score=worse.score,
        vector=worse.vector,
        fixed_in=tuple(dict.fromkeys((*first.fixed_in, *other.fixed_in))),
        code=code,
        code_from="the advisory" if code else "",
    )


def _make_key(url: str, name: str, version: str) -> str:
    return cache.make_key([_FORMAT, url, name, version])


def _recall_answer(
    url: str, name: str, version: str
) -> tuple[float, tuple[Vulnerability, ...]] | None:
    """Return when it was asked and what was answered; None where that is older than a day."""
    kept = cache.recall(_KIND, _make_key(url, name, version))
    if kept is None:
        return None
    told = json.loads(kept)
    if not 0 <= time.time() - told["at"] < _KEPT_SECONDS:
        cache.forget(_KIND, _make_key(url, name, version))
        return None
    return told["at"], tuple(_restore(each) for each in told["found"])


def _restore(told: _Record) -> Vulnerability:
    lists = {name: tuple(told[name]) for name in ("aliases", "fixed_in", "code")}
    return Vulnerability(**{**told, **lists, "severity": Severity(told["severity"])})


def _keep_answer(
    url: str, name: str, version: str, answer: tuple[float, tuple[Vulnerability, ...]]
) -> None:
    kept = {"at": answer[0], "found": [_describe(each) for each in answer[1]]}
    key = _make_key(url, name, version)
    cache.forget(_KIND, key)
    try:
        cache.remember(_KIND, key, json.dumps(kept).encode)
    except StorageError as error:
        _LOG.debug("The answer is not kept: %s", error)


def _describe(found: Vulnerability) -> Json:
    return {name: getattr(found, name) for name in _KEPT}


def _word_failure(error: BaseException) -> str:
    """Say why, in the system's own words where it has some."""
    if found := _SYSTEM.search(str(error)):
        return found[1]
    return _cut(redact(word_fault(error)))


def _cut(text: str) -> str:
    plain = "".join(each if each.isprintable() else " " for each in text[: _LONGEST * 2])
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def list_ids(found: Iterable[Vulnerability]) -> str:
    """Name vulnerabilities in a sentence."""
    return ", ".join(f"{each.id} ({each.package} {each.version})" for each in found)
