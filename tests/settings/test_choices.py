"""The choices that the settings name are those that there are (they import no torch to ask)."""

from selfsup.objectives.text_objective import TEXT_OBJECTIVES
from selfsup.settings.finetune import TASKS as OFFERED_TASKS
from selfsup.settings.pretrain import TEXT_OBJECTIVES as OFFERED_TEXT_OBJECTIVES
from selfsup.tasks.table import TASKS


def test_finetune_offers_the_tasks_of_the_table():
    assert set(OFFERED_TASKS) == set(TASKS)


def test_pretrain_offers_the_objectives_there_are():
    assert set(OFFERED_TEXT_OBJECTIVES) == set(TEXT_OBJECTIVES)
