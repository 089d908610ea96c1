"""Numbers as a person reads them."""

import math
from typing import TypeGuard


def count(value: float) -> str:
    """1234567 → `1.23M`; 950 → `950`."""
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.4g}"


def whole(value: float) -> str:
    """1234567.8 → `1,234,568`."""
    return f"{value:,.0f}"


def percent(value: float, digits: int = 1) -> str:
    """0.1234 → `12.3 %`, which does not break over two lines."""
    return f"{100 * value:.{digits}f}\u00a0%"


def round_percent(value: float) -> str:
    """A share at a tick of an axis: 0.25 → `25 %`, 0.125 → `12.5 %`."""
    return f"{round(100 * value, 4):g}\u00a0%"


def duration(seconds: float) -> str:
    """8130 → `2:15 h`; 75 → `1:15 min`; 4.2 → `4.2 s`."""
    if seconds < 10:
        return f"{seconds:.1f}\u00a0s"
    total = round(seconds)
    if total >= 3600:
        return f"{total // 3600}:{total // 60 % 60:02}\u00a0h"
    return f"{total // 60}:{total % 60:02}\u00a0min" if total >= 60 else f"{total}\u00a0s"


def scientific(value: float) -> str:
    """0.00075 → `7.5e-4`, as learning rates are written; 0 → `0`."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def setting(value: object) -> str:
    """A setting's value as it stands in YAML, lists with spaces."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(str(entry) for entry in value)
    return str(value)


def is_number(value: object) -> TypeGuard[float]:
    """Whether the value is a finite number (a loss that diverged is none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
