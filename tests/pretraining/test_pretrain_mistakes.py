"""What a user can get wrong in pre-training: one line, status 2, and nothing is harmed by it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from selfsup import cli
from tests.toy_corpus import toy_documents, write_toy_corpus

QUICK = (
    "--steps", "2", "--batch-size", "4", "--max-length", "32",
    "--device", "cpu", "--precision", "float32", "--threads", "1", "--workers", "1",
)  # fmt: skip
TINY = ("--encoder", "bert-tiny")

Files = Callable[[str], Path]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A corpus, its tokenizer, another tokenizer, its shards, and a run that has ended."""
    folder = tmp_path_factory.mktemp("prepared")
    texts = str(write_toy_corpus(folder / "texts.txt"))
    tokenizer, other, shards = (str(folder / name) for name in ("tokenizer", "other", "shards"))
    assert cli.main(["train-tokenizer", texts, "--vocab-size", "150", "--out", tokenizer]) == 0
    assert cli.main(["train-tokenizer", texts, "--vocab-size", "90", "--out", other]) == 0
    arguments = ["prepare", texts, "--tokenizer", tokenizer, "--out", shards, "--workers", "1"]
    assert cli.main(arguments) == 0
    assert cli.main(["pretrain", shards, "--out", str(folder / "run"), *TINY, *QUICK]) == 0
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """All files under a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def refused(prepared, tmp_path, capsys) -> Callable[..., str]:
    """Run `selfsup pretrain` in a folder of its own, and return the one line that refuses it."""

    def run(*arguments: str | Path, out: Path | None = None) -> str:
        before = tree(prepared)
        capsys.readouterr()
        words = [*map(str, arguments), "--out", str(out or tmp_path / "run"), *QUICK]
        if "--init" not in words and "--encoder" not in words:
            words += TINY
        assert cli.main(["pretrain", *words]) == 2
        captured = capsys.readouterr()
        *progress, line = captured.err.splitlines()
        assert captured.out == ""
        assert line.startswith("selfsup: error: ")
        assert not any("error" in other or "Traceback" in other for other in progress)
        assert tree(prepared) == before
        assert not (tmp_path / "run" / "summary.json").exists()
        return line

    return run


def test_data_that_is_not_there(refused, tmp_path):
    assert "nowhere.txt: no such file or folder" in refused(tmp_path / "nowhere.txt")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_text_files(refused, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "image.png").touch()
    assert "holds no file whose name ends in" in refused(tmp_path / "texts")


@pytest.mark.parametrize("content", ["", "\n\n\n", "\u200b\n"])
def test_a_corpus_without_text(content: str, refused, tmp_path):
    (tmp_path / "empty.txt").write_text(content, encoding="utf-8")
    assert "holds no text" in refused(tmp_path / "empty.txt")


def test_next_sentences_of_one_document_are_refused_with_what_divides_it(refused, tmp_path):
    (text,) = toy_documents(1)
    (tmp_path / "one.txt").write_text(text.replace(". ", ".\n"))
    line = refused(tmp_path / "one.txt", "--objectives", "mlm", "nsp")
    assert "there is 1 document, and next-sentence prediction needs 4" in line
    assert "blank lines divide a .txt file into documents; --text-documents line" in line
    assert line.endswith("give --objectives mlm")


def test_next_sentences_after_single_sentences_are_refused(refused, tmp_path):
    records = (json.dumps({"text": text.split(".")[0] + "."}) for text in toy_documents(30))
    (tmp_path / "short.jsonl").write_text("\n".join(records))
    line = refused(tmp_path / "short.jsonl", "--objectives", "nsp")
    assert "30 of 30 documents are a single sentence, after which nothing can follow" in line
    assert "each record is one document" in line


def test_documents_that_are_all_the_same_are_one(refused, tmp_path):
    (text,) = toy_documents(1)
    (tmp_path / "same.txt").write_text("\n\n".join([text] * 20))
    line = refused(tmp_path / "same.txt", "--objectives", "nsp")
    assert "there is 1 document (19 copies are dropped)" in line


def test_a_single_sentence_cannot_be_divided(refused, tmp_path):
    (tmp_path / "one.txt").write_text("The cat sees two small dogs and a bird near the old house.")
    assert "the text is a single sentence" in refused(tmp_path / "one.txt")


def test_a_vocabulary_larger_than_the_corpus_allows(refused, prepared):
    line = refused(prepared / "texts.txt", "--vocab-size", "50000")
    assert "--vocab-size 50000: this corpus allows at most" in line


def test_a_tokenizer_that_does_not_match_the_shards(refused, prepared):
    line = refused(prepared / "shards", "--tokenizer", prepared / "other")
    assert "not the tokenizer that made the shards" in line
    assert "prepare the text again with --tokenizer" in line


def test_a_model_that_does_not_match_the_shards(refused, prepared, tmp_path):
    arguments = ["pretrain", str(prepared / "texts.txt"), "--vocab-size", "90"]
    assert cli.main([*arguments, "--out", str(tmp_path / "first"), *TINY, *QUICK]) == 0
    line = refused(prepared / "shards", "--init", tmp_path / "first")
    assert "not the tokenizer that made the shards" in line


def test_an_encoder_beside_a_model_to_go_on_from(refused, prepared):
    line = refused(prepared / "texts.txt", "--init", prepared / "run", "--encoder", "bert-mini")
    assert "--encoder bert-mini: leave it out with --init" in line


@pytest.mark.parametrize(
    "flags",
    [
        ("--text-field", "body"), ("--text-documents", "file"), ("--no-lowercase",),
        ("--language", "ko"), ("--max-bad-fraction", "0.5"),
    ],
)  # fmt: skip
def test_flags_of_raw_text_beside_shards(refused, prepared, flags):
    assert f"{flags[0].replace('--no-', '--')}: is for raw text" in refused(
        prepared / "shards", *flags
    )


def test_how_long_sequences_are_short_though_none_are(refused, prepared):
    assert "goes with --short-length" in refused(prepared / "shards", "--short-share", "0.5")


def test_a_run_is_no_text(refused, prepared):
    line = refused(prepared / "run")
    assert f"{prepared / 'run'}: is a run, and no data: --init {prepared / 'run'}" in line


@pytest.mark.parametrize("name", ["manifest.json", "progress.json"])
def test_files_of_the_users_that_are_called_like_ours_make_no_shards(name, prepared, tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / name).write_text('{"a": 1}')
    (texts / "a.txt").write_bytes((prepared / "texts.txt").read_bytes())
    out = tmp_path / "run"
    words = [str(texts), "--tokenizer", str(prepared / "tokenizer"), "--out", str(out)]
    assert cli.main(["pretrain", *words, *TINY, *QUICK]) == 0
    assert (out / "summary.json").exists()


def test_a_model_without_a_second_segment_beside_shards(refused, prepared, tmp_path):
    copy_tree(prepared / "run" / "model", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_bytes())
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | {"type_vocab_size": 1}))
    line = refused(prepared / "shards", "--init", tmp_path / "model")
    assert "tells no two segments apart" in line


@pytest.mark.parametrize("flag", ["--tokenizer", "--init"])
def test_letters_are_as_large_as_a_tokenizer_that_is_there_has_them(flag, refused, prepared):
    named = prepared / {"--tokenizer": "tokenizer", "--init": "run"}[flag]
    line = refused(prepared / "texts.txt", flag, named, "--no-lowercase")
    assert f"--no-lowercase is for a new tokenizer: leave it out with {flag}" in line


def test_an_empty_name(refused):
    assert "a name of the corpus is empty" in refused("")


def test_a_name_that_is_not_utf8(refused, prepared, tmp_path):
    copy_tree(prepared / "shards", tmp_path / "s\udce9")
    assert "is not UTF-8, as data must be: rename it" in refused(tmp_path / "s\udce9")


def test_a_folder_of_texts_is_no_place_for_a_run(refused, prepared):
    folder = prepared / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("My own text.")
    assert "holds other files (a.txt)" in refused(prepared / "shards", out=folder)


def test_a_tokenizer_within_the_folder_that_is_named(prepared, tmp_path, capsys):
    words = [str(prepared / "texts.txt"), "--tokenizer", str(prepared), "--out", str(tmp_path)]
    assert cli.main(["prepare", *words]) == 2
    assert f"but holds one: name {prepared / 'tokenizer'}" in capsys.readouterr().err


def test_records_that_could_not_be_read_are_told_of(prepared, tmp_path, capsys):
    lines = [json.dumps({"text": text}) for text in toy_documents(40)]
    (tmp_path / "texts.jsonl").write_text("\n".join([*lines, '{"text": ']))
    words = [str(tmp_path / "texts.jsonl"), "--tokenizer", str(prepared / "tokenizer")]
    words += ["--max-bad-fraction", "0.1", "--out", str(tmp_path / "run"), *TINY, *QUICK]
    assert cli.main(["pretrain", *words]) == 0
    said = capsys.readouterr().err
    assert "records that could not be read and are left out: 1: " in said
    assert (tmp_path / "run" / "shards" / "problems.jsonl").exists()


def test_a_demo_cannot_be_resumed(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("command: demo\nout: demo\n")
    assert cli.main(["resume", str(tmp_path)]) == 2
    assert "a demo cannot be resumed" in capsys.readouterr().err


def test_a_vocabulary_size_that_is_not_that_of_the_shards(refused, prepared):
    assert "have 150 tokens" in refused(prepared / "shards", "--vocab-size", "8192")


def test_a_tokenizer_beside_the_shards_that_was_replaced(refused, prepared, tmp_path):
    copy_tree(prepared / "shards", tmp_path / "shards")
    copy_tree(prepared / "other", tmp_path / "shards" / "tokenizer")
    assert "not the tokenizer that made the shards beside it" in refused(tmp_path / "shards")


def test_a_shard_that_was_cut_short(refused, prepared, tmp_path):
    copy_tree(prepared / "shards", tmp_path / "shards")
    shard = tmp_path / "shards" / "shard-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    line = refused(tmp_path / "shards")
    assert "shard-00000.safetensors" in line
    assert "cut short" in line
    assert not (tmp_path / "run").exists()


def test_shards_that_are_not_finished(refused, prepared, tmp_path):
    copy_tree(prepared / "shards", tmp_path / "shards")
    (tmp_path / "shards" / "manifest.json").unlink()
    (tmp_path / "shards" / "progress.json").write_text("{}")
    assert "shards" in refused(tmp_path / "shards")


def test_shards_and_text_together(refused, prepared):
    line = refused(prepared / "shards", prepared / "texts.txt")
    assert "must be the only DATA" in line


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--mask-probability", "1.5"), "--mask-probability"),
        (("--max-length", "8"), "--max-length"),
        (("--batch-size", "0"), "--batch-size"),
        (("--learning-rate", "-1"), "--learning-rate"),
        (("--held-out-fraction", "0"), "--held-out-fraction"),
        (("--short-length", "64"), "--short-length 64 must be below --max-length 32"),
        (("--budget", "5m"), "--steps and --budget"),
        (("--encoder", "bert-huge"), "bert-huge"),
        (("--objectives", "jigsaw"), "--objectives"),
        (("--tokenizer", "nowhere"), "nowhere: no such folder"),
        (("--init", "nowhere"), "nowhere"),
        (("--device", "cuda"), "--device cuda"),
    ],
)
def test_a_flag_that_cannot_be(flags, named: str, prepared, tmp_path, capsys):
    if "cuda" in flags and __import__("torch").cuda.is_available():
        pytest.skip("there is a GPU here")
    tiny = () if "--init" in flags else TINY
    words = [*tiny, *QUICK, *flags]  # a flag given twice counts as given last
    assert (
        cli.main(["pretrain", str(prepared / "texts.txt"), "--out", str(tmp_path / "r"), *words])
        == 2
    )
    line = capsys.readouterr().err.splitlines()[-1]
    assert named in line
    assert not (tmp_path / "r").exists()


def test_a_folder_that_holds_the_results_of_a_run(refused, prepared):
    line = refused(prepared / "shards", out=prepared / "run")
    assert "holds the results of a run: choose another --out" in line


def test_a_file_in_the_place_of_the_run_folder(refused, prepared):
    line = refused(prepared / "shards", out=prepared / "texts.txt")
    assert "is a file: choose another --out" in line


def test_too_many_lines_that_cannot_be_read(refused, tmp_path):
    lines = [json.dumps({"text": text}) for text in toy_documents(20)] + ["not JSON"]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    line = refused(tmp_path / "texts.jsonl")
    assert "texts.jsonl, line 21: not JSON" in line
    assert "--max-bad-fraction" in line


def copy_tree(source: Path, target: Path) -> None:
    for name, content in tree(source).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
