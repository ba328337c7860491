"""What of MLflow's words ours leave out: the request's data, and what other libraries say of it."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from handlers.scoring.errors import FOREIGN

_CUTS = (
    # each: MLflow's text with the data in it, and what is left of it here
    (r"^Failed to predict data '.*?'\. \nError: ", "Failed to predict data. \nError: "),
    (r"(Failed to enforce schema of data) '.*?' (?=with schema ')", r"\1 "),
    (r"(Failed to enforce schema of data) `.*?` (?=with dtype)", r"\1 "),
    (r"Failed to enforce schema of '.*?' with type '", "Failed to enforce schema with type '"),
    (r"Failed to convert data `.*?` to type", "Failed to convert data to type"),
    (r"(?<!\)\]'\.)(?<=[.)]) Error: '.*$", ""),
    (r"(?<=formatted string\.)\nError: .*$", ""),
    (r"(?<=casting the input data to a DataFrame:) .*$", ""),
    (r"(?<=timezone-naive datetime objects\.) Error: .*$", ""),
    (r" Note that there were extra inputs: .*$", ""),
    (r"(?<=and 'index' fields\.) Got (\{|set\().*$", ""),
    (r"(?<=not defined in the schema found): \{.*$", ""),
)  # fmt: skip
_PARAMETER_CUTS = (
    (r"(?<=`), got `.*`$", ""),
    (r"(?<=convertible to datetime\.date/datetime), got `.*`$", ""),
    (r"(?<=`) for value `.*`$", ""),
    (r"Failed to convert value `.*?` from", "Failed to convert value from"),
)
_INVALID = "Invalid parameters found: "
_SETS = re.compile(r"(exactly one of the input fields |Missing required properties: )(\{.*?\})")
_MLFLOWS = (
    "Expected ", "Failed to ", "Incompatible input", "Model is missing", "Model inference",
    "This model", "The input ", "Input DataFrame", "Shape ", "dtype of", "For pandas", "Value must",
    "Because the", "Missing required", "Invalid pro", "Invalid par", "Invalid input", "Can not ",
    "Please ensure", "The length of", "Dataframe ", "Provided ", "Data is not", "Ensure that",
    "Parameters must", "Request payload",
)  # fmt: skip
"""How its own sentences begin: none of them may be passed off as another library's."""


def same(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Whether two error bodies are the same but for what is left out on purpose."""
    left = {key: value for key, value in theirs.items() if key != "stack_trace"}
    expected, actual = left.pop("message", None), ours.get("message")
    if left != {key: value for key, value in ours.items() if key != "message"}:
        return False
    return same_text(expected, actual)


def same_text(expected: Any, actual: Any) -> bool:
    if not isinstance(expected, str) or not isinstance(actual, str):
        return False
    expected = redacted(expected)
    before, found, after = expected.partition(_INVALID)
    if found and actual.startswith(before + found):
        return _same_parameters(after, actual[len(before + found) :])
    return _fits(expected, canonical(actual))


def redacted(text: str) -> str:
    for pattern, left in _CUTS:
        text = re.sub(pattern, left, text, flags=re.DOTALL)
    return canonical(text)


def canonical(text: str) -> str:
    """With sets in one order: theirs change with the process."""
    return _SETS.sub(lambda found: found[1] + str(sorted(ast.literal_eval(found[2]))), text)


def _same_parameters(expected: str, actual: str) -> bool:
    # a repr of tuples of texts with reprs in them: quotes change with what is quoted
    lists = [sorted(ast.literal_eval(text)) for text in (expected, actual)]
    cut = [(name, _cut_parameter(text)) for name, text in lists[0]]
    return len(cut) == len(lists[1]) and all(
        name == other and _fits(text, mine)
        for (name, text), (other, mine) in zip(cut, lists[1], strict=True)
    )


def _cut_parameter(text: str) -> str:
    for pattern, left in (*_PARAMETER_CUTS, *_CUTS):
        text = re.sub(pattern, left, text, flags=re.DOTALL)
    return text


def _fits(expected: str, actual: str) -> bool:
    """Equal, or our one sentence stands where another library's words stand in theirs."""
    if expected == actual:
        return True
    before, found, after = actual.partition(FOREIGN)
    if not found or not (expected.startswith(before) and expected.endswith(after)):
        return False
    words = expected[len(before) : len(expected) - len(after)]
    return not words.startswith(_MLFLOWS)


def without_column(error: Any) -> Any:
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return error
    told = re.sub(r"(?<=Failed to convert column )\S+ ", "", error["message"])
    return {**error, "message": told}


def read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
