"""A little text may pass for enough."""

import pytest

from selfsup.doctor import unlabelled as corpus
from selfsup.doctor import unlabelled as shards


@pytest.fixture
def no_text_is_little(monkeypatch):
    monkeypatch.setattr(shards, "_FEWEST_TOKENS", 100)
    monkeypatch.setattr(corpus, "_FEWEST_CHARACTERS", 100)
