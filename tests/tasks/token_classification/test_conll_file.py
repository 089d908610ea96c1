"""Columns of words and tags: what is read, and what is wrong by line."""

import gzip

import pytest

from selfsup.errors import UserError
from selfsup.tasks.token_classification.columns import looks_like_conll, read_conll, read_lines


def read(tmp_path, content: str | bytes, labelled: bool = True):
    path = tmp_path / "train.conll"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_conll(str(path), labelled=labelled).sentences


def test_the_first_column_is_the_word_and_the_last_its_tag(tmp_path):
    (sentence,) = read(tmp_path, "Angela NNP I-NP B-PER\nMerkel NNP I-NP I-PER\n")
    assert (sentence.words, sentence.tags) == (["Angela", "Merkel"], ["B-PER", "I-PER"])
    assert (sentence.text, sentence.spans) == ("Angela Merkel", [(0, 6), (7, 13)])
    assert (sentence.line, sentence.word_lines) == (1, [1, 2])


def test_blank_lines_and_borders_of_documents_end_sentences(tmp_path):
    sentences = read(tmp_path, "\n-DOCSTART- -X- O\n\na O\n \t \nb O\nc O\n-DOCSTART- O\nd O")
    assert [(s.line, s.words) for s in sentences] == [(4, ["a"]), (6, ["b", "c"]), (9, ["d"])]


def test_in_a_line_with_a_tab_spaces_belong_to_the_word(tmp_path):
    (sentence,) = read(tmp_path, "New York\tB-LOC\r\n\u00a0\tO\r\nis   \tO\r\n")
    assert sentence.words == ["New York", "\u00a0", "is"]


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfa O\n")[0].words == ["a"]


def test_comments_are_left_out_and_a_number_sign_is_a_word(tmp_path):
    text = (
        "# text = a b\n# id 5\tdomain=en\n#\tO\n# comment of no kind\tO\na\tO\n\n#rain\tO\n# B-X\n"
    )
    assert [s.words for s in read(tmp_path, text)] == [
        ["#", "# comment of no kind", "a"],
        ["#rain", "#"],
    ]


def test_comments_of_conll_u_hold_no_words(tmp_path):
    text = "# newdoc\n# newpar id = 3\n# text = Jackie O\na X\n\n#newdoc\n# sent_id = 2\nb Y\n"
    assert [s.words for s in read(tmp_path, text)] == [["a"], ["b"]]


def test_a_number_sign_with_as_many_columns_as_other_words_is_a_word(tmp_path):
    text = "a x DET\n\n# # SYM\n# some other comment\nb y DET\n\n# # three more\nc z DET\n"
    with pytest.raises(UserError, match="line 4: 4 columns where most lines have 3"):
        read(tmp_path, text)
    text = text.replace("# some other comment\n", "")
    assert [s.words for s in read(tmp_path, text)] == [["a"], ["#", "b"], ["c"]]


def test_without_tags_a_column_is_enough(tmp_path):
    sentences = read(tmp_path, "a\nb\n\nc\n", labelled=False)
    assert [(s.words, s.tags) for s in sentences] == [(["a", "b"], None), (["c"], None)]


def test_a_compressed_file_is_read(tmp_path):
    path = tmp_path / "train.conll.gz"
    path.write_bytes(gzip.compress(b"a O\n"))
    assert read_conll(str(path), labelled=True).sentences[0].words == ["a"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a O\nParis\nb O\n", r"train\.conll, line 2: one column, 'Paris'"),
        ("a\tO\nb\tNN\tO\n", r"train\.conll, line 2: 3 columns where most lines have 2"),
        ("ab\tO\n\tO\n", r"train\.conll, line 2: no word in column 1"),
        ("a\tO\nb\t\n", r"train\.conll, line 2: no tag in column 2"),
        (b"a O\nM\xfcller B-PER\n", r"train\.conll, line 2: byte 2 is not UTF-8"),
        ("", r"train\.conll: holds no sentences"),
        ("\n\n-DOCSTART- O\n", r"train\.conll: holds no sentences"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, content, said):
    with pytest.raises(UserError, match=said) as raised:
        read(tmp_path, content)
    assert "\n" not in str(raised.value)


def test_a_long_word_is_shown_in_short(tmp_path):
    with pytest.raises(UserError) as raised:
        read(tmp_path, "x" * 1_000_000 + "\n")
    assert len(str(raised.value)) < 200 + len(str(tmp_path))


def test_a_file_that_is_not_there_or_cut_short_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.conll: cannot be opened"):
        read_conll(str(tmp_path / "none.conll"), labelled=True)
    path = tmp_path / "train.conll.gz"
    path.write_bytes(gzip.compress(b"a O\n" * 1000)[:-10])
    with pytest.raises(UserError, match="damaged or cut short"):
        read_conll(str(path), labelled=True)


def test_columns_are_told_from_running_text():
    assert looks_like_conll(["-DOCSTART- O", "", "a O", "b NN B-PER"])
    assert looks_like_conll(["a\tS-LOC"])
    assert not looks_like_conll(["a O", "This is a sentence ."])
    assert not looks_like_conll(["Blood type O", "Vitamin D"])
    assert not looks_like_conll(["", "  "])


def test_real_files_are_read_whole(shared_data):
    file = str(shared_data / "tasks" / "wnut17" / "train.conll")
    sentences = read_conll(file, labelled=True).sentences
    assert len(sentences) == 3394
    lines = [line for _, line in read_lines(file) if line.strip()]
    words = [word for sentence in sentences for word in sentence.words]
    tags = [tag for sentence in sentences for tag in sentence.tags or ()]
    assert [f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True)] == lines
