"""Where a request ends in the bytes of a connection, so that it is read before a thread has it.

gunicorn's parser reads the bytes from memory afterwards, and decides about their meaning.
"""

import io
import re
from http import HTTPStatus
from typing import Any, Final

from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader

MAX_LINE: Final = 8190
MAX_FIELDS: Final = 100
#: Longer heads are refused. Browsers send a few kilobytes.
MAX_HEAD: Final = 64 << 10
#: A body of the smallest possible chunks takes a second of work for each megabyte.
MAX_CHUNKS: Final = 20_000

_END: Final = b"\r\n\r\n"
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_FIELD: Final = re.compile(
    rb"\r\n(content-length|transfer-encoding|expect)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE
)
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE: Final = re.compile(rb"[0-9a-fA-F]+")


class Refused(Exception):
    """A request that is not read to its end: the status and the reason for its client."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class RequestBuffer:
    """The bytes of one request so far. Those of the next one may follow.

    A request that breaks HTTP's rules counts as complete, because the parser has the error for it.
    """

    def __init__(self, max_body: int) -> None:
        self.data = bytearray()
        self.is_complete = False
        self.wants_continue = False
        self._max_body = max_body
        self._body: int | None = None
        self._end: int | None = None
        self._chunks = 0
        self._chunk = 0
        self._content = 0

    def add(self, data: bytes) -> None:
        """Append bytes as they came. Raises :class:`Refused`."""
        searched = max(0, len(self.data) - len(_END) + 1)
        self.data += data
        if self._body is None:
            self._find_head(searched)
        if self._body is None or self.is_complete:
            return
        if self._end is None:
            self._follow_chunks()
        else:
            self.is_complete = len(self.data) >= self._end

    def _find_head(self, searched: int) -> None:
        end = self.data.find(_END, searched)
        head = len(self.data) if end < 0 else end + len(_END)
        if _BARE_LF.search(self.data, max(0, searched - 1), head):
            self.is_complete = True
        elif head > MAX_HEAD:
            raise _too_long(self.data)
        elif end >= 0:
            self._body = head
            self._read_head(bytes(self.data[:head]))

    def _read_head(self, head: bytes) -> None:
        fields = {name.lower(): value.strip(b" \t") for name, value in _FIELD.findall(head)}
        length = fields.get(b"content-length", b"0")
        coding = fields.get(b"transfer-encoding", b"").lower()
        is_chunked = coding.endswith(b"chunked") and b"content-length" not in fields
        is_known = is_chunked or (not coding and _DIGITS.fullmatch(length))
        if not is_known:
            self.is_complete = True
            return
        if int(length) > self._max_body:
            raise self._too_large()
        self.wants_continue = fields.get(b"expect", b"").lower() == b"100-continue"
        self._chunk = len(head)
        if not is_chunked:
            self._end = len(head) + int(length)

    def _follow_chunks(self) -> None:
        """Find the end of a chunked body, which follows its last chunk (RFC 9112, section 7.1)."""
        while not self.is_complete:
            end = self.data.find(b"\r\n", self._chunk)
            if end < 0:
                self.is_complete = len(self.data) - self._chunk > MAX_LINE
                return
            size = self.data[self._chunk : end].partition(b";")[0].rstrip(b" \t")
            if not _CHUNK_SIZE.fullmatch(size):
                self.is_complete = True
            elif not int(size, 16):
                trailer = len(self.data) - end
                self.is_complete = self.data.find(_END, end) >= 0 or trailer > MAX_HEAD
                return
            else:
                self._pass_chunk(end + 2, int(size, 16))

    def _pass_chunk(self, start: int, size: int) -> None:
        self._chunks += 1
        self._content += size
        if self._chunks > MAX_CHUNKS:
            raise Refused(
                HTTPStatus.BAD_REQUEST,
                f"The body has more than {MAX_CHUNKS} chunks; send larger ones.",
            )
        if self._content > self._max_body:
            raise self._too_large()
        self._chunk = start + size + 2

    def _too_large(self) -> Refused:
        return Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body may have at most {self._max_body} bytes.",
        )


def _too_long(data: bytearray) -> Refused:
    if b"\r\n" not in data[: MAX_LINE + 2]:
        return Refused(
            HTTPStatus.REQUEST_URI_TOO_LONG,
            f"The request line is longer than {MAX_LINE} bytes; make it shorter.",
        )
    return Refused(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"The header fields are longer than {MAX_HEAD} bytes; send fewer.",
    )


class _Received(io.BytesIO):
    """The bytes of a request, in the place of the socket that they came from."""

    recv = io.BytesIO.read


class _Request(Request):  # type: ignore[misc] # it has no types of its own
    """A request whose chunks are put together before the application starts.

    So a wrong one is an error of the client, and never one of the application that reads it.
    """

    body: Body

    # The loop that reads the body has answered the expectation already.
    _policy_expect_continue = False

    def set_body_reader(self) -> None:
        """Find the body, and read it whole if it has chunks."""
        super().set_body_reader()
        if isinstance(self.body.reader, ChunkedReader):
            content = self.body.read()
            source = SocketUnreader(_Received(content))
            self.body = Body(LengthReader(source, len(content)))


class MemoryParser(RequestParser):  # type: ignore[misc] # it has no types of its own
    """Reads one request from memory. Its errors are gunicorn's, those of the body included."""

    mesg_class = _Request

    def __init__(self, cfg: Any, data: bytes, client: Any) -> None:
        self._received = _Received(data)
        super().__init__(cfg, self._received, client)

    def rest(self) -> bytes:
        """Return the bytes after this request: the beginning of the next one."""
        return bytes(self.unreader.take_buffered()) + self._received.read()
