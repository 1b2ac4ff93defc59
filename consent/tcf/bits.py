"""Bits of a base64url text, read from the left; reading past the end is an error, never a zero."""

from consent.errors import UnreadableTcString

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
BITS = {character: f"{value:06b}" for value, character in enumerate(ALPHABET)}


class BitReader:
    """Reads numbers of any width from a base64url text without padding.

    Raises
    ------
    UnreadableTcString
        ``not_base64`` for a character that is none of the alphabet.
    """

    def __init__(self, text: str) -> None:
        try:
            self._bits = "".join([BITS[character] for character in text])
        except KeyError as error:
            raise UnreadableTcString("not_base64") from error
        self._at = 0

    def read(self, width: int) -> int:
        """Return the next `width` bits, at least one, as a number: the first one is the most significant.

        Raises
        ------
        UnreadableTcString
            ``truncated`` if there are fewer.
        """
        return int(self._take(width), 2)

    def read_flag(self) -> bool:
        """Return the next bit."""
        return self._take(1) == "1"

    def read_set(self, width: int) -> int:
        """Return `width` flags as a mask in which bit *n* stands for number *n*, counted from 1."""
        return int(self._take(width)[::-1], 2) << 1 if width else 0

    def finish(self) -> None:
        """Refuse anything but padding after the last field.

        Raises
        ------
        UnreadableTcString
            ``trailing_data``: whatever wrote it meant something that was not read.
        """
        if "1" in self._bits[self._at :]:
            raise UnreadableTcString("trailing_data")

    def _take(self, width: int) -> str:
        taken = self._bits[self._at : self._at + width]
        if len(taken) < width:
            raise UnreadableTcString("truncated")
        self._at += width
        return taken
