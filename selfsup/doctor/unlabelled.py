"""What can be wrong with data to pre-train on: text, images, and the shards prepared from them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.corpus.readers.documents import BadRecord
from selfsup.corpus.readers.inputs import find_inputs
from selfsup.corpus.readers.sources import RecordStream
from selfsup.corpus.text import clean_paragraphs, guess_language, split_sentences
from selfsup.corpus.tokenizer.folder import load_tokenizer, tokenizer_sha256
from selfsup.corpus.tokenizer.unknown import UnknownCharacters
from selfsup.corpus.workers import default_workers
from selfsup.doctor import Fact, Finding, Problem, fix_of
from selfsup.errors import UserError
from selfsup.images.files import ClassWithoutImages, search_images
from selfsup.images.pixels import BadImage, ResizeShorterSide, decode
from selfsup.pretraining.text.documents import why_few_pairs
from selfsup.settings.reading import FileFormat
from selfsup.shards.folder import damage_of, read_manifest
from selfsup.shards.images import IMAGE_SHARDS, ImageShards
from selfsup.shards.tokens import TOKEN_SHARDS, Shards, open_shards

# Of text. The shares are of all documents.
_MAX_RECORDS = 1_000_000  # later records are not read, to limit the memory
_MIN_CHARACTERS = 1_000_000
_MAX_DUPLICATE_TEXTS = 0.1
_MAX_EMPTY = 0.01
_MAX_DAMAGED = 0.01
_MAX_SPLIT = 1000  # documents that are split into sentences, which takes long
_REPLACEMENT = "\ufffd"
_DIVIDE_OTHERWISE = (
    "pretrain with --objectives mlm, or divide the text otherwise: in .txt files documents are "
    "lines, files, or parts between blank lines (--text-documents), elsewhere records"
)
# Of images.
_MIN_IMAGES = 2  # one to train on, one to measure with
_DECODED_SIZE = ResizeShorterSide(64)  # small, as this only tells whether it can be read
# Of token shards.
_MIN_TOKENS = 1_000_000
_MAX_MEAN_SENTENCE = 100.0  # tokens
_MAX_DUPLICATES = 0.5  # of all documents


def corpus_problems(source: str, file_format: FileFormat) -> Iterator[Finding]:
    """Read a file or folder as ``prepare`` does, and count the documents.

    Raises:
        UserError: there is nothing to read, or no field that contains text.
    """
    documents = empty = damaged = duplicates = characters = bad = 0
    sentences: list[int] = []  # of each document, 2 if it has more
    first_bad: BadRecord | None = None
    seen: set[int] = set()
    records = RecordStream(find_inputs([source]), file_format=file_format)
    for _, _, record in islice(records, _MAX_RECORDS):
        if isinstance(record, BadRecord):
            bad += 1
            first_bad = first_bad or record
            continue
        documents += 1
        characters += len(record.text)
        damaged += _REPLACEMENT in record.text
        paragraphs = clean_paragraphs(record.text)
        if not paragraphs:
            empty += 1
        elif (key := hash("\n".join(paragraphs))) in seen:
            duplicates += 1
        else:
            seen.add(key)
            if len(sentences) < _MAX_SPLIT:
                first = split_sentences(paragraphs[0][:_MAX_SPLIT], guess_language(record.text))
                sentences.append(min(2, len(paragraphs) + len(first) - 1))
    yield Fact("documents", documents)
    yield Fact("characters", characters)
    if first_bad is not None:
        yield Problem(
            f"{bad:,} of {documents + bad:,} records cannot be read; the first: {first_bad}",
            fix_of(first_bad, "fix them, or raise --max-bad-fraction to leave them out"),
        )
    if empty > _MAX_EMPTY * documents:
        yield Problem(
            f"{empty:,} of {documents:,} documents are empty", "name the right --text-field"
        )
    if damaged > _MAX_DAMAGED * documents:
        yield Problem(
            f"{damaged:,} of {documents:,} documents hold {_REPLACEMENT}, which takes the place of "
            "bytes that were read in a wrong encoding",
            "make the file again from its source, in the right encoding",
        )
    if duplicates > _MAX_DUPLICATE_TEXTS * documents:
        yield Problem(
            f"{duplicates:,} of {documents:,} documents are duplicates of others",
            "prepare drops them; check whether the text is there twice",
        )
    if sentences and (why := why_few_pairs(np.array(sentences), duplicates)):
        among = f"among the first {_MAX_SPLIT:,}: " if len(seen) > _MAX_SPLIT else ""
        yield Problem(f"{among}{why}", _DIVIDE_OTHERWISE)
    if characters < _MIN_CHARACTERS:
        yield Problem(
            f"{characters:,} characters: from so little text an encoder learns little",
            "give more text; a few megabytes is little, some hundred are good",
        )


def image_problems(path: str) -> Iterator[Finding]:
    """Decode every image; if there is a folder for each class, count the images of each.

    Raises:
        UserError: there is no image.
    """
    found = search_images(path)
    files = found.files
    try:
        yield Fact("images", dict(Counter(found.labels())))
    except ClassWithoutImages as error:
        yield Fact("images", len(files))
        yield Problem.from_error(error)
    except UserError:  # no classes: images to pre-train on
        yield Fact("images", len(files))
    for note in found.notes():
        yield Problem(note, "see whether images are missing")
    with ThreadPoolExecutor(default_workers()) as threads:
        reasons = threads.map(_why_unreadable, files)
        bad = [(file, why) for file, why in zip(files, reasons, strict=True) if why]
    if bad:
        yield Problem(
            f"{len(bad):,} of {len(files):,} images cannot be read; the first: {bad[0][0]}: "
            f"{bad[0][1]}",
            "replace or delete them, or let --max-bad-fraction allow for them",
        )
    if len(files) - len(bad) < _MIN_IMAGES:
        yield Problem(
            f"{path}: pre-training needs {_MIN_IMAGES} images, one to train on and one to "
            "measure with",
            "give more images",
        )


def _why_unreadable(file: Path) -> str:
    """Why an image cannot be read; empty if it can."""
    try:
        decode(file, _DECODED_SIZE)
    except BadImage as error:
        return str(error)
    return ""


def image_shards_problems(folder: Path) -> Iterator[Finding]:
    """Compare decoded images with the manifest of their folder.

    Raises:
        UserError: the folder is incomplete, or a shard contradicts itself.
    """
    manifest = read_manifest(folder, IMAGE_SHARDS)
    yield Fact("images", manifest["images"])
    if bad := manifest["bad_images"]:
        yield Problem(
            f"{bad:,} images could not be read and were left out",
            f"{folder / 'problems.jsonl'} names each",
        )
    damages = [damage_of(folder, entry, verify=True) for entry in manifest["shards"]]
    for damage in filter(None, damages):
        yield Problem(damage, f"delete {folder} and read the images again")
    if not any(damages):
        ImageShards.read(folder)


def shards_problems(folder: Path) -> Iterator[Finding]:
    """Compare token shards with their manifest, then check the text in them.

    Raises:
        UserError: the folder is incomplete, the tokenizer cannot be read, or a shard contradicts
            itself.
    """
    manifest = read_manifest(folder, TOKEN_SHARDS)
    for name in TOKEN_SHARDS.units[::-1]:
        yield Fact(name, manifest[name])
    damages = [damage_of(folder, entry, verify=True) for entry in manifest["shards"]]
    for damage in filter(None, damages):
        yield Problem(damage, "run the same prepare command again; it makes this shard again")
    if any(damages):
        return
    yield from _reading_problems(manifest, folder)
    shards = open_shards(folder, verify=True)
    yield from _tokenizer_problems(shards)
    yield from _shard_text_problems(shards)


def _reading_problems(manifest: dict, folder: Path) -> Iterator[Problem]:
    if bad := manifest["bad_records"]:
        yield Problem(
            f"{bad:,} of {manifest['records']:,} records could not be read and were left out",
            f"{folder / 'problems.jsonl'} names each with its file and line",
        )
    read = manifest["documents"] + manifest["duplicate_documents"] + manifest["empty_documents"]
    if manifest["duplicate_documents"] > _MAX_DUPLICATES * read:
        yield Problem(
            f"{manifest['duplicate_documents']:,} of {read:,} documents were duplicates of others",
            "they were dropped; check whether the same files were given twice",
        )


def _tokenizer_problems(shards: Shards) -> Iterator[Problem]:
    tokenizer = load_tokenizer(shards.tokenizer_folder)
    if tokenizer_sha256(tokenizer) != shards.manifest["tokenizer_sha256"]:
        yield Problem(
            f"{shards.tokenizer_folder}: not the tokenizer that made these shards",
            "put the right one back, or prepare the text again into another folder",
        )
        return
    yield from unknown_problems(shards.manifest)


def unknown_problems(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """How much of the text of token shards became ``[UNK]``, if it is much."""
    counts = UnknownCharacters.of_manifest(manifest)
    if fix := counts.fix():
        yield Problem(counts.what, f"{fix}, and prepare it again")


def pair_problems(shards: Shards, accuracy: float | None = None) -> Iterator[Problem]:
    """Whether few documents have a next sentence, so that a run's accuracy there says little."""
    sentences = _sentences_of_documents(shards)
    if why := why_few_pairs(sentences, shards.manifest["duplicate_documents"]):
        measured = "" if accuracy is None else f"{accuracy:.1%} of next sentences are guessed: "
        yield Problem(f"{measured}{why}", _DIVIDE_OTHERWISE)


def _sentences_of_documents(shards: Shards) -> np.ndarray:
    return np.concatenate([np.diff(shard.document_offsets) for shard in shards.shards])


def _shard_text_problems(shards: Shards) -> Iterator[Problem]:
    sentences = _sentences_of_documents(shards)
    tokens = sum(len(shard.tokens) for shard in shards.shards)
    yield from pair_problems(shards)
    mean = tokens / max(1, int(sentences.sum()))
    if mean > _MAX_MEAN_SENTENCE:
        yield Problem(
            f"sentences are {mean:.0f} tokens long on average: few sentence ends were found",
            "prepare again with the text's --language",
        )
    if tokens < _MIN_TOKENS:
        yield Problem(
            f"{tokens:,} tokens: from so little text an encoder learns little",
            "give more text; a million tokens (some 5 MB) is little, a hundred million is good",
        )
