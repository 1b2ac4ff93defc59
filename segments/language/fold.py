"""Folding of case for text operators, the same in Python and in any PostgreSQL, whatever its locale.

`lower()` depends on the database's locale and on ICU, which the embedded build lacks. So both sides use one table of
the characters of the basic plane whose lower case is one other character.
"""

import unicodedata

_UPPER = [
    chr(code)
    for code in range(0x80, 0x10000)
    if not 0xD800 <= code < 0xE000 and len(chr(code).lower()) == 1 and chr(code).lower() != chr(code)
]
FOLD_FROM = "".join(_UPPER)
FOLD_TO = "".join(char.lower() for char in _UPPER)
_TABLE = str.maketrans(
    FOLD_FROM + "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    FOLD_TO + "abcdefghijklmnopqrstuvwxyz",
)


def normal(text: str) -> str:
    """Return the text in Unicode normal form C, as `cdp_nfc` in SQL does."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """Return the text in normal form C and lower case, as `cdp_fold` in SQL does."""
    return normal(text).translate(_TABLE)
