"""The ways in which a demo learns its task, and what they come to in a sentence."""

from selfsup.report import numbers
from selfsup.report.run_folder import Record
from selfsup.report.scores import read_score

# (key in the summary, name, what it means)
Way = tuple[str, str, str]

_FINE_TUNED, _FROZEN = "all layers learn on", "only the new head learns"
_SCRATCH = ("scratch", "from scratch", "random weights at the start")

TEXT_WAYS: tuple[Way, ...] = (
    ("pretrained", "pre-trained", _FINE_TUNED),
    ("frozen", "pre-trained, frozen", _FROZEN),
    _SCRATCH,
)
IMAGE_WAYS: tuple[Way, ...] = (
    ("inpainting", "inpainting", _FINE_TUNED),
    ("jigsaw", "jigsaw", _FINE_TUNED),
    ("both", "both", _FINE_TUNED),
    ("inpainting_frozen", "inpainting, frozen", _FROZEN),
    ("jigsaw_frozen", "jigsaw, frozen", _FROZEN),
    ("both_frozen", "both, frozen", _FROZEN),
    _SCRATCH,
)


def is_on_images(summary: Record) -> bool:
    """Whether a demo's summary is of the one with images."""
    return any(key in summary for key, _, _ in IMAGE_WAYS if key != _SCRATCH[0])


def ways_of(summary: Record) -> tuple[Way, ...]:
    """Those of the demo that a summary is of."""
    return IMAGE_WAYS if is_on_images(summary) else TEXT_WAYS


def verdict(summary: Record) -> str:
    """The demo's result in a sentence, or nothing where half of it is missing."""
    scores = {
        key: score
        for key, _, about in ways_of(summary)
        if about != _FROZEN and (score := read_score((summary.get(key) or {}).get("accuracy")))
    }
    scratch = scores.pop(_SCRATCH[0], None)
    if not scores or not scratch:
        return ""
    points = {key: 100 * (score.mean - scratch.mean) for key, score in scores.items()}
    from_scratch = numbers.percent(scratch.mean)
    if "pretrained" in points:
        (worth,) = points.values()
        return (
            f"Pre-training {'is worth' if worth >= 0 else 'costs'} {abs(worth):.1f} points: "
            f"{numbers.percent(scores['pretrained'].mean)} of the examples right, where random "
            f"weights get to {from_scratch}."
        )
    each = [f"{key} {worth:+.1f} points".replace("-", "\u2212") for key, worth in points.items()]
    return (
        f"What pre-training is worth: {', '.join(each)}, where random weights get "
        f"{from_scratch} of the examples right."
    )
