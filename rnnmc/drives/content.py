"""The bytes of a drive's file, known by their digest, and as the plain text that they are."""

from __future__ import annotations

import gzip
import hashlib
import stat
import zlib
from pathlib import Path

Version = tuple[int, ...]

_digests: dict[str, tuple[Version, str]] = {}  # path -> the version of it that was last read, and its SHA-256

# What begins like this is no text. No lone byte, for a text may begin with any letter.
FORMATS = {
    b"PK\x03\x04": "a zip file or an Excel workbook; save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the table as CSV",
    b"\x93NUMPY": "a NumPy file; save it with numpy.savetxt, or as Parquet",
    b"\x89HDF": "an HDF5 or netCDF file; save the column as CSV or Parquet",
    b"ARROW1": "an Arrow file; save it as Parquet",
    b"\xfd7zXZ": "compressed by xz; unpack it, or compress it by gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it, or compress it by gzip",
    b"BZh9": "compressed by bzip2; unpack it, or compress it by gzip",
}


def digest_of(path: str) -> str:
    """SHA-256 of the file, read again whenever it may have changed. Raises ValueError where it cannot be read."""
    version = _version(path)
    if _digests.get(path, ((), ""))[0] != version:
        _digests[path] = version, hashlib.sha256(_read(path)).hexdigest()
    return _digests[path][1]


def content_of(path: str, digest: str) -> bytes:
    """The bytes of the file with this SHA-256, unpacked. Raises ValueError where they are no longer there."""
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path} has changed while it was read; run again when it is whole")
    return unpacked(content, path)


def unpacked(content: bytes, path: str) -> bytes:
    """The content, out of gzip where it is in it. Raises ValueError where that is not whole."""
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file ({error}); compress it again") from None


def plain_text(content: bytes, path: str) -> bytes:
    """UTF-8 without a byte-order mark, lines ending in a line feed. Raises ValueError for what is no text."""
    for magic, kind in FORMATS.items():
        if content.startswith(magic):
            raise ValueError(f"{path} is {kind}")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            content = content.decode("utf-16").encode()
        except UnicodeError:
            raise ValueError(f"{path} begins as UTF-16 does, and is not; save it as UTF-8") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    check_utf_8(content, path)
    if b"\0" in content:
        at = content.index(b"\0")
        raise ValueError(f"{path} has a zero at byte {at}, as UTF-16 has and no UTF-8 text; save it as UTF-8")
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in content else content


def check_utf_8(content: bytes, path: str) -> str:
    """The text. Raises ValueError where it is none."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text from byte {error.start} on; save it as UTF-8") from None


def _version(path: str) -> Version:
    """Equal for two looks at a file only if nothing was written between: a time of change cannot be set back."""
    status = _status(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _status(path: str):
    if "\0" in path or path != path.encode(errors="replace").decode():  # no file has such a name
        raise ValueError("is not a possible path; give a file, from the working directory")
    try:
        status = Path(path).stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise ValueError(f"{path} is not a regular file; give a file, from the working directory")
    return status


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> ValueError:
    return ValueError(f"{path} cannot be read ({error.strerror}); give a file, from the working directory")
