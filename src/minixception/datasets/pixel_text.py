"""Numbers written as text, "70 80 82 ...", turned into pixels by whole-array arithmetic."""

import itertools

import numpy as np

_SPACE, _ZERO, _NINE = b" 09"
# The lower half of an ASCII digit is its value; that of a space is 0.
_VALUE_BITS = 0x0F
_LONGEST_NUMBER = 3


def parse_pixels(fields: list[bytes], pixels_per_row: int) -> np.ndarray:
    """Parse rows of decimal numbers separated by spaces.

    The digits of all rows are worked on at once: the value of a number is put together at its last
    digit from the two digits before it, and those places are then picked out. This takes a few
    passes over bytes, where a loop makes an object per pixel.

    Args:
        fields: One bytes object per row, ASCII digits and spaces.
        pixels_per_row: Numbers that each row must hold.

    Returns:
        uint8 (rows, pixels_per_row).

    Raises:
        ValueError: A row has another number of pixels, a character that is no digit or a value
            above 255 or of more than three digits. The message does not name the row;
            `explain_row` says what is wrong with one.
    """
    # Three spaces in front let every digit look back; a space behind ends the last number.
    text = np.frombuffer(b" ".join([b"  ", *fields, b""]), dtype=np.uint8)
    is_digit = text >= _ZERO
    if text.max() > _NINE or np.count_nonzero(is_digit | (text == _SPACE)) < text.size:
        raise ValueError("A pixel is not a number.")
    if np.count_nonzero(is_digit[:-3] & is_digit[1:-2] & is_digit[2:-1] & is_digit[3:]):
        raise ValueError("A pixel has more than three digits.")
    is_last = is_digit[3:-1] > is_digit[4:]
    row_starts = np.cumsum([0] + [len(row) + 1 for row in fields])
    for start, end in itertools.pairwise(row_starts.tolist()):
        if np.count_nonzero(is_last[start:end]) != pixels_per_row:
            raise ValueError("A row has a wrong number of pixels.")
    return _numbers_ending_at(is_last, text, is_digit).reshape(len(fields), pixels_per_row)


def _numbers_ending_at(is_last: np.ndarray, text: np.ndarray, is_digit: np.ndarray) -> np.ndarray:
    """Put together the numbers whose last digit stands where `is_last` is True.

    `text` and `is_digit` have three more entries in front and one behind.
    """
    digits = text & np.uint8(_VALUE_BITS)
    # A digit two places back belongs to the same number when no space is in between. Negating 1
    # as uint8 gives 255, all bits: "and" is several times faster than a product here.
    hundreds = digits[1:-3] & np.negative(is_digit[2:-2].view(np.uint8))
    below_hundred = digits[2:-2] * np.uint8(10) + digits[3:-1]
    too_large = (hundreds > 2) | ((hundreds == 2) & (below_hundred > 55))
    if np.count_nonzero(too_large & is_last):
        raise ValueError("A pixel is above 255.")
    below_hundred += hundreds * np.uint8(100)
    return below_hundred.take(np.flatnonzero(is_last))


def explain_row(field: bytes, pixels_per_row: int) -> str | None:
    """Say what is wrong with one row of pixels, or None when nothing is."""
    words = [word for word in field.split(b" ") if word]
    for position, word in enumerate(words, start=1):
        if not word.isdigit():
            return f"pixel {position} must be a whole number in 0..255. Received: {_shown(word)}"
        if len(word) > _LONGEST_NUMBER or int(word) > 255:
            return f"pixel {position} must be in 0..255. Received: {_shown(word)}"
    if len(words) != pixels_per_row:
        return f"a row must have {pixels_per_row} pixels. Received: {len(words)} pixels"
    return None


def _shown(word: bytes) -> str:
    """Make bytes of unknown origin and length fit for a message."""
    return repr(word[:20].decode("ascii", errors="backslashreplace"))
