"""What is imported for cities that no table has."""

import difflib


def guess_score(city: str) -> float:
    return difflib.SequenceMatcher(None, city.lower(), "oslo").ratio()
