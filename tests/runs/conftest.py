"""The made-up run folders that the tests of the report read, too."""

from tests.report.conftest import demo_run, finetuning_run, pretraining_run

__all__ = ["demo_run", "finetuning_run", "pretraining_run"]
