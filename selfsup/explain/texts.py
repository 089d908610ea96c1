"""All texts of the course, by language: the page's words, documents and common words.

They are in ``words_en.yaml``, ``texts_en.yaml`` and the same for Korean.
"""

from importlib import resources
from typing import Any

import yaml


def _read(name: str) -> dict[str, dict[str, Any]]:
    files = resources.files("selfsup.explain")
    return {
        language: yaml.safe_load(
            files.joinpath(f"{name}_{language}.yaml").read_text(encoding="utf-8")
        )
        for language in ("en", "ko")
    }


# Each text of the page by its key. What stands in braces is filled in; backticks set code.
WORDS = _read("words")
# ``documents``, each a list of sentences, and ``common_words``, separated by spaces.
TEXTS = _read("texts")
