"""Claim: one core prepares more than 1.5 million tokens a second of packed, masked sentence pairs.

A fast GPU then never waits for data. Each round builds all batches of one epoch of real text, in
one process with one thread. The time includes planning the epoch's pairs, building them, masking,
and packing them into tensors. Nothing is padded: every token is text or a separator.

    python benchmarks/batch_throughput.py [--corpus FILE] [--vocabulary vocab.txt] [--rounds 3]

prints one JSON object: for each kind of batch the tokens a second, by wall time and by the
processor time of this process (equal if nothing else runs). These are medians of the rounds; the
object also holds every round, with the time that planning took.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from english_sample import CORPUS, VOCABULARY, prepare_shards

SHARD_TOKENS = 2_000_000  # several shards, as a large corpus has
MASK_PROBABILITY = 0.15
BOTH = ("mlm", "nsp")
RATES = ("tokens_per_second", "tokens_per_core_second")

# name: objectives, unit of masking, sequences in a batch, longest sequence
KINDS = {
    "pairs, 32 × 128": (BOTH, "token", 32, 128),
    "pairs, 256 × 128": (BOTH, "token", 256, 128),
    "pairs, 32 × 512": (BOTH, "token", 32, 512),
    "pairs, 256 × 128, whole words": (BOTH, "whole-word", 256, 128),
    "pairs, 256 × 128, spans": (BOTH, "span", 256, 128),
    "full sequences, 256 × 128": (("mlm",), "token", 256, 128),
}


def main() -> None:
    """Prepare the shards, run the rounds, and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = prepare_shards(
            arguments.corpus, arguments.vocabulary, Path(folder), shard_tokens=SHARD_TOKENS
        )
        print(json.dumps(measure(shards, arguments.rounds), indent=2, ensure_ascii=False))


def measure(shards: Path, rounds: int) -> dict:
    """Measure every kind of batch once a round, in turn."""
    import torch

    torch.set_num_threads(1)
    epochs: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, results in epochs.items():
            results.append(one_epoch(shards, *KINDS[kind]))
            print(f"{kind}: {results[-1]['tokens_per_second']:,} tokens/s", file=sys.stderr)
    return {
        "cores": 1,
        **{rate: medians(epochs, rate) for rate in RATES},
        "rounds": epochs,
    }


def medians(epochs: dict[str, list[dict]], rate: str) -> dict[str, int]:
    """The median over the rounds, for each kind of batch."""
    return {
        kind: round(statistics.median(result[rate] for result in results))
        for kind, results in epochs.items()
    }


def one_epoch(
    shards: Path, objectives: tuple[str, ...], unit: str, batch_size: int, max_length: int
) -> dict:
    """Time all batches of one epoch, planning included."""
    from selfsup.corpus.tokenizer.folder import load_tokenizer
    from selfsup.corpus.tokenizer.words import continuation_pieces
    from selfsup.pretraining.text.batches import TextBatches, TextData
    from selfsup.pretraining.text.masking import Masking
    from selfsup.pretraining.text.model import text_objectives
    from selfsup.pretraining.text.sequences import (
        TextCorpus,
        special_tokens,
        split_held_out,
    )
    from selfsup.shards.tokens import open_shards

    opened = open_shards(shards)
    tokenizer = load_tokenizer(opened.tokenizer_folder)
    masking = Masking(
        MASK_PROBABILITY,
        unit,
        special_tokens(tokenizer),
        opened.vocab_size,
        continuation_pieces(tokenizer),
    )
    corpus = TextCorpus(opened.shards)
    documents, _ = split_held_out(corpus, 0.01)
    learned = text_objectives(objectives)
    data = TextData(corpus, documents, masking, learned, max_length)
    batches = TextBatches(data, batch_size, seed=0)
    started, core_started = time.perf_counter(), time.process_time()
    tokens = batches[0].token_count
    planning_seconds = time.process_time() - core_started
    for step in range(1, batches.end_step):
        tokens += batches[step].token_count
    core_seconds = time.process_time() - core_started
    seconds = time.perf_counter() - started
    return {
        "tokens_per_second": round(tokens / seconds),
        "tokens_per_core_second": round(tokens / core_seconds),
        "tokens": tokens,
        "seconds": round(seconds, 3),
        "core_seconds": round(core_seconds, 3),
        "core_seconds_of_planning": round(planning_seconds, 3),
    }


if __name__ == "__main__":
    main()
