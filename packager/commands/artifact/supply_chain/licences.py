"""Licences of what ships, as its metadata state them, and whether somebody refuses them.

A licence is an SPDX expression (https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/)
where the package gives one or its words are those of one. Words that no expression can be made of
are kept as they are, and are unknown.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from license_expression import (
    AND,
    OR,
    ExpressionError,
    ExpressionParseError,
    LicenseExpression,
    Licensing,
    get_spdx_licensing,
)

from packager.errors import ConfigurationError, suggest_name

_SHORT: Final = 200
"""Letters of a `License:` that names a licence; a longer one is its text."""
_LONGEST: Final = 50_000
"""Letters of an expression: a wheel that bundles many libraries states a long one."""
_DEEPEST: Final = 200
"""Brackets of an expression."""
_OSI: Final = "License :: OSI Approved"
_REFERENCE: Final = "licenseref-"
_UNKNOWN: Final = "unknown"
_WILD: Final = frozenset("*?[")
# https://pypi.org/classifiers/ beside https://spdx.org/licenses/; those that name no version or
# variant (BSD, GPL, LGPL, Artistic) stand for none
_CLASSIFIERS: Final[Mapping[str, str]] = {
    "Apache Software License": "Apache-2.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 1.0 (EPL-1.0)": "EPL-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "zlib/libpng License": "Zlib",
}
_FAMILIES: Final[Mapping[str, str]] = {
    "Academic Free License (AFL)": "AFL",
    "Artistic License": "Artistic",
    "BSD License": "BSD",
    "GNU Affero General Public License (AGPL)": "AGPL",
    "GNU General Public License (GPL)": "GPL",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL",
}
"""Classifiers of no version: a pattern as `GPL*` matches them."""
_VAGUE: Final = frozenset({"agpl", "apache", "bsd", "gpl", "lgpl", "mpl"})
"""Names of families, which license-expression takes for their oldest version."""
# names that people write in `License:`, none of which leaves a doubt
_GNU_WORDS: Final = (
    *(("general public license", "gpl"), ("general public licence", "gpl")),
    *(("lesser gpl", "lgpl"), ("library gpl", "lgpl"), ("affero gpl", "agpl")),
)
_GNU: Final = re.compile(
    r"(?:the )?(?:gnu )?(?P<kind>[al]?)gpl[ -]?(?:,? ?v(?:ersion )?\.?)? ?(?P<version>[23])(?:\.0)?"
    r"(?:(?P<later> ?\+| or (?:any )?(?:later|greater|newer)(?: version)?)| only)?(?: license)?"
    r"(?: \([al]?gplv[23]\+?\))?"
)
_NAMES: Final[Mapping[str, str]] = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "expat": "MIT",
    "gplv2": "GPL-2.0-only",
    "gplv2+": "GPL-2.0-or-later",
    "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later",
    "lgplv3": "LGPL-3.0-only",
    "lgplv3+": "LGPL-3.0-or-later",
    "mit license": "MIT",
    "mpl 2.0": "MPL-2.0",
    "new bsd": "BSD-3-Clause",
    "the mit license": "MIT",
}


class LicenceVerdict(StrEnum):
    """Result of holding a licence to what is refused."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedLicence:
    """Statement of a package about its licence."""

    expression: str = ""
    """In SPDX's terms; empty where no such expression can be made of the words."""
    words: tuple[str, ...] = ()
    """As the package has them; empty where it says nothing."""
    field: str = ""
    """Where it says so: `License-Expression`, `License`, `Classifier`, or a document's name."""
    contradicted: tuple[str, ...] = ()
    """Licences of its classifiers that the expression does not name: ids of SPDX, or families."""

    def __str__(self) -> str:
        return _cut(self.expression or "; ".join(self.words))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedLicences:
    """Patterns of licences that nothing which ships may be under."""

    patterns: tuple[str, ...] = ()
    """Lower case, of SPDX's ids, with `*` and `?`."""
    refuses_unknown: bool = False
    """Refuse too what states no licence that can be judged."""

    def judge(self, licence: StatedLicence) -> tuple[LicenceVerdict, tuple[str, ...]]:
        """Return the verdict, and the ids that decided it.

        Of licences joined by OR one that is allowed is enough; of those joined by AND each counts.
        """
        tree = _parse(licence.expression) if licence.expression else None
        if tree is None:
            names = [_CLASSIFIERS.get(each, _FAMILIES.get(each, each)) for each in licence.words]
            denied = tuple(each for each in names if self._matches(each))
            return (LicenceVerdict.DENIED if denied else LicenceVerdict.UNKNOWN), denied
        verdict, names_found = self._judge(tree)
        if verdict is LicenceVerdict.ALLOWED:
            denied = tuple(each for each in licence.contradicted if self._matches(each))
            return (LicenceVerdict.DENIED, denied) if denied else (verdict, names_found)
        return verdict, names_found

    def _judge(self, tree: LicenseExpression) -> tuple[LicenceVerdict, tuple[str, ...]]:
        if isinstance(tree, AND | OR):
            each = [self._judge(part) for part in tree.args]
            order = _ORDER if isinstance(tree, AND) else _ORDER[::-1]
            verdict = next(kind for kind in order if any(kind is found for found, _ in each))
            ids = [name for found, names in each if found is verdict for name in names]
            return verdict, tuple(dict.fromkeys(ids))
        name = str(tree.render())
        if self._matches(name):
            return LicenceVerdict.DENIED, (name,)
        known = name.lower().startswith(_REFERENCE) or not _list_unknown(tree)
        return (LicenceVerdict.ALLOWED if known else LicenceVerdict.UNKNOWN), (name,)

    def _matches(self, name: str) -> bool:
        return any(fnmatchcase(name.lower(), pattern) for pattern in self.patterns)


_ORDER: Final = (LicenceVerdict.DENIED, LicenceVerdict.UNKNOWN, LicenceVerdict.ALLOWED)


def read_denied(patterns: Sequence[str]) -> DeniedLicences:
    """Read patterns as `--deny-license` takes them.

    `GPL-3.0`, which SPDX has no more, stands for both -only and -or-later; `unknown` for whatever
    states no licence that can be judged. Raises ConfigurationError for a pattern that no licence
    can match: it would refuse nothing.
    """
    named = [each for each in patterns if each.strip().lower() != _UNKNOWN]
    return DeniedLicences(
        patterns=tuple(dict.fromkeys(_read_patterns(named))),
        refuses_unknown=len(named) < len(patterns),
    )


def _read_patterns(patterns: Iterable[str]) -> Iterator[str]:
    known = _list_ids()
    for given in patterns:
        pattern = given.strip().lower()
        both = [f"{pattern}-only", f"{pattern}-or-later"]
        if set(both) <= known.keys():
            yield from (pattern, *both)
        elif pattern.startswith(_REFERENCE) or any(fnmatchcase(each, pattern) for each in known):
            yield pattern
        elif pattern and _WILD.isdisjoint(pattern) and (alias := normalize_expression(given)):
            yield alias.lower()
        else:
            raise ConfigurationError(
                f"--deny-license {given!r} matches no licence of SPDX's list."
                f"{suggest_name(given, known.values())} Give an id, as GPL-3.0-only, or a pattern, "
                "as 'GPL-3.0*' (https://spdx.org/licenses/), or unknown."
            )


def read_licence(meta: Message) -> StatedLicence:
    """Read what a package's METADATA state, the plainest statement first.

    Several classifiers do not say whether one is enough: all of them are taken to hold. A
    `License-Expression` stands for itself, however it reads: no classifier says more than it.
    https://packaging.python.org/en/latest/specifications/core-metadata/#license-expression
    """
    if expressions := _list_expressions(meta):
        return _state_expressions(expressions)
    stated = _one_line(meta.get("License"))
    named = _list_classifiers(meta)
    if stated and (expression := normalize_expression(stated)):
        return StatedLicence(
            expression=expression,
            words=(stated,),
            field="License",
            contradicted=tuple(_list_contradictions(expression, named)),
        )
    if named:
        ids = [_CLASSIFIERS.get(each, "") for each in named]
        expression = " AND ".join(sorted(set(ids))) if all(ids) else ""
        return StatedLicence(expression=expression, words=named, field="Classifier")
    if stated:
        return StatedLicence(words=(stated,), field="License")
    return StatedLicence()


def _list_contradictions(expression: str, classifiers: Iterable[str]) -> Iterator[str]:
    """Yield licences of classifiers that are not in an expression, nor of a family that is."""
    known = [str(each).lower() for each in _find_licensing().license_keys(expression)]
    for each in classifiers:
        name = _CLASSIFIERS.get(each, _FAMILIES.get(each, ""))
        if name and not any(f"{one}-".startswith(f"{name.lower()}-") for one in known):
            yield name


def normalize_expression(text: str) -> str:
    """Return an expression as SPDX writes it; empty where it is none, or an id is unknown."""
    plain = text.strip().lower()
    tree = None if plain in _VAGUE else _parse(_NAMES.get(plain) or _read_gnu(plain) or text)
    if tree is None or any(not name.lower().startswith(_REFERENCE) for name in _list_unknown(tree)):
        return ""
    return str(tree.render())


def _read_gnu(plain: str) -> str:
    """Return the id of a GNU licence that is written in words, with its version; else empty."""
    for words, short in _GNU_WORDS:
        plain = plain.replace(words, short)
    found = _GNU.fullmatch(" ".join(plain.split()))
    if found is None:
        return ""
    later = "or-later" if found["later"] else "only"
    return f"{(found['kind'] or '').upper()}GPL-{found['version']}.0-{later}"


def _list_expressions(meta: Message) -> list[str]:
    """List what is there, in one line each; a field that is there twice holds twice."""
    fields = meta.get_all("License-Expression") or ()
    return [*dict.fromkeys(filter(None, (" ".join(str(each).split()) for each in fields)))]


def _state_expressions(expressions: Sequence[str]) -> StatedLicence:
    # an id that is newer than our list makes it no less an expression
    trees = [_parse(each) for each in expressions]
    rendered = ["" if tree is None else str(tree.render()) for tree in trees]
    return StatedLicence(
        expression=_join_all(rendered) if all(rendered) else "",
        words=tuple(map(_cut, expressions)),
        field="License-Expression",
    )


def _join_all(expressions: Sequence[str]) -> str:
    """Join expressions, each of which holds."""
    several = len(expressions) > 1
    return " AND ".join(f"({each})" if several and " OR " in each else each for each in expressions)


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _one_line(value: object) -> str:
    """Return a field that is no text of a licence; empty for one that is."""
    stated = str(value or "").strip()
    is_name = stated and "\n" not in stated and len(stated) <= _SHORT
    return stated if is_name and stated.upper() not in {"UNKNOWN", "NONE"} else ""


def _list_classifiers(meta: Message) -> tuple[str, ...]:
    lines = map(str, meta.get_all("Classifier") or ())
    named = {
        line.rpartition(" :: ")[2].strip()
        for line in lines
        if line.startswith("License ::") and line.strip() != _OSI
    }
    return tuple(sorted(named))


@functools.cache
def _find_licensing() -> Licensing:
    return get_spdx_licensing()


@functools.cache
def _list_ids() -> Mapping[str, str]:
    """Every id of SPDX's by its lower case; exceptions are none."""
    symbols = _find_licensing().known_symbols.values()
    return {each.key.lower(): each.key for each in symbols if not each.is_exception}


def _parse(text: str) -> LicenseExpression | None:
    if len(text) > _LONGEST or text.count("(") > _DEEPEST:
        return None
    try:
        return _find_licensing().parse(text)
    except (ExpressionError, ExpressionParseError, ValueError, TypeError, RecursionError):
        return None


def _list_unknown(tree: LicenseExpression) -> list[str]:
    return [str(each) for each in _find_licensing().unknown_license_keys(tree)]
