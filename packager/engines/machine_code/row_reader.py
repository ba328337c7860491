"""C that reads the rows of a JSON body straight into columns, in each library.

What it reads is narrow on purpose: numbers, truths and words without escapes, each in a column of
its kind, with a null among numbers for NaN. Whatever else a body may hold, or what a value's
neighbours decide, is left to the general way (`handlers.scoring.plain.rows`).

A number is the double that is next to it: by one operation on two exact doubles, by whole numbers
of 128 bits, or by `strtod`. The process's locale may keep that from it, which is seen, and left to
the general way too.
"""

from __future__ import annotations

from typing import Final

ROW_READER: Final = r"""
/* Kinds of columns, as `layout` has them. */
enum { DOUBLE = 1, FLOAT = 2, LONG = 3, INTEGER = 4, BOOLEAN = 5, STRING = 6 };
/* Where a column goes: numbers or bytes of text, offsets (one more than rows), how many numbers. */
struct filled { void *values; int64_t *offsets; int64_t *numbers; };
struct number { double value; int64_t whole; int is_whole; int digits; };

static const double EXACT_POWERS[] = {
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
  1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};
enum { MOST_EXACT = 22, MOST_WHOLE = 19, LONGEST = 63 };
static const uint64_t LARGEST_EXACT = (uint64_t)1 << 53;

static int is_digit(const uint8_t *at, const uint8_t *end) {
  return at < end && *at >= '0' && *at <= '9';
}

static const uint8_t *skip_space(const uint8_t *at, const uint8_t *end) {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
  return at;
}

/* The double next to digits / 10^power: both are exact, and one bit says of what is left over. */
static double divide_digits(uint64_t digits, int power) {
  uint64_t divisor = 1;
  for (int i = 0; i < power; i++) divisor *= 10;
  int shift = 56 + __builtin_clzll(digits) - __builtin_clzll(divisor);
  if (shift < 0) shift = 0;
  const unsigned __int128 scaled = (unsigned __int128)digits << shift;
  const uint64_t quotient = (uint64_t)(scaled / divisor);
  return ldexp((double)(int64_t)(quotient | (scaled % divisor != 0)), -shift);
}

/* Reads a number as JSON has it; where it ends, or null. */
static const uint8_t *read_number(const uint8_t *at, const uint8_t *end, struct number *found) {
  const uint8_t *const begin = at;
  const int negative = at < end && *at == '-';
  uint64_t digits = 0;
  int64_t power = 0;
  int count = 0, is_cut = 0;
  at += negative;
  if (!is_digit(at, end) || (*at == '0' && is_digit(at + 1, end))) return 0;
  found->is_whole = 1;
  for (int fraction = 0; fraction < 2; fraction++) {
    for (; is_digit(at, end); at++) {
      if (count < MOST_WHOLE) {
        digits = digits * 10 + (uint64_t)(*at - '0');
        count += digits != 0;
        power -= fraction;
      } else {
        is_cut = 1;
      }
    }
    if (fraction || at >= end || *at != '.') break;
    at++;
    found->is_whole = 0;
    if (!is_digit(at, end)) return 0;
  }
  if (at < end && (*at == 'e' || *at == 'E')) {
    int64_t exponent = 0;
    at++;
    const int is_small = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    if (!is_digit(at, end)) return 0;
    for (; is_digit(at, end); at++)
      if (exponent < 100000) exponent = exponent * 10 + (*at - '0');
    power += is_small ? -exponent : exponent;
    found->is_whole = 0;
  }
  found->digits = count + is_cut;
  if (found->is_whole) {
    if (found->digits >= MOST_WHOLE) return 0;
    found->whole = negative ? -(int64_t)digits : (int64_t)digits;
    found->value = (double)found->whole;
    return at;
  }
  double value;
  if (!is_cut && digits == 0) {
    value = 0;
  } else if (!is_cut && digits <= LARGEST_EXACT && power >= -MOST_EXACT && power <= MOST_EXACT) {
    value = (double)(int64_t)digits;
    if (power < 0) value /= EXACT_POWERS[-power];
    else value *= EXACT_POWERS[power];
  } else if (!is_cut && power < 0 && power >= -MOST_WHOLE) {
    value = divide_digits(digits, (int)-power);
  } else {
    char copy[LONGEST + 1], *stopped;
    const size_t length = (size_t)(at - begin);
    if (length > LONGEST) return 0;
    memcpy(copy, begin, length);
    copy[length] = 0;
    found->value = strtod(copy, &stopped);
    return stopped == copy + length && isfinite(found->value) ? at : 0;
  }
  found->value = negative ? -value : value;
  return at;
}

static const uint8_t *read_cell(const uint8_t *at, const uint8_t *end, int64_t kind,
                                struct filled *column, int64_t row) {
  const int64_t left = end - at;
  struct number found = {0, 0, 0, 0};
  if (kind == STRING) {
    if (left < 2 || *at != '"') return 0;
    const uint8_t *const begin = ++at;
    while (at < end && *at != '"') {
      if (*at == '\\' || *at < ' ') return 0;
      at++;
    }
    if (at >= end) return 0;
    memcpy((uint8_t *)column->values + column->offsets[row], begin, (size_t)(at - begin));
    column->offsets[row + 1] = column->offsets[row] + (at - begin);
    return at + 1;
  }
  if (kind == BOOLEAN) {
    const int is_true = left >= 4 && !memcmp(at, "true", 4);
    if (!is_true && !(left >= 5 && !memcmp(at, "false", 5))) return 0;
    ((uint8_t *)column->values)[row] = (uint8_t)is_true;
    return at + (is_true ? 4 : 5);
  }
  if ((kind == DOUBLE || kind == FLOAT) && left >= 4 && !memcmp(at, "null", 4)) {
    if (kind == DOUBLE) ((double *)column->values)[row] = (double)NAN;
    else ((float *)column->values)[row] = NAN;
    return at + 4;
  }
  at = read_number(at, end, &found);
  if (!at) return 0;
  if (kind == DOUBLE) {
    ((double *)column->values)[row] = found.value;
  } else if (kind == FLOAT) {
    if (found.is_whole && found.digits > 15) return 0;
    ((float *)column->values)[row] = (float)found.value;
  } else if (!found.is_whole) {
    return 0;
  } else if (kind == LONG) {
    ((int64_t *)column->values)[row] = found.whole;
  } else {
    if (found.whole < INT32_MIN || found.whole > INT32_MAX) return 0;
    ((int32_t *)column->values)[row] = (int32_t)found.whole;
  }
  ++*column->numbers;
  return at;
}

/* Reads `[[...], ...]` at a place of a body into columns with room for `most` rows: where it ends,
   or -1 for whatever is not plainly rows of these kinds. */
__attribute__((visibility("default")))
int64_t read_rows(const uint8_t *body, int64_t size, int64_t begin, int64_t width,
                  const int64_t *kinds, struct filled *columns, int64_t most, int64_t *rows) {
  const uint8_t *at = body + begin, *const end = body + size;
  int64_t row = 0;
  if (begin < 0 || begin >= size || *at++ != '[') return -1;
  for (;; at++) {
    at = skip_space(at, end);
    if (row >= most || at >= end || *at++ != '[') return -1;
    for (int64_t i = 0; i < width; i++) {
      at = read_cell(skip_space(at, end), end, kinds[i], columns + i, row);
      if (!at) return -1;
      at = skip_space(at, end);
      if (at >= end || *at++ != (i + 1 < width ? ',' : ']')) return -1;
    }
    row++;
    at = skip_space(at, end);
    if (at >= end || (*at != ',' && *at != ']')) return -1;
    if (*at == ']') break;
  }
  for (int64_t i = 0; i < width; i++)
    if (kinds[i] <= INTEGER && !*columns[i].numbers) return -1;
  *rows = row;
  return at + 1 - body;
}
"""
