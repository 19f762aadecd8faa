"""Histograms of milliseconds, small enough for a row: counts of exponential buckets.

Bucket 0 to 7 are the milliseconds 0 to 7. From there on every doubling has four buckets, so that a
percentile is off by at most a fifth. Lists end with their last filled bucket, and lists of any
lengths can be added.
"""

from collections.abc import Sequence
from functools import lru_cache

#: Longest list. The last bucket holds a week and all longer times.
MAX_BUCKETS = 113

_EXACT = 8
_EXACT_BITS = 3
_BITS_IN_OCTAVE = 2
_IN_OCTAVE = 1 << _BITS_IN_OCTAVE


@lru_cache(maxsize=4096)
def bucket_of(milliseconds: int) -> int:
    """Return the bucket of a number of milliseconds. A negative one counts as 0."""
    if milliseconds < _EXACT:
        return max(milliseconds, 0)
    octave = milliseconds.bit_length() - 1
    within = (milliseconds >> (octave - _BITS_IN_OCTAVE)) & (_IN_OCTAVE - 1)
    return min(_EXACT + (octave - _EXACT_BITS) * _IN_OCTAVE + within, MAX_BUCKETS - 1)


def lowest_of(bucket: int) -> int:
    """Return the smallest number of milliseconds in ``bucket``."""
    if bucket < _EXACT:
        return bucket
    octave, within = divmod(bucket - _EXACT, _IN_OCTAVE)
    return (_IN_OCTAVE + within) << (octave + _EXACT_BITS - _BITS_IN_OCTAVE)


def add(counts: list[int], milliseconds: int) -> None:
    """Count one more value."""
    bucket = bucket_of(milliseconds)
    if bucket >= len(counts):
        counts.extend([0] * (bucket + 1 - len(counts)))
    counts[bucket] += 1


def percentile(counts: Sequence[int], percent: float) -> int | None:
    """Return the milliseconds that ``percent`` of the values do not exceed.

    It is None without values.

    Within a bucket the values are taken to lie evenly.
    """
    total = sum(counts)
    if not total:
        return None
    rank = percent / 100 * total
    below = 0
    for bucket, count in enumerate(counts):
        if count and below + count >= rank:
            low, high = lowest_of(bucket), lowest_of(bucket + 1) - 1
            return low + round((high - low) * (rank - below) / count)
        below += count
    return lowest_of(len(counts) - 1)
