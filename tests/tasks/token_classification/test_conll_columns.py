"""Which column holds the words and which the tags, and what else stands between sentences."""

import pytest

from selfsup.errors import UserError
from selfsup.tasks.tables import Columns
from selfsup.tasks.token_classification.columns import read_conll

GERMEVAL = (
    "#\thttp://de.wikipedia.org/wiki/Technische_Universität_Berlin [2009-10-17]\n"
    "1\tDie\tO\tO\n2\tTU\tB-ORG\tO\n3\tBerlin\tI-ORG\tB-LOC\n\n"
    "#\tn-tv.de vom 26.02.2005 [2005-02-26]\n1\tAnna\tB-PER\tO\n2\tschläft\tO\tO\n"
)
CONLL_U = (
    "# sent_id = 1\n1-2\tzum\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n"
    "1\tzu\tzu\tADP\tAPPR\t_\t3\tcase\t_\t_\n2\tdem\tder\tDET\tART\t_\t3\tdet\t_\t_\n"
    "3\tHaus\tHaus\tNOUN\tNN\t_\t0\troot\t_\tSpaceAfter=No\n"
    "3.1\tist\tsein\tVERB\tVV\t_\t_\t_\t0:x\t_\n\n"
    "1\tJa\tja\tINTJ\tITJ\t_\t0\troot\t_\t_\n2\t.\t.\tPUNCT\t$.\t_\t1\tp\t_\t_\n"
)


def read(tmp_path, content: str, asked: Columns = Columns(), labelled: bool = True):  # noqa: B008
    path = tmp_path / "train.tsv"
    path.write_text(content, encoding="utf-8")
    found = read_conll(str(path), asked, labelled=labelled)
    notes = [note.removeprefix(f"{path}: ") for note in found.notes]
    return [(each.words, each.tags) for each in found.sentences], notes


@pytest.mark.parametrize(
    "content",
    [
        "1\tAnna\tB-PER\n2\tsleeps\tO\n\n1\tBob\tB-PER\n",
        "0 Anna B-PER\n1 sleeps O\n\n0 Bob B-PER\n",
        "1 Anna B-PER\n2 sleeps O\n\n3 Bob B-PER\n",
    ],
)
def test_a_column_that_numbers_the_words_is_no_word(tmp_path, content):
    sentences, (note,) = read(tmp_path, content)
    assert sentences == [(["Anna", "sleeps"], ["B-PER", "O"]), (["Bob"], ["B-PER"])]
    assert "numbers the words: the words are taken from column" in note
    assert "--text-column" in note


def test_numbers_are_words_where_they_do_not_count(tmp_path):
    assert read(tmp_path, "1984 B-WORK\nby O\n\n1 O\n2 O\n")[0][1] == (["1", "2"], ["O", "O"])
    sentences, notes = read(tmp_path, "Anna 1 NNP B-PER\nsleeps 2 VBZ O\n")
    assert (sentences, notes) == ([(["Anna", "sleeps"], ["B-PER", "O"])], [])


@pytest.mark.parametrize(
    "content", ["1 B-PER\n2 O\n\n1 O\n2 O\n", "7 Anna B-PER\n7 sleeps O\n\n8 Bob B-PER\n"]
)
def test_a_column_of_numbers_alone_is_not_guessed_about(tmp_path, content):
    with pytest.raises(UserError, match=r"column 1 holds numbers and no words: .*--text-column 2"):
        read(tmp_path, content)


def test_a_column_that_is_named_is_taken(tmp_path):
    sentences, notes = read(tmp_path, "7 Anna B-PER\n7 sleeps O\n", Columns("2"))
    assert (sentences, notes) == ([(["Anna", "sleeps"], ["B-PER", "O"])], [])
    assert read(tmp_path, "1 Anna\n2 sleeps\n", Columns("1"), labelled=False)[0][0][0] == ["1", "2"]


def test_germeval_has_comments_numbers_and_two_columns_of_tags(tmp_path):
    sentences, notes = read(tmp_path, GERMEVAL)
    assert sentences == [
        (["Die", "TU", "Berlin"], ["O", "B-ORG", "I-ORG"]),
        (["Anna", "schläft"], ["B-PER", "O"]),
    ]
    assert notes[1] == (
        "columns 3 and 4 hold tags: those of column 3 are taken, --label-column takes others"
    )
    sentences, notes = read(tmp_path, GERMEVAL, Columns(label="4"))
    assert (sentences[0][1], len(notes)) == (["O", "O", "B-LOC"], 1)
    assert read(tmp_path, GERMEVAL, labelled=False)[0][1] == (["Anna", "schläft"], None)


@pytest.mark.parametrize(
    ("columns", "taken"),
    [
        ("NNP I-NP B-ORG", 4),  # CoNLL 2003: a chunk and an entity
        ("B-ORG O", 2),  # the right tag and a predicted one
        ("B-ORG NNP", 3),
        ("-X- _ B-ORG", 4),  # Label Studio
    ],
)
def test_of_several_columns_of_tags_one_is_taken_and_it_is_said(tmp_path, columns, taken):
    sentences, notes = read(tmp_path, f"EU {columns}\n\nUN {columns}\n")
    assert sentences[0][1] == [f"EU {columns}".split()[taken - 1]]
    assert "_" in columns or f"those of column {taken} are taken" in notes[0]


def test_conll_u_has_parts_of_speech_and_lines_that_are_no_words(tmp_path):
    sentences, notes = read(tmp_path, CONLL_U)
    assert sentences == [
        (["zu", "dem", "Haus"], ["ADP", "DET", "NOUN"]),
        (["Ja", "."], ["INTJ", "PUNCT"]),
    ]
    assert notes[1:] == [
        "CoNLL-U: the tags are taken from column 4, --label-column takes others",
        "lines with a number such as 1-2 or 1.1 left out: 2",
    ]
    assert read(tmp_path, CONLL_U, Columns(label="5"))[0][1][1] == ["ITJ", "$."]


@pytest.mark.parametrize("comment", ["# some words", "#\tsource.de [2009]", "## id-1\ta <b:C> d"])
def test_comments_before_a_sentence_hold_no_words(tmp_path, comment):
    content = f"{comment}\na\tB-X\nb\tO\n\n{comment}\n{comment}\nc\tO\n"
    assert [words for words, _ in read(tmp_path, content)[0]] == [["a", "b"], ["c"]]


@pytest.mark.parametrize("line", ["#rain", "# O"])
def test_a_number_sign_with_a_column_too_few_is_a_mistake(tmp_path, line):
    with pytest.raises(UserError, match="line 3: "):
        read(tmp_path, f"a\tNN\tB-X\n\n{line}\nc\tNN\tO\n")


@pytest.mark.parametrize(
    ("content", "form"),
    [("T1\tPER 0 4\tAnna\n", "brat"), ("#FORMAT=WebAnno TSV 3.3\n\n1-1\t0-4\tAnna\tPER\n", "WebA")],
)
def test_files_of_other_tools_are_named(tmp_path, content, form):
    with pytest.raises(UserError, match=f"a file of {form}.*export CoNLL columns"):
        read(tmp_path, content)
