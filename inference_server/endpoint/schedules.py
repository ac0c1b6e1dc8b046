"""When a profile of autoscale holds: on days of every week, or between two dates, on the clocks of a named time zone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from inference_server.endpoint.errors import BadArgument

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MIDNIGHT = time(0, 0)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
# Azure Monitor takes Windows' names; these are the ones seen most, the others are given by their IANA names.
_WINDOWS_ZONES = {
    "aus eastern standard time": "Australia/Sydney",
    "central europe standard time": "Europe/Budapest",
    "central european standard time": "Europe/Warsaw",
    "central standard time": "America/Chicago",
    "china standard time": "Asia/Shanghai",
    "e. south america standard time": "America/Sao_Paulo",
    "eastern standard time": "America/New_York",
    "gmt standard time": "Europe/London",
    "greenwich standard time": "Atlantic/Reykjavik",
    "india standard time": "Asia/Kolkata",
    "korea standard time": "Asia/Seoul",
    "mountain standard time": "America/Denver",
    "new zealand standard time": "Pacific/Auckland",
    "pacific standard time": "America/Los_Angeles",
    "romance standard time": "Europe/Paris",
    "singapore standard time": "Asia/Singapore",
    "tokyo standard time": "Asia/Tokyo",
    "utc": "UTC",
    "w. europe standard time": "Europe/Berlin",
}


@dataclass(frozen=True)
class Weekly:
    """On these days of every week, from `start` until `end` on the zone's clocks.

    An end that is not after the start is on the next day; midnight to midnight is a whole day.
    """

    days: frozenset[int]  # 0: Monday
    zone: ZoneInfo
    start: time = MIDNIGHT
    end: time = MIDNIGHT

    def holds(self, now: datetime) -> bool:
        """`now` knows its own zone."""
        local = now.astimezone(self.zone)
        clock = local.time()
        if self.start < self.end:
            return local.weekday() in self.days and self.start <= clock < self.end
        yesterday = (local.date() - timedelta(days=1)).weekday()
        return (local.weekday() in self.days and clock >= self.start) or (
            yesterday in self.days and clock < self.end
        )


@dataclass(frozen=True)
class Dates:
    """Once, from `start` until `end`, both of which know their zone."""

    start: datetime
    end: datetime

    def holds(self, now: datetime) -> bool:
        return self.start <= now < self.end


Schedule = Weekly | Dates


def weekly(days: Iterable[str], zone: str = "UTC", start: str = "00:00", end: str = "00:00") -> Weekly:
    """`days` by their English names, or three letters of them. Raises BadArgument."""
    numbers = frozenset(_day(day) for day in days)
    if not numbers:
        raise BadArgument("--recurrence: no day is given: write week sat sun")
    return Weekly(numbers, time_zone(zone), _clock("--start", start), _clock("--end", end))


def dates(start: str, end: str, zone: str = "UTC") -> Dates:
    """Dates with or without a time: `2026-12-24`, `2026-12-24T18:00`. Raises BadArgument."""
    known = time_zone(zone)
    begins, ends = _date("--start", start, known), _date("--end", end, known)
    if begins >= ends:
        raise BadArgument(f"--end: {end} is not after {start}")
    return Dates(begins, ends)


def time_zone(name: str) -> ZoneInfo:
    """By its IANA name, or by that of Windows where that is known. Raises BadArgument."""
    iana = _WINDOWS_ZONES.get(name.strip().lower(), name.strip())
    try:
        return ZoneInfo(iana)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadArgument(
            f"--timezone: {name!r} is not known: write a name such as Europe/Berlin or America/New_York"
        ) from None


def _day(text: str) -> int:
    found = [number for number, day in enumerate(DAYS) if len(text) >= 3 and day.startswith(text.lower())]
    if not found:
        raise BadArgument(f"--recurrence: {text!r} is no day: write mon, tue, wed, thu, fri, sat or sun")
    return found[0]


def _clock(option: str, text: str) -> time:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise BadArgument(f"{option}: {text!r} is no time of day: write 06:00 or 18:30")
    return time(int(match[1]), int(match[2]))


def _date(option: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))  # which Python 3.10 does not know
    except ValueError:
        raise BadArgument(f"{option}: {text!r} is no date: write 2026-12-24 or 2026-12-24T18:00") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
