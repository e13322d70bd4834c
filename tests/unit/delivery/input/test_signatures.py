"""Files that are no CSV: each kind is named, and nothing that may be CSV is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from promise_pub.delivery.input.signatures import fault_of

TEXT = "name,mail\nAnn,ann@x.test\n"


def archive(*names: str, text: str = TEXT) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as whole:
        for name in names:
            whole.writestr(zipfile.ZipInfo(name), text)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (TEXT.encode("utf-16"), "UTF-16: save it as CSV UTF-8"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16: save it as CSV UTF-8"),
        (TEXT.encode("utf-16-le"), "UTF-16: save it as CSV UTF-8"),
        (TEXT.encode("utf-16-be"), "UTF-16: save it as CSV UTF-8"),
        (TEXT.encode("utf-32"), "UTF-32: save it as CSV UTF-8"),
        (b"\0\0\xfe\xff" + TEXT.encode("utf-32-be"), "UTF-32: save it as CSV UTF-8"),
        (TEXT.encode("utf-32-le"), "UTF-32: save it as CSV UTF-8"),
        (TEXT.encode("utf-32-be"), "UTF-32: save it as CSV UTF-8"),
        (gzip.compress(TEXT.encode(), mtime=0), "compressed with gzip: unpack it"),
        (bz2.compress(TEXT.encode()), "compressed with bzip2: unpack it"),
        (lzma.compress(TEXT.encode()), "compressed with xz: unpack it"),
        (archive("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), "an Excel workbook (.xlsx): save it as CSV"),
        (archive("mimetype", text="application/vnd.oasis.opendocument.spreadsheet"), "a LibreOffice spreadsheet (.ods): save it as CSV"),
        (archive("rows.csv"), "a ZIP archive: unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an old Excel workbook (.xls): save it as CSV"),
        (b"%PDF-1.7\n%", "a PDF"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_named_with_what_to_do(data: bytes, says: str) -> None:
    fault = fault_of(data)
    assert fault and fault.startswith(f"The file is {says}") and fault.endswith(".")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a",
        b"\0",
        b"a\0,b\n",
        b"a,b\0\n",
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        b"PK,BZh,%PDF\n",
        "ÿ,é\n".encode("cp1252"),
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_may_be_csv_is_left_to_the_reader(data: bytes) -> None:
    assert fault_of(data) is None
