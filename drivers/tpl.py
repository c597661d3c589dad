"""TPL images: typed values packed behind a format string. How TI's and InnoSpectra's handhelds serialise their data.

74 70 6c | FF | LL LL LL LL | format, 00 | NN NN NN NN a # in the format | values, packed
F  flags: bit 0 = big-endian, which none of the known firmware sends; the others are unused
L  length of the whole image, little-endian
format  c u8, v u16, j s16, u u32, i s32, f f64; S(...) and $(...) group; # repeats what stands before it N times
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from drivers.errors import WireError

MAGIC = b"tpl"
HEAD = struct.Struct("<3sBI")
COUNT = struct.Struct("<I")
BIG_ENDIAN = 1
MAX_FORMAT_BYTES = 64  # the longest known, of a scan, has 43; bounds the search for its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image: its format, the repetitions for each #, and the packed values, not yet understood."""

    format: str
    counts: tuple[int, ...]
    values: bytes


def read_image(buffer: bytes) -> Image:
    """Take the image at the front of `buffer` apart; what follows it is ignored. Raises WireError."""
    if len(buffer) < HEAD.size:
        raise WireError(f"a TPL image of {len(buffer)} bytes, shorter than its head", received=buffer)
    magic, flags, size = HEAD.unpack_from(buffer)
    if magic != MAGIC:
        raise WireError("no TPL image: it does not begin with 'tpl'", received=buffer)
    if flags:
        order = "is big-endian" if flags & BIG_ENDIAN else f"has unknown flags {flags:#04x}"
        raise WireError(f"the TPL image {order}", received=buffer)
    if not HEAD.size < size <= len(buffer):
        raise WireError(f"a TPL image of {size} bytes in a transfer of {len(buffer)}", received=buffer)
    end = buffer.find(b"\0", HEAD.size, min(size, HEAD.size + MAX_FORMAT_BYTES))
    if end < 0:
        raise WireError(f"no end of the TPL format within {MAX_FORMAT_BYTES} bytes", received=buffer)
    text = buffer[HEAD.size : end]
    if not (text.isascii() and text.decode("ascii").isprintable()):
        raise WireError("the TPL format is not text", received=buffer)
    start = end + 1 + COUNT.size * text.count(b"#")
    if start > size:
        raise WireError(f"a TPL image of {size} bytes ends before its values", received=buffer)
    counts = tuple(count for (count,) in COUNT.iter_unpack(buffer[end + 1 : start]))
    return Image(format=text.decode("ascii"), counts=counts, values=buffer[start:size])


def write_image(image: Image) -> bytes:
    """Return the image's bytes, the reverse of `read_image`."""
    text = image.format.encode("ascii") + b"\0"
    counts = b"".join(COUNT.pack(count) for count in image.counts)
    size = HEAD.size + len(text) + len(counts) + len(image.values)
    return HEAD.pack(MAGIC, 0, size) + text + counts + image.values
