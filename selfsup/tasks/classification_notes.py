"""What the user should know of labelled texts before a model learns from them."""

from selfsup.tasks.labelled_texts import LabelledTexts
from selfsup.tasks.labels import Labels


def reading_notes(train: LabelledTexts, validation: LabelledTexts, labels: Labels) -> list[str]:
    """Labels out of balance, repeated texts, texts in both files: a sentence each."""
    return []
