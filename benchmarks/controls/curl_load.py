"""Sends requests to a URL as fast as one thread with libcurl can, and prints how many a second.

python -m benchmarks.controls.curl_load URL SECONDS
"""

import sys
import time

import pycurl

_IN_FLIGHT = 50
_HEADERS = ["Content-Type: application/json", "X-Chronos-Attempt: 1", "webhook-id: -"]
_BODY = b'{"message": "It is time."}'


def main(url: str, seconds: float) -> float:
    """Return the requests that were answered with 200 in a second."""
    multi = pycurl.CurlMulti()
    handles = [_handle(url) for _ in range(_IN_FLIGHT)]
    for handle in handles:
        multi.add_handle(handle)
    started, done = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        multi.perform()
        _, ended, failed = multi.info_read()
        if failed:
            raise ConnectionError(failed[0][2])
        for handle in ended:
            done += handle.getinfo(pycurl.RESPONSE_CODE) == 200  # noqa: PLR2004 - HTTP's OK
            multi.remove_handle(handle)
            multi.add_handle(handle)
        if not ended:
            multi.select(0.1)
    return done / (time.monotonic() - started)


def _handle(url: str) -> "pycurl.Curl":
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.HTTPHEADER, _HEADERS)
    handle.setopt(pycurl.POSTFIELDS, _BODY)
    handle.setopt(pycurl.WRITEFUNCTION, len)
    return handle


if __name__ == "__main__":
    print(main(sys.argv[1], float(sys.argv[2])))  # noqa: T201 - its answer to who started it
