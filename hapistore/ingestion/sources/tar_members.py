"""A tar read once, from its start, without believing it: headers, names and where each member's bytes lie.

``tarfile`` reads extended headers of any size into memory, and says nothing of an archive that ends early; of it only
the parser of one header is used.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from typing import BinaryIO

import zstandard

from ...errors import HapistoreError

_BLOCK = 512
_LONGEST_EXTENSION = 1 << 20  # bytes of a pax header or a long name
_SKIP_BYTES = 1 << 20
_WINDOW_BYTES = 128 << 20  # of zstd: what its `--long` uses
_LONG_NAME, _LONG_LINK, _PAX, _PAX_OF_ALL = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"x", b"g"
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_WITHOUT_BYTES = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
EXTENSIONS = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.zstd")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One entry of a tar.

    Attributes:
        name: as written, any bytes that are no UTF-8 as surrogates.
        is_file: whether it is an ordinary file, and no link, device or folder.
        start, size: of its bytes, in the archive (unpacked).
    """

    name: str
    is_file: bool
    start: int
    size: int


class TarReader:
    """Members in order; the bytes of the current one can be read.

    Args:
        file: the archive, unpacked, open for reading in order. If it can seek, what is passed over is not read.
        where: its name, for errors.

    Raises:
        HapistoreError: when it is found to be cut off, or no tar; names file and byte.
    """

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file, self.where = file, where
        self._at = 0
        self._can_seek = file.seekable() and not isinstance(file, GzipFile)  # which seeks by reading

    def __iter__(self) -> Iterator[Member]:
        extended: dict[str, str] = {}
        while (header := self._header()) is not None:
            start = self._at
            if header.type in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_OF_ALL):
                extended |= self._extension(header)
                self._skip_to(start + _blocks(header.size))
                continue
            size = self._size(extended.get("size"), header.size)
            name = extended.get("path", header.name)
            sparse = header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in extended)
            stored = 0 if header.type in _WITHOUT_BYTES else size
            yield Member(name=name, is_file=header.type in _FILES and not sparse, start=start, size=stored)
            extended = {}
            self._skip_to(start + _blocks(stored))

    def read(self, member: Member) -> bytes:
        """Bytes of the current member, all of them: check its size first."""
        return self._exactly(member.size, f"member {member.name!r:.200}")

    def _header(self) -> tarfile.TarInfo | None:
        at = self._at
        block = self._exactly(_BLOCK, "the next member's header (an archive ends in zeros)")
        if not any(block):
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise HapistoreError(f"{self.where}: no tar header at byte {at}: {error}") from error
        if header.size < 0:
            raise HapistoreError(f"{self.where}: the member at byte {at} claims {header.size} bytes")
        return header

    def _extension(self, header: tarfile.TarInfo) -> dict[str, str]:
        """What a header says of the next member; of all further ones (``g``) only their content would count."""
        if header.size > _LONGEST_EXTENSION:
            raise HapistoreError(
                f"{self.where}: an extended header at byte {self._at} claims {header.size} bytes, "
                f"expected at most {_LONGEST_EXTENSION}"
            )
        data = self._exactly(header.size, "an extended header")
        if header.type == _LONG_NAME:
            return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
        return _parse_pax(data) if header.type == _PAX else {}

    def _size(self, said: str | None, otherwise: int) -> int:
        if said is None:
            return otherwise
        if not (said.isascii() and said.isdigit() and len(said) < 20):
            raise HapistoreError(f"{self.where}: a member before byte {self._at} claims {said!r:.80} bytes")
        return int(said)

    def _exactly(self, size: int, what: str) -> bytes:
        began, parts = self._at, []
        while size:
            part = self._read(min(size, _SKIP_BYTES), began, what)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _skip_to(self, position: int) -> None:
        began = self._at
        if position > began + _BLOCK and self._can_seek:
            # The byte before: a file can be positioned behind its end, and not be read there.
            self._at = self._file.seek(position - 1)
        while self._at < position:
            self._read(min(position - self._at, _SKIP_BYTES), began, "a member's bytes")

    def _read(self, size: int, began: int, what: str) -> bytes:
        try:
            part = self._file.read(size)
        except (EOFError, BadGzipFile, zlib.error, zstandard.ZstdError) as error:
            raise HapistoreError(
                f"{self.where} is cut off or damaged: it cannot be unpacked beyond byte {self._at}: {error}"
            ) from error
        if not part:
            raise HapistoreError(
                f"{self.where} is cut off: it ends within {what}, which begins at byte {began}; fetch it again"
            )
        self._at += len(part)
        return part


def unpack(file: BinaryIO, name: str) -> BinaryIO:
    """The bytes of a file that is packed as its name says, unpacked while they are read."""
    if name.endswith((".gz", ".tgz")):
        return GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]
    if name.endswith((".zst", ".zstd")):
        # Of frames that want more memory than this, zstd says so.
        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
        reader = decompressor.stream_reader(file, read_across_frames=True)
        return io.BufferedReader(_Forward(reader), _SKIP_BYTES)
    return file


class _Forward(io.RawIOBase):
    """zstandard's reader as a file that cannot seek: its own seeking only goes forward."""

    def __init__(self, reader: zstandard.ZstdDecompressionReader) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # noqa: UP037
        return self._reader.readinto(buffer)


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _parse_pax(data: bytes) -> dict[str, str]:
    """``17 path=some/name\\n`` and so on; what is not of this form ends it."""
    found = {}
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or len(length) > 7 or not 0 < int(length) <= len(data):
            break
        record, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
        key, _, value = record.partition(b"=")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
    return found
