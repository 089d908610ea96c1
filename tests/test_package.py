"""What the installed package promises before any of its commands runs."""

import subprocess
import sys
from importlib import metadata

import pytest

import selfsup


def test_the_installed_version_is_the_one_the_package_names():
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
        "selfsup.settings",
        "selfsup.cli.parser",
    ],
)
def test_a_module_that_needs_no_torch_imports_none(module: str):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
