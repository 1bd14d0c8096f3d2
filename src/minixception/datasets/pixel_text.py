"""Lines of comma-separated fields, one of them "70 80 82 ...", turned into pixels.

Whole blocks of lines are worked on as one array of bytes: a few passes of arithmetic over bytes,
where a loop would make an object per pixel.
"""

import itertools
from dataclasses import dataclass

import numpy as np

_NEWLINE, _RETURN, _SPACE, _QUOTE, _COMMA, _ZERO, _NINE = b'\n\r ",09'
# The lower half of an ASCII digit is its value; that of a space is 0.
_VALUE_BITS = 0x0F
_LONGEST_NUMBER = 3
# In front of the text, so that each digit can look back at the two before it.
_PADDING = b"   "


@dataclass(frozen=True)
class FieldTable:
    """Where the fields of some lines stand in `text`: int64 (rows, columns) each."""

    text: bytes
    starts: np.ndarray
    ends: np.ndarray

    def column(self, column: int) -> list[bytes]:
        """Return the fields of one column, one per row."""
        bounds = zip(self.starts[:, column].tolist(), self.ends[:, column].tolist(), strict=True)
        return [self.text[start:end] for start, end in bounds]


def find_fields(text: bytes, column_count: int) -> FieldTable:
    """Cut lines at their commas.

    Args:
        text: Whole lines, each with a newline at its end.
        column_count: Number of fields of each line.

    Raises:
        ValueError: A line has another number of fields. The message does not name the line.
    """
    characters = np.frombuffer(text, dtype=np.uint8)
    separators = np.flatnonzero((characters == _COMMA) | (characters == _NEWLINE))
    if len(separators) % column_count:
        raise ValueError("A line has a wrong number of fields.")
    ends = separators.reshape(-1, column_count)
    if (characters[ends] != [_COMMA] * (column_count - 1) + [_NEWLINE]).any():
        raise ValueError("A line has a wrong number of fields.")
    starts = np.concatenate([[0], separators[:-1] + 1]).reshape(ends.shape)
    return FieldTable(text, starts, ends)


def parse_pixels(table: FieldTable, column: int, pixels_per_row: int) -> np.ndarray:
    """Parse a column of decimal numbers separated by spaces, in quotes or without.

    The value of a number is put together at its last digit from the two digits before it, and
    those places are then picked out.

    Args:
        table: Lines cut into fields.
        column: Position of the column.
        pixels_per_row: Numbers that each row must hold.

    Returns:
        uint8 (rows, pixels_per_row).

    Raises:
        ValueError: A row has another number of pixels, a character that is no digit or a value
            above 255 or of more than three digits. The message does not name the row;
            `explain_row` says what is wrong with one.
    """
    text, row_bounds = _only_column(table, column)
    is_digit = text >= _ZERO
    if text.max() > _NINE or np.count_nonzero(is_digit | (text == _SPACE)) < text.size:
        raise ValueError("A pixel is not a number.")
    if np.count_nonzero(is_digit[:-3] & is_digit[1:-2] & is_digit[2:-1] & is_digit[3:]):
        raise ValueError("A pixel has more than three digits.")
    is_last = is_digit[3:-1] > is_digit[4:]
    for start, end in itertools.pairwise(row_bounds):
        if np.count_nonzero(is_last[start:end]) != pixels_per_row:
            raise ValueError("A row has a wrong number of pixels.")
    return _numbers_ending_at(is_last, text, is_digit).reshape(-1, pixels_per_row)


def _only_column(table: FieldTable, column: int) -> tuple[np.ndarray, list[int]]:
    """Overwrite all other fields by spaces: uint8 text, padded, and row bounds before padding."""
    characters = np.frombuffer(bytearray(_PADDING + table.text), dtype=np.uint8)
    unpadded = characters[len(_PADDING) :]
    starts, ends = table.starts[:, column], table.ends[:, column]
    ends = ends - (unpadded[ends - 1] == _RETURN)
    ends = ends - (unpadded[ends - 1] == _QUOTE)
    starts = starts + (unpadded[starts] == _QUOTE)
    gap_starts = [0, *ends.tolist()]
    gap_ends = [*starts.tolist(), len(unpadded)]
    for start, end in zip(gap_starts, gap_ends, strict=True):
        unpadded[start:end] = _SPACE
    return characters, gap_starts


def _numbers_ending_at(is_last: np.ndarray, text: np.ndarray, is_digit: np.ndarray) -> np.ndarray:
    """Put together the numbers whose last digit stands where `is_last` is True.

    `text` and `is_digit` have three more entries in front and one behind.
    """
    digits = text & np.uint8(_VALUE_BITS)
    # A digit two places back belongs to the same number when no space is in between. Negating 1
    # as uint8 gives 255, all bits: "and" is several times faster than a product here.
    hundreds = digits[1:-3] & np.negative(is_digit[2:-2].view(np.uint8))
    below_hundred = digits[2:-2] * np.uint8(10) + digits[3:-1]
    places = np.flatnonzero(is_last)
    hundreds, below_hundred = hundreds.take(places), below_hundred.take(places)
    if ((hundreds > 2) | ((hundreds == 2) & (below_hundred > 55))).any():
        raise ValueError("A pixel is above 255.")
    return below_hundred + hundreds * np.uint8(100)


def explain_row(field: bytes, pixels_per_row: int) -> str | None:
    """Say what is wrong with one row of pixels, or None when nothing is."""
    words = [word for word in unquoted(field).split(b" ") if word]
    for position, word in enumerate(words, start=1):
        if not word.isdigit():
            return f"pixel {position} must be a whole number in 0..255. Received: {shown(word)}"
        if len(word) > _LONGEST_NUMBER or int(word) > 255:
            return f"pixel {position} must be in 0..255. Received: {shown(word)}"
    if len(words) != pixels_per_row:
        return f"a row must have {pixels_per_row} pixels. Received: {len(words)} pixels"
    return None


def unquoted(field: bytes) -> bytes:
    """Take a carriage return and then quotes off the ends of a field."""
    return field.removesuffix(b"\r").removesuffix(b'"').removeprefix(b'"')


def shown(word: bytes) -> str:
    """Make bytes of unknown origin and length fit for a message."""
    return repr(word[:20].decode("ascii", errors="backslashreplace"))
