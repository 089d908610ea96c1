"""The demo's task: what is tested was never seen, and no library is named."""

from collections import Counter

import pytest

from selfsup.corpus.readers.documents import Document
from selfsup.corpus.readers.inputs import Input
from selfsup.demo import task as demo_task
from selfsup.demo.task import (
    Division,
    NearCopies,
    divide,
    first_words,
    library_documents,
    names_pattern,
)
from selfsup.errors import UserError
from tests.demo.toy_documentation import LIBRARIES, toy_documentation

SIZES = {"test": 9, "validation": 3, "train": 4}


@pytest.fixture(autouse=True)
def a_small_task(monkeypatch):
    monkeypatch.setattr(demo_task, "EXAMPLES", SIZES)


@pytest.fixture
def documents() -> list[Document]:
    return toy_documentation(files=20)


def file_of(name: str) -> str:
    return name.rpartition(".")[0]


def names_in(division: Division, part: str) -> list[str]:
    return [example.name for example in division.examples[part]]


def test_each_library_has_as_many_examples_in_each_part(documents):
    division = divide(documents, seed=0)
    assert division.labels == LIBRARIES
    for part, size in SIZES.items():
        assert Counter(example.label for example in division.examples[part]) == dict.fromkeys(
            LIBRARIES, size
        )


def test_labels_alternate_so_that_the_first_examples_show_them_all(documents):
    train = divide(documents, seed=0).examples["train"]
    assert [example.label for example in train[:6]] == [*LIBRARIES, *LIBRARIES]


def test_a_file_belongs_to_one_part_or_to_pretraining(documents):
    division = divide(documents, seed=0)
    files = [{file_of(name) for name in names_in(division, part)} for part in SIZES]
    files.append({file_of(document.id) for document in division.pretraining})
    assert all(files)
    assert sum(map(len, files)) == len(set.union(*files))


def test_nothing_is_lost_but_what_is_said_to_be_left_out(documents):
    division = divide(documents, seed=0)
    labelled = sum(len(examples) for examples in division.examples.values())
    assert len(division.pretraining) + labelled + division.left_out == len(documents)


def test_duplicates_are_dropped_from_all_parts(documents):
    copies = [
        Document(f"deltalib.{document.id}", document.text, "/site/deltalib/copies.py")
        for document in documents
    ]
    division = divide([*documents, *copies], seed=0)
    texts = [document.text for document in division.pretraining]
    assert len(texts) == len(set(texts))
    tested = {document.text for document in documents if document.id in names_in(division, "test")}
    assert not tested & set(texts)


def test_near_copies_of_what_is_labelled_are_left_out_of_pretraining(documents):
    copies = [
        Document(f"deltalib.{document.id}", f"Amended: {document.text} Also fast.", "/site/d.py")
        for document in documents
    ]
    division = divide([*documents, *copies], seed=0)
    labelled = {name for part in SIZES for name in names_in(division, part)}
    kept = {document.id.removeprefix("deltalib.") for document in division.pretraining
            if document.id.startswith("deltalib.")}  # fmt: skip
    assert not labelled & kept
    assert len(kept) == len(documents) - len(labelled)


def test_no_example_is_a_near_copy_of_another(documents):
    amended = [
        Document(f"{document.id}_again", f"{document.text} Again.", f"{document.source}.again")
        for document in documents
    ]
    division = divide([*documents, *amended], seed=0)
    by_name = {document.id: document for document in [*documents, *amended]}
    known = NearCopies()
    for part in SIZES:
        for name in names_in(division, part):
            text = first_words(by_name[name].text)
            assert not known.matches(text)
            known.add(text)


def test_no_example_names_any_library(documents):
    division = divide(documents, seed=0)
    texts = [example.text for examples in division.examples.values() for example in examples]
    assert not any(library in text.lower() for library in LIBRARIES for text in texts)
    assert all("See mod" in text for text in texts)


def test_examples_have_no_more_words_than_is_said(documents, monkeypatch):
    monkeypatch.setattr(demo_task, "MAX_WORDS", 14)
    division = divide(documents, seed=0)
    lengths = [len(e.text.split()) for examples in division.examples.values() for e in examples]
    assert max(lengths) <= 14


def test_the_same_documents_are_divided_alike_and_another_seed_divides_otherwise(documents):
    moved = [
        Document(document.id, document.text, document.source.replace("/site", "/elsewhere"))
        for document in documents
    ]
    first, same, other = divide(documents, 0), divide(moved, 0), divide(documents, 1)
    assert first.examples == same.examples
    assert first.examples != other.examples


def test_the_libraries_with_the_most_documentation_are_taken(documents, monkeypatch):
    monkeypatch.setattr(demo_task, "MAX_LABELS", 2)
    more = [d for d in toy_documentation(files=30) if d.id.startswith("gammalib")]
    others = [d for d in documents if not d.id.startswith("gammalib")]
    few = [d for d in toy_documentation(files=12) if d.id.startswith("betalib")]
    division = divide([*others[: 20 * 3], *few, *more], seed=0)
    assert division.labels == ("alphalib", "gammalib")


def test_a_library_in_few_files_is_passed_over(documents):
    crowded = [
        Document(f"deltalib.f{n}", document.text.replace("the", "this"), "/site/deltalib.py")
        for n, document in enumerate(documents)
    ]
    assert "deltalib" not in divide([*documents, *crowded], seed=0).labels


def test_too_little_documentation_is_an_error_that_says_what_to_do():
    with pytest.raises(UserError, match="install selfsup again"):
        divide(toy_documentation(files=2), seed=0)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A NumPy array, np.ndarray or numpy.matrix.", "A array, ndarray or matrix."),
        ("As in numpy. The end.", "As in . The end."),
        ("scikit-learn, scikit_learn, Scikit Learn and sklearn.svm.SVC", ", , and svm.SVC"),
        ("PyTorchLightning and TorchScript", "PyLightning and Script"),
        ("The rich text of Rich: rich.text, enriched", "The text of : text, enriched"),
        ("import networkx as nx; nx.Graph()", "import as ; Graph()"),
    ],
)  # fmt: skip
def test_names_go_with_their_dots_and_other_words_stay(text: str, left: str):
    pattern = names_pattern(["numpy", "sklearn", "torch", "rich", "networkx"])
    assert first_words(pattern.sub("", text)) == left


def test_only_the_standard_library_and_the_dependencies_are_read(monkeypatch, tmp_path):
    for name in ("numpy", "json", "matplotlib", "selfsup"):
        (tmp_path / f"{name}.py").write_text(f'"""{"What this module does. " * 5}"""')
    modules = [Input(file.stem, str(file), "docs", 0, "") for file in sorted(tmp_path.glob("*.py"))]
    monkeypatch.setattr(demo_task, "find_inputs", lambda _: modules)
    assert [document.id for document in library_documents(1)] == ["json", "numpy"]
