"""The words of the course page, by language and key: `words_en.yaml`, `words_ko.yaml`."""

from importlib import resources

import yaml

WORDS: dict[str, dict[str, str]] = {
    language: yaml.safe_load(
        resources.files("selfsup.explain")
        .joinpath(f"words_{language}.yaml")
        .read_text(encoding="utf-8")
    )
    for language in ("en", "ko")
}
