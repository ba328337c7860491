"""Licences are judged as their expressions mean it, and unknown words are no licence."""

from __future__ import annotations

from email.parser import HeaderParser

import pytest

from packager.commands.artifact.supply_chain.licences import (
    LicenceVerdict,
    StatedLicence,
    normalize_expression,
    read_denied,
    read_licence,
)
from packager.errors import ConfigurationError

_CLASSIFIER = "Classifier: License :: OSI Approved ::"


def _read(text: str) -> StatedLicence:
    return read_licence(HeaderParser().parsestr(text))


@pytest.mark.parametrize(
    ("text", "expression", "place"),
    [
        ("License-Expression: mit or gpl-3.0-only", "MIT OR GPL-3.0-only", "License-Expression"),
        ("License: Apache 2.0", "Apache-2.0", "License"),
        ("License: GPL-3.0+", "GPL-3.0-or-later", "License"),
        (f"{_CLASSIFIER} MIT License", "MIT", "Classifier"),
        ("License: BSD", "", "License"),
        ("License: GPL", "", "License"),
        (f"License: BSD\n{_CLASSIFIER} BSD License", "", "Classifier"),
        ("License: UNKNOWN", "", ""),
        ("License: Permission is granted\n        to anybody", "", ""),
        ("License: " + "(" * 500, "", ""),
        ("License-Expression: MIT OR ((", "", "License-Expression"),
        ("Name: x", "", ""),
    ],
)
def test_a_statement_is_an_expression_where_it_leaves_no_doubt(
    text: str, expression: str, place: str
) -> None:
    found = _read(text)

    assert (found.expression, found.field) == (expression, place)


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", "allowed"),
        ("GPL-3.0-only", "denied"),
        ("GPL-3.0-or-later", "denied"),
        ("GPL-2.0-only", "allowed"),
        ("LGPL-3.0-only", "allowed"),
        ("MIT OR GPL-3.0-only", "allowed"),
        ("MIT AND GPL-3.0-only", "denied"),
        ("(MIT OR GPL-3.0-only) AND Zlib", "allowed"),
        ("(MIT AND GPL-3.0-only) OR GPL-3.0-or-later", "denied"),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", "denied"),
        ("LicenseRef-Proprietary", "allowed"),
        ("Brand-New-1.0", "unknown"),
        ("GPL-3.0-only OR Brand-New-1.0", "unknown"),
        ("GPL-3.0-only AND Brand-New-1.0", "denied"),
    ],
)
def test_an_expression_is_judged_as_it_means(expression: str, verdict: str) -> None:
    found = _read(f"License-Expression: {expression}")

    assert read_denied(["GPL-3.0*"]).judge(found)[0] == LicenceVerdict(verdict)


_MANY = " AND ".join(["MIT", "Apache-2.0", "BSD-3-Clause", "Zlib", "ISC", "HPND"] * 20)


@pytest.mark.parametrize(
    ("stated", "verdict"),
    [
        (f"{_MANY} AND GPL-3.0-only", "denied"),
        (_MANY, "allowed"),
        (_MANY.replace("HPND AND", "HPND AND\n "), "allowed"),
        (f"{_MANY} AND\n GPL-3.0-only", "denied"),
        (f"{_MANY} AND ((", "unknown"),
        ("MIT AND " + "(" * 900 + "GPL-3.0-only" + ")" * 900, "unknown"),
        ("MIT AND " * 9000 + "GPL-3.0-only", "unknown"),
        ("UNKNOWN", "unknown"),
        ("MIT\nLicense-Expression: GPL-3.0-only", "denied"),
        ("MIT OR Zlib\nLicense-Expression: GPL-3.0-only OR ISC", "allowed"),
    ],
)
def test_no_classifier_speaks_for_an_expression(stated: str, verdict: str) -> None:
    """Wheels that bundle much state hundreds of letters, and one of them may be what you refuse."""
    found = _read(f"License-Expression: {stated}\n{_CLASSIFIER} MIT License")

    assert found.field == "License-Expression"
    assert read_denied(["GPL-3.0"]).judge(found)[0] == LicenceVerdict(verdict)
    assert not found.words or max(map(len, found.words)) < 300


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("GPL v3", "GPL-3.0-only"),
        ("GPL 3", "GPL-3.0-only"),
        ("GNU GPL v3", "GPL-3.0-only"),
        ("GNU GPLv3+", "GPL-3.0-or-later"),
        ("GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
        ("GNU General Public License, version 2", "GPL-2.0-only"),
        ("The GNU Lesser General Public License v3", "LGPL-3.0-only"),
        ("GNU Affero General Public License v3.0", "AGPL-3.0-only"),
        ("LGPL version 2 or later", "LGPL-2.0-or-later"),
        ("AGPL v3 only", "AGPL-3.0-only"),
        ("GPL", ""),
        ("GPL v4", ""),
        ("Dual MIT and GPL", ""),
        ("not GPL v3", ""),
    ],
)
def test_gnu_s_licences_are_read_as_people_write_them(words: str, expression: str) -> None:
    assert normalize_expression(words) == expression


@pytest.mark.parametrize(
    ("licence", "classifier", "denied"),
    [
        ("MIT", "GNU General Public License v3 (GPLv3)", True),
        ("MIT", "MIT License", False),
        ("MIT", "GNU Lesser General Public License v3 (LGPLv3)", False),
        ("MIT OR GPL-3.0-only", "GNU General Public License v3 (GPLv3)", False),
        ("MIT", "Other/Proprietary License", False),
    ],
)
def test_a_classifier_that_contradicts_the_licence_can_be_refused(
    licence: str, classifier: str, *, denied: bool
) -> None:
    stated = _read(f"License: {licence}\n{_CLASSIFIER} {classifier}")

    verdict, names = read_denied(["GPL-3.0*"]).judge(stated)

    assert (verdict == "denied") is denied
    assert not denied or names == ("GPL-3.0-only",)


def test_several_classifiers_all_hold() -> None:
    found = _read(f"{_CLASSIFIER} BSD License\n{_CLASSIFIER} GNU General Public License v3 (GPLv3)")

    assert read_denied(["GPL-3.0*"]).judge(found) == (LicenceVerdict.DENIED, ("GPL-3.0-only",))


def test_a_family_without_a_version_is_refused_by_the_family_s_pattern() -> None:
    found = _read(f"{_CLASSIFIER} GNU General Public License (GPL)")

    assert read_denied(["GPL*"]).judge(found)[0] is LicenceVerdict.DENIED
    assert read_denied(["GPL-3.0*"]).judge(found)[0] is LicenceVerdict.UNKNOWN


@pytest.mark.parametrize(
    ("pattern", "denied"),
    [
        ("gpl-3.0-ONLY", "GPL-3.0-only"),
        ("GPL-3.0", "GPL-3.0-or-later"),
        ("GPLv3", "GPL-3.0-only"),
        ("*GPL*", "LGPL-2.1-or-later"),
        ("LicenseRef-*", "LicenseRef-Mine"),
    ],
)
def test_patterns_are_read_as_people_write_them(pattern: str, denied: str) -> None:
    found = _read(f"License-Expression: {denied}")

    assert read_denied([pattern]).judge(found)[0] is LicenceVerdict.DENIED


@pytest.mark.parametrize("pattern", ["", "GPL-9.0", "MITT", "gnu"])
def test_a_pattern_that_matches_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="matches no licence"):
        read_denied([pattern])
