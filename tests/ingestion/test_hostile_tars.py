"""Tars that lie: one line, no memory taken, nothing written."""

from __future__ import annotations

import gzip
import io
import pickle
import resource
import tarfile

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hapistore.errors import HapistoreError, UsageError
from hapistore.ingestion import ingest, webdataset


def tar_of(*members: tarfile.TarInfo | tuple[str, bytes], end: bool = True) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
        stop = tar.offset
    return file.getvalue() if end else file.getvalue()[:stop]


def entry(name: str, kind: bytes = tarfile.REGTYPE, *, size: int = 0, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return info


@pytest.fixture
def source(tmp_path):
    def write(data: bytes, name: str = "a.tar"):
        (tmp_path / name).write_bytes(data)
        return webdataset(tmp_path / name)

    return write


def test_names_are_only_keys(source, picture, kept, tmp_path):
    names = ["../../up", "/etc/passwd", "a/../../b", "C:\\x"]
    records = kept(source(tar_of(*((name + ".png", picture(0)) for name in names))))
    assert sorted(records) == sorted(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "store"]


def test_names_that_are_no_keys(source, picture, listed):
    names = ["ok", "new\nline", "\x1b[31m", "x" * 5000, "bell\x07", "\udcff"]
    found = listed(source(tar_of(*((name + ".png", picture(0)) for name in names))))
    assert found.annotations["key"].to_pylist() == ["ok"]
    assert found.ignored == {
        "members whose names are with control characters": 3,
        "members whose names are longer than 4096 bytes": 1,
        "members whose names are not UTF-8": 1,
    }


def test_links_and_devices_are_passed_over(source, picture, listed):
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    links = [entry(f"l{number}.png", kind, target="/etc/passwd") for number, kind in enumerate(kinds)]
    found = listed(source(tar_of(entry("folder", tarfile.DIRTYPE), *links, ("a.png", picture(0)))))
    assert found.annotations["key"].to_pylist() == ["a"]
    assert found.ignored == {"links, devices and folders": 6}


def test_a_pickle_is_never_read(source, picture, listed, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "proof"), "w")

    data = tar_of(
        ("a.png", picture(0)), *((f"a.{end}", pickle.dumps(Evil())) for end in ("pyd", "pickle", "pkl", "pth"))
    )
    assert listed(source(data)).annotations["key"].to_pylist() == ["a"]
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("end", [100, 700, 1200, 1536])
def test_a_tar_that_was_cut(source, picture, listed, store, end):
    data = tar_of(("a.png", picture(0)), ("b.png", picture(1)), end=False)
    assert len(data) == 2048
    with pytest.raises(HapistoreError, match=r"a\.tar is cut off: it ends within .* at byte \d+; fetch it again"):
        ingest(store, "d", source(data[:end]))
    assert not list(store.list("datasets/"))
    with pytest.raises(HapistoreError, match="begins at byte 2048"):
        listed(source(data))


@pytest.mark.parametrize(("name", "pack"), [("a.tar.gz", gzip.compress), ("a.tar.zst", zstandard.compress)])
def test_a_packed_tar_that_was_cut_or_changed(source, photographs, listed, name, pack):
    data = pack(tar_of(("a.png", photographs[0].read_bytes()), ("b.png", photographs[1].read_bytes())))
    with pytest.raises(HapistoreError, match=r"a\.tar\.\w+ is cut off"):
        listed(source(data[: len(data) // 2], name))
    with pytest.raises(HapistoreError, match=r"a\.tar\.\w+( is cut off or damaged|: no tar header)"):
        listed(source(b"x" * 600 + data[600:], name))


def test_a_member_that_claims_more_than_there_is(source, picture, listed):
    data = bytearray(tar_of(("a.png", picture(0))))
    lie = entry("a.png", size=8**11 - 1).tobuf(tarfile.USTAR_FORMAT)
    data[:512] = lie
    with pytest.raises(HapistoreError, match="is cut off: it ends within a member's bytes"):
        listed(source(bytes(data)))
    with pytest.raises(HapistoreError, match="is cut off"):
        listed(source(gzip.compress(bytes(data)), "b.tar.gz"))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_an_extended_header_that_would_fill_memory(source, listed, kind):
    bomb = entry("x", kind, size=8 << 30).tobuf(tarfile.GNU_FORMAT) + bytes(4 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(HapistoreError, match="an extended header at byte 512 claims 8589934592 bytes"):
        listed(source(gzip.compress(bomb), "a.tar.gz"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_negative_size(source, listed):
    with pytest.raises(HapistoreError, match="claims -512 bytes"):
        listed(source(entry("a.png", size=-512).tobuf(tarfile.GNU_FORMAT) + bytes(2048)))


@pytest.mark.parametrize("said", [b"-1", b"9" * 30, b"1e3", "٣".encode()])
def test_a_size_in_an_extended_header_that_is_none(source, picture, listed, said):
    record = b"size=" + said + b"\n"
    record = str(len(record) + 3).encode() + b" " + record
    header = entry("x", tarfile.XHDTYPE, size=len(record)).tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(HapistoreError, match="claims .* bytes"):
        listed(source(header + record.ljust(512, b"\0") + tar_of(("a.png", picture(0)))))


def test_a_bomb_of_one_image(source, picture, store):
    """A member beyond the limit is unpacked and dropped piece by piece."""
    size = (1 << 30) + 512
    header = entry("bomb.png", size=size).tobuf(tarfile.USTAR_FORMAT)
    file = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as writer:
        writer.write(header)
        for _ in range(1 << 10):
            writer.write(bytes(1 << 20))
        writer.write(bytes(512) + tar_of(("a.png", picture(0))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = ingest(store, "d", source(file.getvalue(), "a.tar.zst"))
    assert (result.images, [image.reason for image in result.quarantined]) == (1, ["too-large"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_frame_that_wants_gigabytes(source, listed):
    data = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    ).compressobj()
    packed = data.compress(bytes(1024)) + data.flush()
    with pytest.raises(HapistoreError, match="cannot be unpacked beyond byte 0"):
        listed(source(packed, "a.tar.zst"))


def test_a_sample_of_too_many_members(source, picture, listed):
    data = tar_of(("a.png", picture(0)), *((f"a.{number}", b"") for number in range(1001)))
    with pytest.raises(UsageError, match="sample 'a' has more than 1000 members"):
        listed(source(data))


def test_extensions_without_end_are_counted_together(source, picture, listed):
    data = tar_of(
        *((f"{n}.{end}", picture(0) if end == "png" else b"") for n in range(200) for end in ("png", f"x{n}"))
    )
    found = listed(source(data))
    assert len(found.ignored) <= 51 and sum(found.ignored.values()) == 200


@pytest.mark.parametrize("value", ['{"a" : ' * 60 + "1" + "}" * 60, "[" * 60 + "]" * 60])
def test_json_that_nests_deeper_than_arrow_reads(source, picture, listed, value):
    with pytest.raises(UsageError, match="deep"):
        listed(source(tar_of(("a.png", picture(0)), ("a.json", b'{"x": ' + value.encode() + b"}"))))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('{"dropped": true}', "'dropped', which hapistore uses itself"),
        ('{"": 1}', "without a usable name"),
        ('{"n": 100000000000000000000000}', "record 'a': n is 1000"),
        ('{"label": {"x": 1}}', "label is of type struct"),
        ('{"subset": "both"}', "subset is 'both'"),
        ('{"s": "\\ud800"}', "record 'a': s is a str"),
    ],
)
def test_json_that_says_what_cannot_be_kept(source, picture, listed, said, message):
    with pytest.raises(UsageError) as caught:
        listed(source(tar_of(("a.png", picture(0)), ("a.json", said.encode()))))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_text_that_is_too_long(source, picture, store):
    data = tar_of(("a.png", picture(0)), ("a.txt", bytes((16 << 20) + 1)), ("b.png", picture(1)))
    result = ingest(store, "d", source(gzip.compress(data), "a.tar.gz"))
    assert (result.images, result.quarantined[0].reason) == (1, "bad-metadata")
    assert result.quarantined[0].detail == "a.txt has 16777217 bytes, expected at most 16777216"


@given(st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_an_error_of_ours_or_none(source, picture, data):
    good = tar_of(("a.png", picture(0)), ("a.json", b'{"n": [1, {"x": 2}], "label": "y"}'), ("L" * 150 + ".png", b"x"))
    changed = bytearray(good[:4096])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        chunks = list(source(bytes(changed) + good[4096:]).listing().chunks)
    except HapistoreError:
        return  # anything else fails
    assert all(chunk.annotations.num_rows == len(chunk.images) for chunk in chunks)


def test_no_tar_at_all(source, listed):
    with pytest.raises(HapistoreError, match="no tar header at byte 0"):
        listed(source(b"x" * 4096))
    with pytest.raises(UsageError, match="has no samples with an image"):
        listed(source(tar_of()))
