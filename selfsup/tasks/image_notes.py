"""What the user should know of labelled images before a model learns from them."""

from collections import Counter

from selfsup.tasks.labelled_images import LabelledImages
from selfsup.tasks.labels import Labels
from selfsup.tasks.reading_notes import absence_notes, balance_notes


def reading_notes(train: LabelledImages, validation: LabelledImages, labels: Labels) -> list[str]:
    """Classes out of balance, and copies of a file in one of the folders or in both."""
    notes = balance_notes(train.source, Counter(train.labels), len(train))
    notes += absence_notes(validation.source, labels.names, validation.labels or [])
    learnt = set(train.digests)
    if repeated := len(train) - len(learnt):
        notes.append(f"{train.source}: {repeated:,} of {len(train):,} images are copies of others")
    if torn := _in_two_classes(train):
        notes.append(f"{train.source}: {torn:,} images are also in the folder of another class")
    both = [place for place, digest in enumerate(validation.digests) if digest in learnt]
    if both:
        notes.append(
            f"{validation.source}: {len(both):,} of {len(validation):,} images are also in "
            f"{train.source} (the first is {validation.files[both[0]]}): the metrics flatter the "
            "model; take them out of one"
        )
    return notes


def _in_two_classes(images: LabelledImages) -> int:
    """How many images occur with another class than they had where they occurred first."""
    first_label: dict[bytes, str] = {}
    pairs = zip(images.digests, images.labels or [], strict=True)
    return sum(first_label.setdefault(digest, label) != label for digest, label in pairs)
