"""The installed package: its version, and modules that must not import torch."""

import subprocess
import sys
from importlib import metadata

import pytest

import selfsup
from selfsup.settings.labelled_data import TASKS


def test_the_installed_version_is_that_of_the_package():
    assert metadata.version("selfsup") == selfsup.__version__


def test_a_predictor_is_had_from_the_package():
    from selfsup.inference.predictor import Predictor

    assert selfsup.Predictor is Predictor
    assert not hasattr(selfsup, "predictor_of_another_name")


@pytest.mark.parametrize(
    "module",
    [
        "selfsup",
        "selfsup.cli",
        "selfsup.corpus",
        "selfsup.corpus.prepare",
        "selfsup.corpus.tokenizer.wordpiece",
        "selfsup.errors",
        "selfsup.report.page",
        "selfsup.cli.results",
        "selfsup.settings.pretrain",
        "selfsup.cli.parser",
        *sorted({f"selfsup.tasks.{folder}.view" for folder in TASKS.values()}),
    ],
)
def test_a_module_that_needs_no_torch_does_not_import_it(module: str):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
