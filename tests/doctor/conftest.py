"""A little text may pass for enough."""

import pytest

from selfsup.doctor import unlabelled


@pytest.fixture
def no_text_is_little(monkeypatch):
    monkeypatch.setattr(unlabelled, "_MIN_TOKENS", 100)
    monkeypatch.setattr(unlabelled, "_MIN_CHARACTERS", 100)
