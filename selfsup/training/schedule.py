"""How the learning rate moves over a run, as a share of its highest value.

``progress`` is the share of the run that is done, in [0, 1]: steps out of steps, or seconds out
of a budget of seconds.
"""

WSD_DECAY = 0.25  # the last quarter of a warm-up–stable–decay run falls


def rate_multiplier(schedule: str, progress: float, warmup: float) -> float:
    """The learning rate at ``progress`` as a share of the highest.

    Args:
        schedule: "linear": up over ``warmup``, then down to 0 at the end (BERT, appendix A.2).
            "wsd": up, then level, then linearly down to 0 over the last quarter (warm-up–stable–
            decay, Hu et al. 2024, "MiniCPM", §4.2).
        progress: in [0, 1].
        warmup: share of the run in which the rate rises from 0.

    Raises:
        ValueError: if there is no such schedule.
    """
    if schedule not in ("linear", "wsd"):
        raise ValueError(f"no schedule is called {schedule!r}")
    decay = 1.0 - warmup if schedule == "linear" else min(WSD_DECAY, 1.0 - warmup)
    rise = progress / warmup if warmup > 0 else 1.0
    fall = (1.0 - progress) / decay
    return max(0.0, min(1.0, rise, fall))
