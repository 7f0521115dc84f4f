"""Headers parsed without Pillow are Pillow's, of whole files and of broken ones; what is unusual is left to Pillow."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from hapistore.errors import ImageError
from hapistore.images import ImageHeader, read_header
from hapistore.images.header import header_of, open_image
from hapistore.images.jpeg_header import jpeg_header
from hapistore.images.png_header import png_header

XMP = b'<rdf:Description tiff:Orientation="3"/>'
MARKERS = (0x00, 0x01, 0x02, 0x08, 0x12, 0x1A, 0x28, 0xC0, 0xC2, 0xD8, 0xDA, 0xDB, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFF)


def pillows(data: bytes) -> ImageHeader | str:
    """What Pillow says: a header, or the reason that there is none."""
    try:
        with open_image(data) as image:
            return header_of(image)
    except ImageError as error:
        return error.reason


def encode(kind: str, *, mode: str = "RGB", **options) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((31, 20)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int | None, endian: str) -> Image.Exif:
    """A directory as cameras write it."""
    block = Image.Exif()
    block.endian = endian
    block[0x010F] = "a maker of cameras"
    block[0x011A] = 72.0
    block[0x0128] = 2
    if orientation is not None:
        block[0x0112] = orientation
    return block


USUAL_JPEGS = {
    **{f"orientation {o} {e}": {"exif": exif(o, e)} for o in (0, 1, 3, 6, 8, 9, None) for e in "<>"},
    "progressive": {"progressive": True, "optimize": True},
    "profile": {"icc_profile": bytes(100_000)},
    "comment": {"comment": b"taken by hand"},
    "EXIF over XMP": {"exif": exif(6, "<"), "xmp": XMP},
    "XMP without orientation": {"xmp": b"<x/>"},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
    "restarts": {"restart_marker_blocks": 2},
}
ODD_JPEGS = {
    "orientation in XMP": encode("JPEG", xmp=XMP),
    "several pictures": encode("MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
    "EXIF of nothing": encode("JPEG", exif=b"Exif\0\0"),
    "EXIF of noise": encode("JPEG", exif=b"Exif\0\0" + bytes(range(200))),
    "filled markers": encode("JPEG").replace(b"\xff\xdb", b"\xff\xff\xdb", 1),
    "no scan": encode("JPEG").partition(b"\xff\xda")[0],
    "a PNG": encode("PNG"),
    "nothing": b"",
}


@pytest.mark.parametrize("name", USUAL_JPEGS)
def test_a_usual_jpeg_is_read_without_pillow_and_as_pillow_reads_it(name):
    data = encode("JPEG", **USUAL_JPEGS[name])
    assert jpeg_header(data) == pillows(data) == jpeg_header(memoryview(data)) == read_header(data)
    assert (jpeg_header(data).width, jpeg_header(data).height, jpeg_header(data).format) == (31, 20, "JPEG")


@pytest.mark.parametrize("name", ODD_JPEGS)
def test_an_odd_jpeg_is_left_to_pillow(name):
    assert jpeg_header(ODD_JPEGS[name]) is None


def test_orientations_are_found():
    for orientation in range(1, 9):
        for endian in "<>":
            assert jpeg_header(encode("JPEG", exif=exif(orientation, endian))).orientation == orientation
    assert read_header(ODD_JPEGS["orientation in XMP"]).orientation == 3


def test_real_photographs_are_read_without_pillow(imagenet, photographs):
    for path, _ in imagenet:
        data = path.read_bytes()
        assert jpeg_header(data) == pillows(data)
    for path in photographs[:40]:
        data = path.read_bytes()
        assert png_header(data) == pillows(data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_a_usual_png_is_read_without_pillow(mode):
    image = Image.new(mode, (31, 20))
    for options in ({}, {"dpi": (72, 72)}, {"transparency": 0} if mode in ("L", "P") else {"optimize": True}):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", **options)
        assert png_header(buffer.getvalue()) == pillows(buffer.getvalue())
        assert png_header(buffer.getvalue()).width == 31


def test_what_may_turn_a_png_is_left_to_pillow():
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    for options in ({"exif": exif(6, "<")}, {"pnginfo": texts}):
        data = encode("PNG", **options)
        assert png_header(data) is None
        assert read_header(data).orientation == pillows(data).orientation != 1
    named_exif = PngImagePlugin.PngInfo()
    named_exif.add_text("exif", "MM\0*")
    assert png_header(encode("PNG", pnginfo=named_exif)) is None


def test_a_limit_holds_for_usual_files_too():
    frame = encode("JPEG")
    place = frame.index(b"\xff\xc0") + 5
    data = frame[:place] + struct.pack(">HH", 65_000, 65_000) + frame[place + 4 :]
    assert jpeg_header(data).width == 65_000
    with pytest.raises(ImageError, match="pixels"):
        read_header(data)


def mutated(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    for what, place, value in changes:
        at = place % max(1, len(data))
        if what == "set":
            data = data[:at] + bytes([value]) + data[at + 1 :]
        elif what == "insert":
            data = data[:at] + data[value : value + 20] + data[at:]
        elif what == "delete":
            data = data[:at] + data[at + 1 + value % 8 :]
        else:
            data = data[: len(data) - at]
    return data


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "insert", "delete", "cut"]),
        st.one_of(st.integers(0, 200), st.integers(0, 2000)),
        st.one_of(st.sampled_from(MARKERS), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=4,
)
BASES = [encode("JPEG", **options) for options in USUAL_JPEGS.values() if "icc_profile" not in options]
PNG_BASES = [encode("PNG", mode=mode) for mode in ("L", "P", "RGB", "I;16")] + [encode("PNG", exif=exif(6, ">"))]


def agrees(found: ImageHeader | None, data: bytes) -> None:
    """A header that was found is Pillow's, even where a remark of Pillow's would be an error."""
    if found is None or found.width * found.height > 40_000_000:
        return
    for remarks in ("ignore", "error"):
        with warnings.catch_warnings():
            warnings.simplefilter(remarks)
            assert found == pillows(data)


@given(base=st.sampled_from([*BASES, *(data for data in ODD_JPEGS.values() if data)]), changes=CHANGES)
@settings(max_examples=1500)
def test_a_broken_jpeg_is_read_as_pillow_reads_it_or_left_to_it(base, changes):
    data = mutated(base, changes)
    agrees(jpeg_header(data), data)


@given(base=st.sampled_from(PNG_BASES), changes=CHANGES, mended=st.booleans())
@settings(max_examples=800)
def test_a_broken_png_is_read_as_pillow_reads_it_or_left_to_it(base, changes, mended):
    data = mutated(base, changes)
    data = with_checksums(data) if mended else data
    agrees(png_header(data), data)


def with_checksums(data: bytes) -> bytes:
    """The same chunks with true checksums, so that mutations reach what they guard."""
    whole, position = bytearray(data), 8
    while position + 12 <= len(whole):
        length = int.from_bytes(whole[position : position + 4], "big")
        end = position + 8 + length
        if end + 4 > len(whole):
            break
        whole[end : end + 4] = zlib.crc32(bytes(whole[position + 4 : end])).to_bytes(4, "big")
        position = end + 4
    return bytes(whole)
