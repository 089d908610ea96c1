import json
import sys
import sysconfig

import pytest

from selfsup.corpus.readers import docstrings
from selfsup.corpus.readers.documents import BadRecord, Document
from selfsup.corpus.readers.inputs import find_inputs
from selfsup.corpus.readers.sources import read_documents

LONG = "This sentence is long enough to be worth reading, in the eyes of whoever set the limit."


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder that takes the place of all installed packages."""
    paths = dict.fromkeys(("stdlib", "platstdlib", "purelib", "platlib"), str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_paths", lambda: paths)
    monkeypatch.setattr(docstrings.site, "getsitepackages", list)
    monkeypatch.setattr(docstrings.site, "ENABLE_USER_SITE", False)

    def write(name: str, source: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")

    return write


def test_modules_classes_and_functions_are_documents_named_by_their_dotted_path(packages):
    packages(
        "lib/sub/mod.py",
        f'''"""{LONG}"""
import does_not_exist
class Outer:
    r"""{LONG}"""
    async def method(self):
        """{LONG}"""
    class Inner:
        """{LONG}"""
def short():
    """Too short."""
def commented():
    x = 1
    """{LONG}"""
''',
    )
    packages("lib/__init__.py", f"'''{LONG}'''")
    packages("single.py", f'def f():\n    """{LONG}"""\nraise SystemExit("was imported")\n')
    documents = list(read_documents(["docs://installed"]))
    assert [document.id for document in documents] == [
        "lib",
        "lib.sub.mod",
        "lib.sub.mod.Outer",
        "lib.sub.mod.Outer.method",
        "lib.sub.mod.Outer.Inner",
        "single.f",
    ]
    assert {document.text for document in documents} == {LONG}


def test_tests_vendored_packages_and_hidden_folders_are_left_out(packages):
    source = f'"""{LONG}"""'
    for name in (
        "lib/kept.py", "lib/tests/a.py", "lib/test_b.py", "lib/conftest.py", "lib/_vendor/c.py",
        "lib/.hidden/d.py", "lib-1.0.dist-info/e.py", "site-packages/f.py", "lib/data.txt",
    ):  # fmt: skip
        packages(name, source)
    assert [found.name for found in find_inputs(["docs://installed"])] == ["lib.kept"]


def test_a_file_that_is_not_python_is_a_bad_record(packages, tmp_path):
    packages("lib/old.py", 'print "hello", """long enough"""')
    (record,) = docstrings.read_docstrings("lib.old", tmp_path / "lib/old.py")
    assert isinstance(record, BadRecord)
    assert "not Python" in record.reason


def test_wrapped_lines_are_joined_and_examples_left_out():
    text = docstrings.docstring_paragraphs(
        """Solve a linear equation,
        as one does.

        Parameters
        ----------
        a : array_like
            The matrix.

        Examples
        --------
        >>> solve(a)
        array([1, 2])

        See also the other one.
        """
    )
    assert text.splitlines() == [
        "Solve a linear equation, as one does.",
        "Parameters",
        "a : array_like The matrix.",
        "Examples",
        "See also the other one.",
    ]


def test_the_real_standard_library_is_read_without_being_imported():
    modules = dict(docstrings.installed_modules())
    assert list(modules) == sorted(modules)
    assert "antigravity" not in sys.modules
    documents = [
        record
        for record in docstrings.read_docstrings("json", modules["json"])
        if isinstance(record, Document)
    ]
    ids = [document.id for document in documents]
    assert ids[0] == "json"
    assert {"json.dump", "json.loads"} <= set(ids)
    loads = next(document.text for document in documents if document.id == "json.loads")
    assert loads.startswith("Deserialize ``s``")
    assert " ".join((json.loads.__doc__ or "").split()).startswith(loads.splitlines()[0])


def test_every_input_has_a_size_and_a_stamp_so_that_progress_and_changes_show():
    inputs = find_inputs(["docs://installed"])
    assert len(inputs) > 1000
    assert all(found.stamp for found in inputs)
    assert sum(found.size for found in inputs) > 10_000_000
