import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from selfsup.atomic_files import locked
from selfsup.corpus import blocks as record_blocks
from selfsup.corpus import prepare as prepare_module
from selfsup.corpus.prepare import prepare
from selfsup.corpus.readers.inputs import find_inputs, inputs_sha256
from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer, tokenizer_sha256
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_tokenizer
from selfsup.errors import UserError
from selfsup.shards.folder import first_damage
from selfsup.shards.tokens import TokenResumeState, open_shards

WORDS = ["red", "grey", "brown", "white", "fox", "wolf", "bear", "owl", "runs", "sleeps", "howls"]


def sentence(*keys: int) -> str:
    """A sentence of five words, a function of the keys."""
    digest = hashlib.sha256(repr(keys).encode()).digest()
    return " ".join(WORDS[byte % len(WORDS)] for byte in digest[:5]).capitalize() + "."


def document(number: int) -> str:
    """Three paragraphs of two sentences; every seventh repeats one of before, within or whole."""
    if number % 7 == 6:
        return document(number - 6)
    paragraphs = [f"{sentence(number, p)} {sentence(number, p, 1)}" for p in range(3)]
    if number % 7 == 5:
        paragraphs[1] = document(number - 5).split("\n")[1]
    return "\n".join(paragraphs)


def write_corpus(folder: Path, documents: int = 300, files: int = 3) -> Path:
    """JSON lines in several files, with a line now and then that is not JSON."""
    folder.mkdir(parents=True)
    for part in range(files):
        lines = []
        for number in range(part, documents, files):
            lines.append(json.dumps({"id": number, "text": document(number)}))
            if number % 150 == 149:
                lines.append("not JSON")
        (folder / f"part-{part}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus")


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [document(number) for number in range(50)]
    save_tokenizer(train_tokenizer(texts, vocab_size=80, allow_fewer=True), folder)
    return folder


def run(corpus, tokenizer_folder, out, **options):
    options = {"workers": 1, "shard_tokens": 1500, "show_progress": False, **options}
    return prepare([str(corpus)], tokenizer_folder, out, **options)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def expected(corpus, tokenizer_folder, tmp_path_factory) -> dict[str, bytes]:
    """What an uninterrupted run writes."""
    out = tmp_path_factory.mktemp("expected") / "shards"
    run(corpus, tokenizer_folder, out)
    return contents(out)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So that even a small corpus is many blocks, whose ends are not those of shards."""
    monkeypatch.setattr(record_blocks, "_BLOCK_BYTES", 1000)


def test_shards_hold_every_sentence_once_in_the_order_of_the_corpus(
    corpus, tokenizer_folder, tmp_path
):
    manifest = run(corpus, tokenizer_folder, tmp_path / "out")
    tokenizer = load_tokenizer(tokenizer_folder)
    numbers = [number for part in range(3) for number in range(part, 300, 3)]
    seen: set[str] = set()
    expected, documents, paragraphs_dropped = [], 0, 0
    for number in numbers:
        text = document(number)
        if text in seen:
            continue
        seen.add(text)
        new = [p for p in text.split("\n") if not (p in seen or seen.add(p))]
        paragraphs_dropped += 3 - len(new)
        documents += bool(new)
        expected += [
            tokenizer.encode(s + ".", add_special_tokens=False).ids
            for paragraph in new
            for s in paragraph.rstrip(".").split(". ")
        ]
    shards = open_shards(tmp_path / "out")
    assert first_damage(shards.folder, shards.manifest["shards"]) is None
    found = [
        part.tolist()
        for shard in shards.shards
        for part in np.split(shard.tokens[:], shard.sentence_offsets[1:-1])
    ]
    assert found == expected
    assert manifest["sentences"] == len(expected)
    assert manifest["tokens"] == sum(map(len, expected))
    assert manifest["documents"] == documents
    assert manifest["duplicate_paragraphs"] == paragraphs_dropped > 0
    assert manifest["duplicate_documents"] + documents + manifest["empty_documents"] == 300
    assert manifest["duplicate_documents"] > 0


def test_the_manifest_says_what_the_shards_are_and_where_they_come_from(
    corpus, tokenizer_folder, tmp_path
):
    manifest = run(corpus, tokenizer_folder, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
    assert manifest["format"] == "selfsup-shards"
    assert manifest["sources"] == [str(corpus)]
    assert (manifest["records"], manifest["bad_records"]) == (302, 2)
    assert manifest["bytes_read"] == sum(len(document(n).encode()) for n in range(300))
    tokenizer = load_tokenizer(tokenizer_folder)
    assert manifest["tokenizer_sha256"] == tokenizer_sha256(tokenizer)
    assert manifest["vocab_size"] == tokenizer.get_vocab_size()
    assert len(manifest["shards"]) > 3
    for entry in manifest["shards"]:
        data = (tmp_path / "out" / entry["file"]).read_bytes()
        assert len(data) == entry["bytes"]
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    for key in ("tokens", "sentences", "documents"):
        assert manifest[key] == sum(entry[key] for entry in manifest["shards"])
    shards = open_shards(tmp_path / "out")
    copy = load_tokenizer(shards.tokenizer_folder)
    assert tokenizer_sha256(copy) == manifest["tokenizer_sha256"]
    assert shards.vocab_size == manifest["vocab_size"]


def test_a_shard_ends_with_the_document_that_fills_it(corpus, tokenizer_folder, tmp_path):
    run(corpus, tokenizer_folder, tmp_path / "out", shard_tokens=1000)
    *full, last = open_shards(tmp_path / "out").shards
    for shard in full:
        start_of_last_document = shard.sentence_offsets[shard.document_offsets[-2]]
        assert start_of_last_document < 1000 <= len(shard.tokens)
    assert len(last.tokens) > 0


def test_bad_records_are_named_beside_the_shards(corpus, tokenizer_folder, tmp_path):
    run(corpus, tokenizer_folder, tmp_path / "out")
    lines = (tmp_path / "out" / "problems.jsonl").read_text().splitlines()
    problems = [json.loads(line) for line in lines]
    assert [(p["file"], p["line"]) for p in problems] == [
        (f"{corpus}/part-2.jsonl", 51),
        (f"{corpus}/part-2.jsonl", 102),
    ]
    assert all("not JSON" in p["reason"] for p in problems)


@pytest.mark.parametrize(("workers", "block_bytes"), [(2, 200), (3, 1000), (2, 1 << 19)])
def test_the_bytes_are_the_same_for_any_number_of_workers(
    corpus, tokenizer_folder, tmp_path, expected, workers, block_bytes, monkeypatch
):
    monkeypatch.setattr(record_blocks, "_BLOCK_BYTES", block_bytes)
    run(corpus, tokenizer_folder, tmp_path / "out", workers=workers)
    assert contents(tmp_path / "out") == expected


KILLED = """
import os, signal, sys
from selfsup.corpus import blocks, prepare
from selfsup.shards import tokens
blocks._BLOCK_BYTES = 1000
owner, name, nth, when = sys.argv[4:]
owner = {"ShardWriter": tokens.ShardWriter, "prepare": prepare,
         "TokenResumeState": tokens.TokenResumeState}[owner]
original = getattr(owner, name)
calls = 0
def deadly(*arguments):
    global calls
    calls += 1
    if calls == int(nth) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments)
    if calls == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(owner, name, deadly)
prepare.prepare([sys.argv[1]], sys.argv[2], sys.argv[3], workers=2, shard_tokens=1500,
                show_progress=False)
"""


@pytest.mark.parametrize(
    ("owner", "name", "nth", "when"),
    [
        ("ShardWriter", "finish", 3, "before"),
        ("prepare", "save_hashes", 3, "before"),
        ("TokenResumeState", "save", 4, "before"),
        ("TokenResumeState", "save", 4, "after"),
    ],
)
def test_after_a_kill_the_same_command_goes_on_and_ends_with_the_same_bytes(
    corpus, tokenizer_folder, tmp_path, expected, capsys, owner, name, nth, when
):
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(corpus), str(tokenizer_folder), str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([*command, owner, name, str(nth), when], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(UserError, match="interrupted"):
        open_shards(out)
    finished = {name: (out / name).stat().st_mtime_ns for name in _finished_shards(out)}
    run(corpus, tokenizer_folder, out, workers=2, show_progress=True)
    assert contents(out) == expected
    for name, changed in finished.items():
        assert (out / name).stat().st_mtime_ns == changed
    assert ("going on after" in capsys.readouterr().err) == bool(finished)


def _finished_shards(out: Path) -> list[str]:
    progress = json.loads((out / "progress.json").read_text())
    return [entry["file"] for entry in progress["shards"]]


def test_an_interrupted_folder_goes_on_even_if_a_finished_shard_was_damaged(
    corpus, tokenizer_folder, tmp_path, expected
):
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(corpus), str(tokenizer_folder), str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [*command, "TokenResumeState", "save", "4", "after"], env=environment, check=False
    )
    (out / _finished_shards(out)[1]).write_bytes(b"damaged")
    run(corpus, tokenizer_folder, out)
    assert contents(out) == expected


@pytest.fixture
def interrupted(corpus, tokenizer_folder, tmp_path, monkeypatch) -> Path:
    """A folder in which all shards are written, but no manifest."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            run(corpus, tokenizer_folder, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("damage", ["cut short", "one byte more", "altered", "empty"])
def test_damaged_hashes_of_an_interrupted_call_are_made_again(
    corpus, tokenizer_folder, interrupted, expected, damage, capsys
):
    path = interrupted / "hashes-00000.u64"
    data = path.read_bytes()
    changed = {"cut short": data[:-8], "one byte more": data + b"\0", "empty": b""}
    path.write_bytes(changed.get(damage, bytes([data[0] ^ 1]) + data[1:]))
    run(corpus, tokenizer_folder, interrupted, show_progress=True)
    assert contents(interrupted) == expected
    assert re.search("hashes-00000.*: beginning again", capsys.readouterr().err)


def test_a_folder_in_place_of_hashes_is_named(corpus, tokenizer_folder, interrupted):
    (interrupted / "hashes-00000.u64").unlink()
    (interrupted / "hashes-00000.u64").mkdir()
    with pytest.raises(UserError, match=r"hashes-00000\.u64: .*: remove it"):
        run(corpus, tokenizer_folder, interrupted)


PROGRESS_DAMAGES = {
    "another position": lambda state: state.update(position=[0, 3]),
    "other counts": lambda state: state["counts"].update(tokens=5),
    "another checksum": lambda state: state["hashes_sha256"].reverse(),
    "a lost value": lambda state: state.pop("first_bad"),
    "one more value": lambda state: state.update(more=1),
}


@pytest.mark.parametrize("name", PROGRESS_DAMAGES)
def test_damaged_progress_is_never_gone_on_from(
    corpus, tokenizer_folder, interrupted, name, capsys
):
    path = interrupted / "progress.json"
    state = json.loads(path.read_bytes())
    PROGRESS_DAMAGES[name](state)
    path.write_text(json.dumps(state))
    before = contents(interrupted)
    with pytest.raises(UserError, match=r"progress\.json: damaged, .*delete .* run prepare again"):
        run(corpus, tokenizer_folder, interrupted)
    assert contents(interrupted) == before


def test_complete_shards_are_left_alone(corpus, tokenizer_folder, tmp_path, capsys):
    out = tmp_path / "out"
    first = run(corpus, tokenizer_folder, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert run(corpus, tokenizer_folder, out, show_progress=True, workers=2) == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert "is complete" in capsys.readouterr().err


def test_a_call_that_was_killed_after_its_manifest_leaves_nothing_for_good(
    corpus, tokenizer_folder, tmp_path, expected
):
    out = tmp_path / "out"
    run(corpus, tokenizer_folder, out)
    for name in ("progress.json", "hashes-00000.u64", ".shard-00001.tokens"):
        (out / name).write_bytes(b"kept for resuming")
    run(corpus, tokenizer_folder, out)
    assert contents(out) == expected


def test_a_folder_that_another_process_writes_to_is_left_alone(corpus, tokenizer_folder, tmp_path):
    with (
        locked(tmp_path / "out"),
        pytest.raises(UserError, match="another process is at work there"),
    ):
        run(corpus, tokenizer_folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("damage", ["cut short", "altered", "removed"])
def test_a_damaged_shard_is_made_again(
    corpus, tokenizer_folder, tmp_path, expected, damage, capsys
):
    out = tmp_path / "out"
    run(corpus, tokenizer_folder, out)
    path = out / "shard-00001.safetensors"
    data = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(data[:-5] if damage == "cut short" else data[:-1] + b"\xff")
    run(corpus, tokenizer_folder, out, show_progress=True)
    assert contents(out) == expected
    assert "shard-00001" in capsys.readouterr().err


def test_shards_of_another_corpus_tokenizer_or_setting_are_not_touched(
    corpus, tokenizer_folder, tmp_path
):
    out = tmp_path / "out"
    run(corpus, tokenizer_folder, out)
    before = contents(out)
    other = write_corpus(tmp_path / "other", documents=30)
    other_tokenizer = tmp_path / "tokenizer"
    save_tokenizer(train_tokenizer([document(1)] * 2, vocab_size=30), other_tokenizer)
    for arguments, options, message in (
        ((other, tokenizer_folder), {}, "other corpus files"),
        ((corpus, other_tokenizer), {}, "other tokenizer"),
        ((corpus, tokenizer_folder), {"language": "ko"}, "other settings"),
    ):
        with pytest.raises(UserError, match=f"{message}: choose another --out"):
            run(*arguments, out, **options)
        assert contents(out) == before


@pytest.mark.parametrize("text", ["", '{"text": ""}\n', '{"text": "\\u200b"}\n'])
def test_an_empty_corpus_is_refused_and_leaves_no_shards(tokenizer_folder, tmp_path, text):
    path = tmp_path / "empty.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=r"empty\.jsonl: no text in it"):
        run(path, tokenizer_folder, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_corpus_without_text_leaves_the_folder_to_the_next_call(
    corpus, tokenizer_folder, tmp_path, expected
):
    out = tmp_path / "out"
    (tmp_path / "empty.jsonl").write_text('{"text": ""}\nnot JSON\n')
    for begun_before in (False, True):
        if begun_before:  # a call that was killed before its first shard
            TokenResumeState({}).save(out)
            save_tokenizer(load_tokenizer(tokenizer_folder), out / "tokenizer")
        with pytest.raises(UserError, match="no text in it"):
            run(tmp_path / "empty.jsonl", tokenizer_folder, out, max_bad_fraction=0.5)
    run(corpus, tokenizer_folder, out)
    assert contents(out) == expected


def test_a_corpus_without_text_leaves_what_was_there_before(tokenizer_folder, tmp_path):
    out, path = tmp_path / "out", tmp_path / "one.txt"
    path.write_text("Red fox runs.")
    run(path, tokenizer_folder, out)
    tokenizer = contents(out / "tokenizer")
    manifest = json.loads((out / "manifest.json").read_text())
    path.write_text(" ")
    manifest["inputs_sha256"] = inputs_sha256(find_inputs([str(path)]))
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "shard-00000.safetensors").unlink()
    with pytest.raises(UserError, match="no text in it"):
        run(path, tokenizer_folder, out)
    assert contents(out / "tokenizer") == tokenizer


def test_a_corpus_of_one_document_is_one_shard(tokenizer_folder, tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("Red fox runs. Grey wolf howls.")
    assert run(path, tokenizer_folder, tmp_path / "out")["documents"] == 1
    assert len(open_shards(tmp_path / "out").shards) == 1


def test_shards_that_lie_among_the_texts_are_not_read_as_texts(tokenizer_folder, tmp_path):
    (tmp_path / "one.txt").write_text("Red fox runs. Grey wolf howls.")
    first = run(tmp_path, tokenizer_folder, tmp_path / "shards")
    assert (tmp_path / "shards" / "tokenizer" / "vocab.txt").exists()
    assert run(tmp_path, tokenizer_folder, tmp_path / "shards") == first


def test_ctrl_c_leaves_no_worker_and_says_how_to_go_on(
    corpus, tokenizer_folder, tmp_path, expected, monkeypatch
):
    from selfsup.corpus import workers as worker_pool

    pools = []
    original = worker_pool.WorkerPool._encode_block

    def interrupted(pool, texts):
        pools.append(pool)
        if len(pools) == 30:
            raise KeyboardInterrupt
        return original(pool, texts)

    monkeypatch.setattr(worker_pool.WorkerPool, "_encode_block", interrupted)
    with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
        run(corpus, tokenizer_folder, tmp_path / "out", show_progress=True)
    assert pools[0]._processes
    assert all(process.returncode is not None for process in pools[0]._processes)
    monkeypatch.setattr(worker_pool.WorkerPool, "_encode_block", original)
    run(corpus, tokenizer_folder, tmp_path / "out")
    assert contents(tmp_path / "out") == expected


def test_too_many_bad_records_stop_it_and_are_named(tokenizer_folder, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "Red fox."}\nbad\n' * 10)
    with pytest.raises(UserError, match=r"bad\.jsonl, line 2: not JSON.* 10 of 20"):
        run(path, tokenizer_folder, tmp_path / "out")
    problems = (tmp_path / "out" / "problems.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in problems] == list(range(2, 21, 2))
    assert run(path, tokenizer_folder, tmp_path / "out", max_bad_fraction=0.5)["bad_records"] == 10
    assert (tmp_path / "out" / "problems.jsonl").read_text().splitlines() == problems


def test_wrong_arguments_are_refused_before_anything_is_written(corpus, tokenizer_folder, tmp_path):
    out = tmp_path / "out"
    for arguments, message in (
        ((tmp_path / "missing.txt", tokenizer_folder), "no such file"),
        ((corpus, tmp_path / "missing"), "no such folder"),
    ):
        with pytest.raises(UserError, match=message):
            run(*arguments, out)
        assert not out.exists()
    out.write_text("a file")
    with pytest.raises(UserError, match="choose another folder"):
        run(corpus, tokenizer_folder, out)
    assert out.read_text() == "a file"


def test_a_worker_that_is_killed_is_an_error_with_a_way_out(
    corpus, tokenizer_folder, tmp_path, monkeypatch
):
    from selfsup.corpus import workers as worker_pool

    suicide = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(worker_pool, "_START", suicide)
    with pytest.raises(UserError, match=r"killed by signal 9.*fewer --workers"):
        run(corpus, tokenizer_folder, tmp_path / "out")


def test_a_worker_that_is_killed_before_it_has_read_its_tokenizer_is_the_same_error(monkeypatch):
    from selfsup.corpus import workers as worker_pool

    suicide = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(worker_pool, "_START", suicide)
    tokens = [*SPECIAL_TOKENS, *(f"token{number}" for number in range(20_000))]
    ids = {token: index for index, token in enumerate(tokens)}
    large = wordpiece_tokenizer(ids, lowercase=True, strip_accents=False)
    with (
        worker_pool.WorkerPool(1, large, "en") as pool,
        pytest.raises(UserError, match=r"killed by signal 9.*fewer --workers"),
    ):
        list(pool.encode([("a block", [b"A text."])]))


def test_progress_lines_are_plain_where_there_is_no_terminal(
    corpus, tokenizer_folder, tmp_path, capsys, monkeypatch
):
    from selfsup import progress as progress_display

    monkeypatch.setattr(progress_display, "_SECONDS_BETWEEN_LINES", 0.0)
    run(corpus, tokenizer_folder, tmp_path / "out", show_progress=True)
    captured = capsys.readouterr()
    assert "MB/s" in captured.err
    assert " left" in captured.err
    assert "\x1b" not in captured.err
    assert captured.out == ""
    run(corpus, tokenizer_folder, tmp_path / "quiet")
    assert capsys.readouterr() == ("", "")


def test_documentation_of_installed_packages_can_be_prepared(
    tokenizer_folder, tmp_path, monkeypatch
):
    from selfsup.corpus.readers import docstrings

    modules = dict(docstrings.installed_modules())
    chosen = [(name, modules[name]) for name in ("argparse", "json", "json.decoder")]
    monkeypatch.setattr(docstrings, "installed_modules", lambda: chosen)
    manifest = run("docs://installed", tokenizer_folder, tmp_path / "out")
    assert manifest["documents"] > 5


def test_the_characters_that_become_unk_are_counted_and_told(tokenizer_folder, tmp_path, capsys):
    texts = [document(number) for number in range(5)]
    texts += ["żółw fox.", "żółw fox.", "owl " + "r" * 120]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    manifest = run(
        tmp_path / "texts.jsonl", tokenizer_folder, tmp_path / "cuts", show_progress=True
    )
    known = sum(len("".join(text.split())) for text in [*texts[:6], texts[7]])
    assert manifest["characters"] == known
    assert (manifest["unknown_characters"], manifest["unknown_in_long_words"]) == (4, 0)
    assert "0.5% of the characters are in words that become [UNK]" in capsys.readouterr().err

    vocabulary = load_tokenizer(tokenizer_folder).get_vocab()
    bert = wordpiece_tokenizer(vocabulary, lowercase=True, strip_accents=False)
    save_tokenizer(bert, tmp_path / "bert")
    manifest = run(
        tmp_path / "texts.jsonl", tmp_path / "bert", tmp_path / "long", show_progress=True
    )
    assert (manifest["unknown_characters"], manifest["unknown_in_long_words"]) == (124, 120)
    assert "most of them in words that are too long" in capsys.readouterr().err
