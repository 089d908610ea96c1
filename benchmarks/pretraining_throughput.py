"""Claim: pre-training BERT-mini is several times as fast as a loop around transformers.

Both train BERT-mini (vocabulary 30,522) with masked language modelling and next-sentence
prediction on the same batches of real text: 32 pairs of up to 128 tokens, 15 % masked, dropout 0,
AdamW, gradient clipping. Flags choose another device and other sizes. Only tokens of text count
towards the speed, not padding. Each setting runs in its own process, in turn, for several rounds;
the medians are compared. The first steps allocate memory and compile kernels, and are not timed.

The peer is ``transformers.BertForPreTraining``:

- in a plain loop: float32, torch.optim.AdamW with its defaults;
- with its best settings: bf16 autocast and fused AdamW, with each attention implementation,
  compiled and not; the fastest of these counts.

    python benchmarks/pretraining_throughput.py [--corpus FILE] [--vocabulary FILE] [--rounds 3]
    python benchmarks/pretraining_throughput.py --device cuda --encoder bert-base --batch-size 256

prints one JSON object.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from english_sample import CORPUS, VOCABULARY, prepare_shards

WARM_UP_STEPS = 20
PLAIN = "transformers float32"
BEST = [
    "transformers bf16 sdpa",
    "transformers bf16 eager",
    "transformers bf16 sdpa compiled",
    "transformers bf16 eager compiled",
]
OURS = "selfsup"


@dataclasses.dataclass(frozen=True)
class Load:
    """What a step computes, and on which device.

    Attributes:
        device: "cpu" or "cuda".
        encoder: a size of BERT.
        batch_size: pairs in a batch.
        max_length: maximum tokens of a pair.
        steps: number of timed steps.
    """

    device: str
    encoder: str
    batch_size: int
    max_length: int
    steps: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--encoder", default="bert-mini", help="a size of BERT")
    parser.add_argument("--batch-size", type=int, default=32, help="pairs in a batch")
    parser.add_argument("--max-length", type=int, default=128, help="maximum tokens of a pair")
    parser.add_argument("--steps", type=int, default=12, help="timed steps a round")
    parser.add_argument("--one", nargs=2, metavar=("SETTING", "SHARDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fields = [field.name for field in dataclasses.fields(Load)]
    load = Load(**{name: getattr(arguments, name) for name in fields})
    if arguments.one:
        setting, shards = arguments.one
        print(json.dumps(measure(setting, Path(shards), load)))
        return
    of_load = [f"--{name.replace('_', '-')}={getattr(load, name)}" for name in fields]
    with tempfile.TemporaryDirectory() as folder:
        shards = prepare_shards(arguments.corpus, arguments.vocabulary, Path(folder))
        rates: dict[str, list[float]] = {name: [] for name in [OURS, PLAIN, *BEST]}
        for _ in range(arguments.rounds):
            for setting in rates:
                command = [sys.executable, __file__, *of_load, "--one", setting, str(shards)]
                done = subprocess.run(command, stdout=subprocess.PIPE)
                if done.returncode and setting in BEST:
                    print(f"{setting}: does not run here", file=sys.stderr)
                    continue
                done.check_returncode()
                rates[setting].append(json.loads(done.stdout)["tokens_per_second"])
                print(f"{setting}: {rates[setting][-1]:,.0f} tokens/s", file=sys.stderr)
    medians = {
        name: round(statistics.median(values), 1) for name, values in rates.items() if values
    }
    best = max(filter(medians.__contains__, BEST), key=medians.__getitem__)
    print(
        json.dumps(
            {
                **dataclasses.asdict(load),
                "tokens_per_second": medians,
                "rounds": rates,
                "best_setting": best,
                "settings_that_do_not_run": [name for name in BEST if name not in medians],
                "ratio_to_plain": round(medians[OURS] / medians[PLAIN], 2),
                "ratio_to_best": round(medians[OURS] / medians[best], 2),
            },
            indent=2,
        )
    )


def measure(setting: str, shards_folder: Path, load: Load) -> dict[str, float]:
    """Measure one setting in this process: tokens of text a second."""
    import torch

    from selfsup.training.compute import choose_compute

    is_ours = setting == OURS
    if is_ours:  # before the first large allocation, as pretrain does
        choose_compute(load.device, "auto", None)
    wait = torch.cuda.synchronize if load.device == "cuda" else lambda: None
    batches, vocab_size = real_batches(shards_folder, load)
    given = [batches[number] for number in range(WARM_UP_STEPS + load.steps)]
    take_step = our_step(vocab_size, load) if is_ours else their_step(setting, vocab_size, load)
    for batch in given[:WARM_UP_STEPS]:
        take_step(batch)
    wait()
    started = time.perf_counter()
    for batch in given[WARM_UP_STEPS:]:
        take_step(batch)
    wait()
    seconds = time.perf_counter() - started
    tokens = sum(batch.token_count for batch in given[WARM_UP_STEPS:])
    return {"tokens_per_second": tokens / seconds}


def real_batches(shards_folder: Path, load: Load):
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

    shards = open_shards(shards_folder)
    tokenizer = load_tokenizer(shards.tokenizer_folder)
    corpus = TextCorpus(shards.shards)
    documents, _ = split_held_out(corpus, 0.01)
    masking = Masking(
        0.15, "token", special_tokens(tokenizer), shards.vocab_size, continuation_pieces(tokenizer)
    )
    objectives = text_objectives(["mlm", "nsp"])
    data = TextData(corpus, documents, masking, objectives, load.max_length)
    return TextBatches(data, load.batch_size, seed=0), shards.vocab_size


def our_step(vocab_size: int, load: Load):
    from selfsup.encoder.bert import BertEncoder
    from selfsup.encoder.config import bert_config
    from selfsup.encoder.layers import initialize
    from selfsup.pretraining.text.model import TextPretrainingModel
    from selfsup.training.compute import choose_compute
    from selfsup.training.loop import clip_gradients
    from selfsup.training.optimizers import (
        PRETRAINING_BETAS,
        PRETRAINING_EPS,
        adamw,
        parameter_groups,
    )

    compute = choose_compute(load.device, "auto", None)
    config = bert_config(load.encoder, vocab_size, dropout=0.0)
    model = TextPretrainingModel(BertEncoder(config), ("mlm", "nsp"))
    initialize(model, config.initializer_range, seed=0)
    model.to(compute.device)
    named = dict(model.named_parameters())
    groups = parameter_groups(named.items(), dict.fromkeys(named, 1e-4), 0.01)
    optimizer = adamw(groups, PRETRAINING_BETAS, PRETRAINING_EPS)
    parameters = list(model.parameters())

    def take_step(batch) -> None:
        with compute.autocast():
            losses = model(batch.to(compute.device))
        (losses["mlm"][0] + losses["nsp"][0]).backward()
        clip_gradients(parameters, 1.0, step=0)
        optimizer.step()
        optimizer.zero_grad()

    return take_step


def their_step(setting: str, vocab_size: int, load: Load):
    import torch
    from transformers import BertConfig, BertForPreTraining

    from selfsup.encoder.config import bert_config

    is_plain = setting == PLAIN
    ours = bert_config(load.encoder, vocab_size)
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=ours.hidden_size,
        num_hidden_layers=ours.num_hidden_layers,
        num_attention_heads=ours.num_attention_heads,
        intermediate_size=ours.intermediate_size,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config._attn_implementation = "eager" if "eager" in setting else "sdpa"
    torch.manual_seed(0)
    with torch.device(load.device):
        model = BertForPreTraining(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=None if is_plain else True)
    run = torch.compile(model) if "compiled" in setting else model

    def take_step(batch) -> None:
        padded = padded_batch(batch, load)
        with torch.autocast(load.device, dtype=torch.bfloat16, enabled=not is_plain):
            loss = run(**padded).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return take_step


def padded_batch(batch, load: Load) -> dict:
    """The same batch for transformers: every sequence padded to ``max_length`` tokens."""
    import torch

    lengths = batch.packing.cu_seqlens.diff().long()
    labels = torch.full_like(batch.input_ids, -100)
    labels[batch.masked_rows] = batch.labels["mlm"]
    keep = torch.arange(load.max_length) < lengths[:, None]

    def pad(values, padding_value):
        padded = torch.full(keep.shape, padding_value, dtype=torch.long)
        padded[keep] = values
        return padded

    padded = {
        "input_ids": pad(batch.input_ids, 0),
        "token_type_ids": pad(batch.token_type_ids, 0),
        "attention_mask": keep.long(),
        "labels": pad(labels, -100),
        "next_sentence_label": batch.labels.get("nsp"),
    }
    return {name: values.to(load.device) for name, values in padded.items()}


if __name__ == "__main__":
    main()
