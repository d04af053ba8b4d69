"""The text of a log, in whichever of the usual encodings it was written."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from bench.common.user_error import UserError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks with their encodings; that of UTF-32 begins with that of UTF-16."""
WITHOUT_MARK = ("utf-8", "cp1252")
"""In this order: what is UTF-8 is hardly ever anything else, and cp1252 is what spreadsheets of Western systems write."""
PACKED = {
    b"PK\x03\x04": "a spreadsheet or an archive; save it as CSV, or unpack it",
    b"\x1f\x8b": "compressed; unpack it",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of an old form; save it as CSV",
}
"""What else is often given for a log, by its first bytes."""
CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
HALF = 0.4


def log_bytes(path: Path) -> bytes:
    """The bytes of a log.

    Args:
        path: The file.

    Returns:
        All of them.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give the meter's log") from None


def log_text(path: Path) -> str:
    """A log as text.

    Args:
        path: The file, in UTF-8, UTF-16 or UTF-32 with a byte order mark, UTF-16 without one, or cp1252.

    Returns:
        Its text, without the mark.

    Raises:
        UserError: The file cannot be read, or is no text.
    """
    data = log_bytes(path)
    packed = next((what for magic, what in PACKED.items() if data.startswith(magic)), None)
    if packed is not None:
        raise UserError(f"{path} is {packed}")
    text = decoded(data)
    if text is None:
        raise UserError(f"{path} is not text; a power CSV is, and perun's HDF5 files need --format perun")
    return text


def decoded(data: bytes) -> str | None:
    """Bytes as text.

    Args:
        data: All bytes of a file, or its beginning.

    Returns:
        The text; None where they are none.
    """
    mark = next((encoding for mark, encoding in MARKS if data.startswith(mark)), None)
    for encoding in [mark] if mark else [*_wide(data), *WITHOUT_MARK]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not CONTROL.search(text):
            return text
    return None


def head_text(head: bytes) -> str:
    """The beginning of a file as text, for telling formats apart: what is cut at its end is left out.

    Args:
        head: The first bytes of a file.

    Returns:
        Its text; empty where it is none.
    """
    for cut in range(4):
        text = decoded(head[: len(head) - cut])
        if text is not None:
            return text
    return ""


def _wide(data: bytes) -> list[str]:
    """UTF-16 without a mark, told by the zero bytes of its ASCII characters."""
    if not data or data.count(0) < HALF * len(data):
        return []
    return ["utf-16-le" if data[1::2].count(0) >= data[0::2].count(0) else "utf-16-be"]
