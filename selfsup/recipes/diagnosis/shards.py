"""What can be wrong with a folder of token shards."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from selfsup.corpus.manifest import damage_of
from selfsup.corpus.shards import Shard, Shards, open_shards, read_manifest
from selfsup.corpus.tokenizer_folder import load_tokenizer, tokenizer_sha256
from selfsup.recipes.diagnosis.problem import Fact, Finding, Problem

_FEWEST_DOCUMENTS = 4  # two to train on, two to measure with
_FEWEST_TOKENS = 1_000_000
_MOST_UNKNOWN = 0.01
_MOST_SINGLE_SENTENCES = 0.5
_LONGEST_MEAN_SENTENCE = 100.0
_MOST_DUPLICATES = 0.5


def shards_problems(folder: Path) -> Iterator[Finding]:
    """Compare the files with the manifest, then look at the text in them.

    Raises:
        UserError: the folder is not finished, or the tokenizer cannot be read.
    """
    manifest = read_manifest(folder)
    for name in ("documents", "sentences", "tokens"):
        yield Fact(name, manifest[name])
    damages = [damage_of(folder, entry, verify=True) for entry in manifest["shards"]]
    for damage in filter(None, damages):
        yield Problem(damage, "run the same prepare command again, it makes this shard anew")
    if any(damages):
        return
    yield from _reading_problems(manifest, folder)
    shards = open_shards(folder)
    yield from _tokenizer_problems(shards)
    for entry, shard in zip(manifest["shards"], shards.shards, strict=True):
        if not _is_consistent(shard, shards.vocab_size):
            yield Problem(
                f"{folder / entry['file']}: its offsets or token ids contradict each other",
                "delete the folder and run prepare again",
            )
            return
    yield from _text_problems(shards)


def _reading_problems(manifest: dict, folder: Path) -> Iterator[Problem]:
    if bad := manifest["bad_records"]:
        yield Problem(
            f"{bad:,} of {manifest['records']:,} records could not be read and were left out",
            f"{folder / 'problems.jsonl'} names each with its file and line",
        )
    read = manifest["documents"] + manifest["duplicate_documents"] + manifest["empty_documents"]
    if manifest["duplicate_documents"] > _MOST_DUPLICATES * read:
        yield Problem(
            f"{manifest['duplicate_documents']:,} of {read:,} documents were duplicates of others",
            "they were dropped; look whether the same files were given twice",
        )


def _tokenizer_problems(shards: Shards) -> Iterator[Problem]:
    tokenizer = load_tokenizer(shards.tokenizer_folder)
    if tokenizer_sha256(tokenizer) != shards.manifest["tokenizer_sha256"]:
        yield Problem(
            f"{shards.tokenizer_folder}: not the tokenizer that made these shards",
            "put the right one back, or prepare the text again into another folder",
        )
        return
    unknown = tokenizer.token_to_id("[UNK]")
    tokens = sum(len(shard.tokens) for shard in shards.shards)
    found = sum(int((shard.tokens == unknown).sum()) for shard in shards.shards)
    if found > _MOST_UNKNOWN * tokens:
        yield Problem(
            f"{found / tokens:.1%} of the tokens are [UNK]: the tokenizer does not know them",
            "train a tokenizer on this text with selfsup train-tokenizer, and prepare it again",
        )


def _is_consistent(shard: Shard, vocab_size: int) -> bool:
    """Whether the sentences cover the tokens, the documents the sentences, in order."""
    parts = ((shard.sentence_offsets, len(shard.tokens)),
             (shard.document_offsets, len(shard.sentence_offsets) - 1))  # fmt: skip
    for offsets, end in parts:
        if (
            len(offsets) < 2
            or offsets[0] != 0
            or offsets[-1] != end
            or (np.diff(offsets) < 0).any()
        ):
            return False
    return len(shard.tokens) == 0 or int(shard.tokens.max()) < vocab_size


def _text_problems(shards: Shards) -> Iterator[Problem]:
    sentences = np.concatenate([np.diff(shard.document_offsets) for shard in shards.shards])
    documents, tokens = len(sentences), sum(len(shard.tokens) for shard in shards.shards)
    if empty := int((sentences == 0).sum()):
        yield Problem(
            f"{empty:,} of {documents:,} documents are empty",
            "delete the folder and run prepare again, which leaves such documents out",
        )
    single = float((sentences == 1).mean())
    if single > _MOST_SINGLE_SENTENCES:
        yield Problem(
            f"{single:.0%} of the documents are a single sentence, after which nothing can follow",
            "pretrain with --objectives mlm, or see whether --text-documents takes texts apart",
        )
    mean = tokens / max(1, int(sentences.sum()))
    if mean > _LONGEST_MEAN_SENTENCE:
        yield Problem(
            f"sentences are {mean:.0f} tokens long on average: few sentence ends were found",
            "prepare again with the text's --language",
        )
    if documents < _FEWEST_DOCUMENTS:
        yield Problem(
            f"{documents} documents: pre-training needs {_FEWEST_DOCUMENTS}, some to measure with",
            "give more text; if it is one long file, set its documents apart with blank lines",
        )
    elif tokens < _FEWEST_TOKENS:
        yield Problem(
            f"{tokens:,} tokens: from so little text an encoder learns little",
            "give more text; a million tokens (some 5 MB) is little, a hundred million is good",
        )
