"""Image formats that hapistore knows by their first bytes and does not read, so that it can say so.

Their decoders start other programs (EPS), are not kept safe for untrusted input, or are not in Pillow. limits.py
lists what is read.
"""

from __future__ import annotations

# Offset of the signature, the signature, the format's name.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%!PS", "EPS"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"%PDF-", "PDF"),
    (0, b"8BPS", "PSD"),
    (0, b"DDS ", "DDS"),
    (0, b"BLP1", "BLP"),
    (0, b"BLP2", "BLP"),
    (0, b"icns", "ICNS"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"\0\0\2\0", "CUR"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"qoif", "QOI"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"\x01\xda\0", "SGI"),
    (0, b"\x01\xda\1", "SGI"),
    (0, b"\x59\xa6\x6a\x95", "Sun raster"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF"),
    (0, b"/* XPM */", "XPM"),
    (4, b"\x11\xaf", "FLI"),
    (4, b"\x12\xaf", "FLC"),
    (40, b" EMF", "EMF"),
    (128, b"DICM", "DICOM"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def foreign_format(data: bytes | memoryview) -> str | None:
    """The name of the image format that the bytes seem to be of, where it is one that hapistore does not read."""
    head = bytes(data[:1024])
    for offset, signature, name in _SIGNATURES:
        if head.startswith(signature, offset):
            return name
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "HEIF"
    return "SVG" if b"<svg" in head else None
