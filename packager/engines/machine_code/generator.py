"""The form as C: the same form, the same text. Nothing that a model brings is in it but numbers.

Constants (words, weights, tables of trees) are bytes of a file that the assembler includes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from packager.engines.machine_code.form import INPUT_KINDS, Form, FormError, Step
from packager.engines.machine_code.operations import (
    categories,
    columns,
    curves,
    functions,
    graphs,
    neighbors,
    points,
    pursuit,
    scores,
    topics,
    trees,
    votes,
)
from packager.engines.machine_code.operations.interface import C_TYPES, Operation, block
from packager.engines.machine_code.row_reader import ROW_READER

OPERATIONS: Final[Mapping[str, Operation]] = {
    **columns.OPERATIONS,
    **categories.OPERATIONS,
    **scores.OPERATIONS,
    **functions.OPERATIONS,
    **curves.OPERATIONS,
    **neighbors.OPERATIONS,
    **graphs.OPERATIONS,
    **points.OPERATIONS,
    **pursuit.OPERATIONS,
    **topics.OPERATIONS,
    **votes.OPERATIONS,
    **trees.OPERATIONS,
}
_HEAD: Final = """\
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

__asm__(".section .rodata\\n.balign 64\\n.globl constants\\n.hidden constants\\nconstants:\\n"
        ".incbin \\"constants.bin\\"\\n.byte 0\\n.previous\\n");
extern const unsigned char constants[] __attribute__((visibility("hidden")));

/* One column of a request; text has offsets (one more than rows), and missing may be null: it has
   1 where a word is None, 2 where it is NaN. */
struct column { const void *values; const int64_t *offsets; const uint8_t *missing; };
struct text { const uint8_t *bytes; int64_t length; int64_t missing; };

__attribute__((unused))
static void read_text(const struct column *column, int64_t row, struct text *found) {
  found->bytes = (const uint8_t *)column->values + column->offsets[row];
  found->length = column->offsets[row + 1] - column->offsets[row];
  found->missing = column->missing ? column->missing[row] : 0;
}

__attribute__((unused))
static int64_t find_word(const struct text *text, const uint8_t *words, const int64_t *offsets,
                         int64_t count) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t at = low + (high - low) / 2;
    const int64_t length = offsets[at + 1] - offsets[at];
    const int64_t shorter = length < text->length ? length : text->length;
    int order = shorter ? memcmp(words + offsets[at], text->bytes, (size_t)shorter) : 0;
    if (order == 0) order = length < text->length ? -1 : length > text->length;
    if (order == 0) return at;
    if (order < 0) low = at + 1; else high = at;
  }
  return -1;
}

__attribute__((unused))
static int64_t find_number(double x, const double *numbers, int64_t count) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t at = low + (high - low) / 2;
    if (numbers[at] == x) return at;
    if (numbers[at] < x) low = at + 1; else high = at;
  }
  return -1;
}
"""
LAYOUT: Final = 1
MOST_SCRATCH: Final = 16_000_000
"""Numbers that all steps of a row compute with, beside its blocks."""
_CODES: Final[Mapping[str, int]] = {
    "double": 1, "float": 2, "long": 3, "int64": 3, "integer": 4, "boolean": 5, "string": 6,
}  # fmt: skip
"""Of a column's or an answer's kind in `layout`; `handlers/loaders/machine_code.py` reads them."""
_ENTRY: Final = """\
/* Answers rows in order: -1 where all were answered, -2 without memory, else the row refused. */
__attribute__((visibility("default")))
int64_t answer(int64_t rows, const struct column *columns, void *out) {
  struct row *v = malloc(sizeof *v);
  if (!v) return -2;
  v->rows = rows;
  for (int64_t row = 0; row < rows; row++) {
"""


def generate_c(form: Form) -> str:
    """Raises FormError for an operation that is not known, or that breaks its own rules."""
    for step in form.steps:
        if step.operation not in OPERATIONS:
            raise FormError(f"the operation {step.operation!r} is not known")
        try:
            OPERATIONS[step.operation].check(step)
        except (KeyError, TypeError, ValueError) as error:
            raise step.fail(f"parameters that are not as they should be: {error!r}") from error
        if step.operation == "input":
            _check_column(step, form.columns)
    arrays = (OPERATIONS[step.operation].scratch(step) for step in form.steps)
    if sum(each.count for several in arrays for each in several) > MOST_SCRATCH:
        raise FormError(f"rows that are computed with more than {MOST_SCRATCH} numbers beside them")
    return "\n".join(_write_lines(form)) + "\n"


def _check_column(step: Step, kinds: Sequence[str]) -> None:
    column = step.parameters["column"]
    if column >= len(kinds):
        raise step.fail("a column that the request does not have")
    if step.kind != INPUT_KINDS[kinds[column]]:
        raise step.fail(f"a block of {step.kind} for a column of type {kinds[column]}")


def _write_lines(form: Form) -> Iterator[str]:
    yield _HEAD
    yield from dict.fromkeys(
        helper for step in form.steps for helper in OPERATIONS[step.operation].helpers
    )
    yield from _write_row(form)
    inner = [step for step in form.steps if step.operation != "input"]
    for step in inner:
        yield from _write_step(step)
    yield ROW_READER
    yield _write_layout(form)
    yield _ENTRY.rstrip("\n")
    for step in form.steps:
        if step.operation == "input":
            kind = form.columns[step.parameters["column"]]
            yield f"    {columns.write_input(step, kind)}"
    for step in inner:
        yield f"    if (step_{step.number}(v)) {{ free(v); return row; }}"
    yield from _write_answer(form.answer)
    yield "  }\n  free(v);\n  return -1;\n}"


def _write_row(form: Form) -> Iterator[str]:
    """Write what is held while a row is answered: blocks, and what steps compute with."""
    yield "struct row {"
    yield "  int64_t rows;"
    for step in form.steps:
        yield f"  {C_TYPES[step.kind]} b{step.number}[{step.width}];"
        for array in OPERATIONS[step.operation].scratch(step):
            yield f"  {array.kind} s{step.number}_{array.name}[{array.count}];"
    yield "};\n"


def _write_step(step: Step) -> Iterator[str]:
    yield f"static int step_{step.number}(struct row *v) {{ /* {step.operation} */"
    for array in OPERATIONS[step.operation].scratch(step):
        yield f"  {array.kind} *const {array.name} = v->s{step.number}_{array.name};"
    yield from (f"  {line}" for line in OPERATIONS[step.operation].write(step))
    yield "  return 0;\n}\n"


def _write_layout(form: Form) -> str:
    """Write what the loader compares a request and the options with: how the library is called.

    Its version, the answer's kind, width and labels, how many columns there are, the kind of each.
    """
    answer = (_CODES[form.answer.kind], form.answer.width, form.labels)
    numbers = (LAYOUT, *answer, len(form.columns), *(_CODES[each] for each in form.columns))
    return (
        f'__attribute__((visibility("default")))\nconst int64_t layout[{len(numbers)}] = '
        f"{{{', '.join(map(str, numbers))}}};\n"
    )


def _write_answer(step: Step) -> Iterator[str]:
    yield f"    for (int64_t i = 0; i < {step.width}; i++)"
    yield f"      (({C_TYPES[step.kind]} *)out)[row * {step.width} + i] = {block(step)}[i];"
