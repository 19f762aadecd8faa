"""Explains why a name is no time zone, and suggests the zone that was meant.

A zone is suggested only for another name of it, or for its name with a typing error. A name that
only looks alike may be hours off: ``GMT+2`` is not ``Etc/GMT+2``, which lies behind UTC.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

from chronos_common.domain.timezones import files

_REMEDY = "use an IANA name like 'Europe/Berlin' or 'UTC'"
_LONGEST_NAME = 64

#: Areas whose second part is a place.
_AREAS = frozenset(
    {
        *("Africa", "America", "Antarctica", "Arctic", "Asia"),
        *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
    }
)

_AREA_AND_CITY = 2

#: Older names of zones of Australia, which are no cities.
_STATES = frozenset(
    {"ACT", "LHI", "NSW", "North", "Queensland", "South", "Tasmania", "Victoria", "West"}
)

#: Shorter names are too similar to each other for a suggestion.
_SHORTEST_WITH_SLIP = 5

_OFFSET = re.compile(
    r"((?P<etc>etc/gmt)|utc|gmt)? ?(?P<sign>[+\-\u2212]) ?(?P<hours>\d{1,2}):?(?P<minutes>\d\d)?"
)
_FIXED = re.compile(r"(etc/)?(gmt|utc)[+\-]?\d+")
_FURTHEST_WEST, _FURTHEST_EAST = -12, 14

#: Zones by their names in Windows, without "Standard Time".
_WINDOWS = """
    AUS Central = Australia/Darwin          | AUS Eastern = Australia/Sydney
    Afghanistan = Asia/Kabul                | Alaskan = America/Anchorage
    Arab = Asia/Riyadh                      | Arabian = Asia/Dubai
    Arabic = Asia/Baghdad                   | Argentina = America/Argentina/Buenos_Aires
    Atlantic = America/Halifax              | Azerbaijan = Asia/Baku
    Azores = Atlantic/Azores                | Bangladesh = Asia/Dhaka
    Canada Central = America/Regina         | Cape Verde = Atlantic/Cape_Verde
    Caucasus = Asia/Yerevan                 | Cen. Australia = Australia/Adelaide
    Central = America/Chicago               | Central Europe = Europe/Budapest
    Central European = Europe/Warsaw        | China = Asia/Shanghai
    E. Africa = Africa/Nairobi              | E. Australia = Australia/Brisbane
    E. Europe = Europe/Chisinau             | E. South America = America/Sao_Paulo
    Eastern = America/New_York              | Egypt = Africa/Cairo
    FLE = Europe/Kyiv                       | Fiji = Pacific/Fiji
    GMT = Europe/London                     | GTB = Europe/Bucharest
    Georgian = Asia/Tbilisi                 | Greenwich = Atlantic/Reykjavik
    Hawaiian = Pacific/Honolulu             | India = Asia/Kolkata
    Iran = Asia/Tehran                      | Israel = Asia/Jerusalem
    Jordan = Asia/Amman                     | Korea = Asia/Seoul
    Middle East = Asia/Beirut               | Montevideo = America/Montevideo
    Morocco = Africa/Casablanca             | Mountain = America/Denver
    Myanmar = Asia/Yangon                   | Nepal = Asia/Kathmandu
    New Zealand = Pacific/Auckland          | Newfoundland = America/St_Johns
    Pacific = America/Los_Angeles           | Pacific SA = America/Santiago
    Pakistan = Asia/Karachi                 | Romance = Europe/Paris
    Russian = Europe/Moscow                 | SA Eastern = America/Cayenne
    SA Pacific = America/Bogota             | SA Western = America/La_Paz
    SE Asia = Asia/Bangkok                  | Samoa = Pacific/Apia
    Singapore = Asia/Singapore              | South Africa = Africa/Johannesburg
    Sri Lanka = Asia/Colombo                | Syria = Asia/Damascus
    Taipei = Asia/Taipei                    | Tasmania = Australia/Hobart
    Tokyo = Asia/Tokyo                      | Tonga = Pacific/Tongatapu
    Turkey = Europe/Istanbul                | US Mountain = America/Phoenix
    Venezuela = America/Caracas             | Vladivostok = Asia/Vladivostok
    W. Australia = Australia/Perth          | W. Central Africa = Africa/Lagos
    W. Europe = Europe/Berlin               | West Asia = Asia/Tashkent
    West Pacific = Pacific/Port_Moresby
"""
_WINDOWS_ENDING = re.compile(r" (standard|daylight|summer) time$")

#: Abbreviations that are no zones, and who uses them.
_ABBREVIATIONS = """
    ADT = America/Halifax | AEDT = Australia/Sydney | AEST = Australia/Sydney
    AKDT = America/Anchorage | AKST = America/Anchorage | AWST = Australia/Perth
    ACST = Australia/Adelaide | ACDT = Australia/Adelaide
    AST = America/Halifax, Asia/Riyadh | BST = Europe/London, Asia/Dhaka
    CAT = Africa/Maputo | CDT = America/Chicago, America/Havana
    CEST = Europe/Berlin | CST = America/Chicago, Asia/Shanghai, America/Havana
    EAT = Africa/Nairobi | ECT = America/Guayaquil, Europe/Paris
    EDT = America/New_York | EEST = Europe/Athens | GST = Asia/Dubai, Atlantic/South_Georgia
    HKT = Asia/Hong_Kong | IDT = Asia/Jerusalem
    IST = Asia/Kolkata, Europe/Dublin, Asia/Jerusalem | JST = Asia/Tokyo
    KST = Asia/Seoul | MDT = America/Denver | MSK = Europe/Moscow
    NST = America/St_Johns | NDT = America/St_Johns | NZDT = Pacific/Auckland
    NZST = Pacific/Auckland | PDT = America/Los_Angeles
    PKT = Asia/Karachi | PST = America/Los_Angeles, Asia/Manila | SAST = Africa/Johannesburg
    SGT = Asia/Singapore | SST = Pacific/Pago_Pago, Asia/Singapore | WAT = Africa/Lagos
    WIB = Asia/Jakarta
"""


def fault(name: str) -> str:
    """Return the fault of ``name``, which is no zone, with the remedy."""
    if len(name) > _LONGEST_NAME:
        return f"Not a time zone; {_REMEDY}."
    said = " ".join(name.lower().split())
    for explain in (_offset, _abbreviation):
        found = explain(said)
        if found:
            return f"{name!r} {found}"
    meant = _meant(said)
    if meant:
        return f"{name!r} is not a time zone; did you mean {meant!r}?"
    return f"{name!r} is not a time zone; {_REMEDY}."


def _offset(said: str) -> str | None:
    """Explain a fixed offset, for which names have the sign of POSIX."""
    parts = _OFFSET.fullmatch("+0" if said in {"z", "utc0", "gmt0"} else said)
    if parts is None:
        return None
    hours, minutes = int(parts["hours"]), int(parts["minutes"] or 0)
    # The names of the area Etc count westwards.
    east = (parts["sign"] == "+") is not bool(parts["etc"])
    if not hours and not minutes:
        return "is not a time zone but an offset; use 'UTC'."
    signed = hours if east else -hours
    shown = f"UTC{'+' if east else '-'}{hours}" + (f":{minutes:02}" if minutes else "")
    if minutes or not _FURTHEST_WEST <= signed <= _FURTHEST_EAST:
        return (
            f"is not a time zone but an offset, and no zone always has {shown}; "
            "name the region whose clock you mean."
        )
    zone = f"Etc/GMT{-signed:+}"
    return (
        f"is not a time zone but an offset; use {zone!r} for {shown} all year round (the sign in "
        "these names is reversed), or name the region whose clock you mean."
    )


def _abbreviation(said: str) -> str | None:
    zones = _table(_ABBREVIATIONS).get(said)
    if zones is None:
        return None
    regions = [repr(each) for each in zones.split(", ")]
    if len(regions) == 1:
        return (
            f"is not a time zone but an abbreviation; name a region that uses it, as {regions[0]}."
        )
    return (
        "is not a time zone but an abbreviation with several meanings; name the region that you "
        f"mean: {', '.join(regions[:-1])} or {regions[-1]}."
    )


@lru_cache(maxsize=4)
def _table(text: str) -> Mapping[str, str]:
    pairs = [pair.split("=") for pair in re.split(r"\n|\|", text) if pair.strip()]
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _meant(said: str) -> str | None:
    """Return the zone that Windows, a city or a name with a typing error stands for, if any."""
    windows = _table(_WINDOWS).get(_WINDOWS_ENDING.sub("", said))
    if windows and _WINDOWS_ENDING.search(said):
        return windows
    spelled = _plain(said.removeprefix("posix/"))
    return _same(_by_name().get(spelled)) or _same(_by_city().get(spelled)) or _slip(said)


def _plain(name: str) -> str:
    """Return the letters and digits of a name, without accents."""
    parts = unicodedata.normalize("NFKD", name.lower())
    return "".join(each for each in parts if each.isascii() and each.isalnum())


@lru_cache(maxsize=1)
def _by_name() -> Mapping[str, list[str]]:
    """Return the zones by their plain names.

    Fixed offsets are left out: without their signs, Etc/GMT+5 and Etc/GMT-5 have the same name.
    """
    return _grouped(
        (_plain(name), name)
        for name in sorted(files.names())
        if not _FIXED.fullmatch(name.lower())
    )


@lru_cache(maxsize=1)
def _by_city() -> Mapping[str, list[str]]:
    """Return the zones by their cities.

    Zones with three parts are left out. Their cities are small, and some share their name with a
    large one elsewhere, as America/Indiana/Petersburg does.
    """
    parts = [name.split("/") for name in sorted(files.names())]
    return _grouped(
        (_plain(each[1]), "/".join(each))
        for each in parts
        if len(each) == _AREA_AND_CITY and each[0] in _AREAS and each[1] not in _STATES
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def _same(zones: list[str] | None) -> str | None:
    """Return one of the zones if all of them have the same rules."""
    if not zones or len({files.mark(each) for each in zones}) > 1:
        return None
    return zones[0]


def _slip(said: str) -> str | None:
    """Return the zone that alone differs from ``said`` in one letter, area or place, if any.

    A letter is wrong, missing, too many, or has changed places with the next one.
    """
    area, _, place = said.partition("/")
    area, place = _plain(area), _plain(place)
    if len(place) < _SHORTEST_WITH_SLIP:
        return None
    near = []
    for name in sorted(files.names()):
        known_area, _, known_place = name.partition("/")
        if known_area not in _AREAS:
            continue
        pairs = (area, known_area.lower()), (place, _plain(known_place))
        if sorted(_differs(*pair) for pair in pairs) == [0, 1]:
            near.append(name)
    return _same(near)


def _differs(given: str, known: str) -> int:
    """Return 0 for the same text, 1 for one typing error, 2 for more."""
    if given == known:
        return 0
    if abs(len(given) - len(known)) > 1:
        return 2
    start = 0
    while given[start : start + 1] == known[start : start + 1]:
        start += 1
    rest, other = given[start:], known[start:]
    slips = (
        rest[1:] == other[1:],
        rest[1:] == other,
        rest == other[1:],
        rest[:2] == other[1::-1] and rest[2:] == other[2:],
    )
    return 1 if any(slips) else 2
