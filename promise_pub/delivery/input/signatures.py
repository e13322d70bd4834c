"""Files that are not CSV, recognised by their first bytes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

LONGEST = 4_096  # bytes that are looked at: a workbook's first entries, which tell it from other ZIP files

_SAVE_AS_UTF_8 = "save it as CSV UTF-8, then send it again"
_UNPACK = "unpack it, then send the CSV in it"
_EXPORT = "save it as CSV, then send it again"

# The marks of UTF-32 before those of UTF-16, which two of them begin with.
_SIGNATURES = (
    (b"\xff\xfe\0\0", "UTF-32", _SAVE_AS_UTF_8),
    (b"\0\0\xfe\xff", "UTF-32", _SAVE_AS_UTF_8),
    (b"\xff\xfe", "UTF-16", _SAVE_AS_UTF_8),
    (b"\xfe\xff", "UTF-16", _SAVE_AS_UTF_8),
    (b"\x1f\x8b", "compressed with gzip", _UNPACK),
    (b"BZh91AY&SY", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", _EXPORT),
    (b"%PDF-", "a PDF", "export its table as CSV"),
)
_ZIP = b"PK\x03\x04"
_IN_ZIP = (
    (b"opendocument.spreadsheet", "a LibreOffice spreadsheet (.ods)", _EXPORT),
    (b"xl/", "an Excel workbook (.xlsx)", _EXPORT),
)
# Where NUL bytes stand among the first four of ASCII text that is written with two or four bytes a character.
_WIDE: Mapping[tuple[bool, ...], str] = {
    (False, True, False, True): "UTF-16",
    (True, False, True, False): "UTF-16",
    (False, True, True, True): "UTF-32",
    (True, True, True, False): "UTF-32",
}


def fault_of(head: bytes) -> str | None:
    """Says why a file with these first bytes is not CSV, and what to do; None where it may be."""
    head = head[:LONGEST]
    for start, kind, advice in _SIGNATURES:
        if head.startswith(start):
            return f"The file is {kind}: {advice}."
    if head.startswith(_ZIP):
        known = (f"{kind}: {advice}" for name, kind, advice in _IN_ZIP if name in head)
        return f"The file is {next(known, f'a ZIP archive: {_UNPACK}')}."
    if wide := _WIDE.get(tuple(byte == 0 for byte in head[:4])):
        return f"The file is {wide}: {_SAVE_AS_UTF_8}."
    return None
