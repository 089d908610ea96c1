"""Lengths of time as people write them: `90s`, `20m`, `1h30m`."""

import re

from selfsup.errors import UserError

_DURATION = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?"
)
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def seconds_in(duration: str, flag: str = "--budget") -> float:
    """The seconds in `90s`, `20m`, `1h30m`, `1.5h`.

    Raises UserError that names the flag where the text is no such duration, or is no time at all.
    """
    match = _DURATION.fullmatch(duration.strip().lower())
    seconds = sum(
        float(amount) * _SECONDS[unit]
        for unit, amount in (match.groupdict() if match else {}).items()
        if amount
    )
    if seconds <= 0:
        raise UserError(f"{flag} takes a time such as 90s, 20m or 1h30m, not {duration!r}")
    return seconds
