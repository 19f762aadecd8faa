"""Compressed bodies: what comes out, how much of it, and what cannot be decoded."""

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_worker.http import content_codings
from chronos_worker.http.content_codings import Undecodable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROOM = 1 << 16


def _raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "identity": bytes,
}


@given(
    body=st.binary(max_size=300),
    codings=st.lists(st.sampled_from(sorted(ENCODERS)), max_size=3),
    joint=st.sampled_from([",", ", ", " ,\t"]),
)
def test_what_was_encoded_is_decoded(body: bytes, codings: list[str], joint: str) -> None:
    encoded = body
    for coding in codings:
        encoded = ENCODERS[coding](encoded)
    declared = joint.join(coding.upper() for coding in codings)
    assert content_codings.decode(encoded, declared, max_bytes=ROOM) == (body, True)


def test_deflate_may_come_without_its_header() -> None:
    encoded = _raw_deflate(b"text")
    assert content_codings.decode(encoded, "deflate", max_bytes=ROOM) == (b"text", True)


def test_the_members_of_a_gzip_file_belong_together() -> None:
    encoded = gzip.compress(b"one ") + gzip.compress(b"two") + b"\x00\x00"
    assert content_codings.decode(encoded, "gzip", max_bytes=ROOM) == (b"one two", True)
    assert content_codings.decode(encoded, "gzip", max_bytes=5) == (b"one t", False)


def test_so_do_the_frames_of_a_zstd_file_and_those_to_be_skipped_hold_nothing() -> None:
    skipped = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"
    frames = [skipped, zstd.compress(b"one "), zstd.compress(b""), skipped, zstd.compress(b"two")]
    encoded = b"".join(frames)
    assert content_codings.decode(encoded, "zstd", max_bytes=ROOM) == (b"one two", True)
    assert content_codings.decode(encoded, "zstd", max_bytes=5) == (b"one t", False)
    assert content_codings.decode(encoded, "zstd", max_bytes=4) == (b"one ", False)
    assert content_codings.decode(encoded[:-3], "zstd", max_bytes=ROOM)[1] is False
    assert content_codings.decode(encoded + b"\x00\x00", "zstd", max_bytes=ROOM)[1] is True


@given(pieces=st.lists(st.binary(max_size=200), min_size=1, max_size=10), room=st.integers(1, 900))
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_however_a_sender_cuts_its_text_into_files_it_is_read_as_one(
    coding: str, pieces: list[bytes], room: int
) -> None:
    encoded = b"".join(map(ENCODERS[coding], pieces))
    decoded, is_whole = content_codings.decode(encoded, coding, max_bytes=room)
    whole = b"".join(pieces)
    assert decoded == whole[:room]
    assert is_whole or len(whole) >= room
    assert not is_whole or len(whole) <= room


def test_frames_that_hold_nothing_cost_little_time() -> None:
    hollow = zstd.compress(b"")
    encoded = hollow * 300 + zstd.compress(b"late")
    assert content_codings.decode(encoded, "zstd", max_bytes=ROOM) == (b"", False)


@pytest.mark.parametrize("coding", sorted(ENCODERS.keys() - {"identity"}))
def test_a_bomb_gives_no_more_than_there_is_room_for(coding: str) -> None:
    bomb = ENCODERS[coding](bytes(16 << 20))
    assert len(bomb) < 1 << 20
    decoded, is_whole = content_codings.decode(bomb[:ROOM], coding, max_bytes=ROOM)
    assert (len(decoded), is_whole) == (ROOM, False)


@pytest.mark.parametrize("coding", sorted(ENCODERS.keys() - {"identity"}))
def test_a_body_that_ends_early_gives_its_beginning(coding: str) -> None:
    encoded = ENCODERS[coding](bytes(range(256)) * 1000)[:-8]
    decoded, is_whole = content_codings.decode(encoded, coding, max_bytes=1 << 20)
    assert not is_whole
    assert (bytes(range(256)) * 1000).startswith(decoded)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ("gzip", "not gzip"),
        ("deflate", "not deflate"),
        ("br", "not br"),
        ("zstd", "not zstd"),
        ("utf-8", "unknown"),
        ("compress", "unknown"),
        ("\x00", "unknown"),
        ("gzip, gzip, gzip, gzip", "more than 3"),
    ],
)
def test_what_cannot_be_decoded_is_said_in_words(declared: str, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        content_codings.decode(b'{"plain": true}', declared, max_bytes=ROOM)


def test_a_zstd_frame_that_asks_for_much_memory_is_refused() -> None:
    large_window = {zstd.CompressionParameter.window_log: 27}
    encoded = zstd.ZstdCompressor(options=large_window).compress(bytes(1 << 20))
    with pytest.raises(Undecodable, match="zstd"):
        content_codings.decode(encoded, "zstd", max_bytes=ROOM)
