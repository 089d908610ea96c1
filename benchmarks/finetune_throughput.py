"""Claim: fine-tuning and prediction are several times as fast as with transformers.

Training: a single-sentence classifier trains on SST-2 for one epoch, with batches of 32 sentences
of similar length, dropout 0.1, AdamW and gradient clipping. Only the steps are timed; the texts are
tokenized beforehand. Prediction: from raw text to labels, for paragraphs and headings of Wikipedia,
from one word to BERT's 512 tokens. Both sides start from the same model folder: the weights of
``--encoder``, or random ones of that size with BERT's vocabulary.

The peer is ``transformers``:

- as usually used: fused AdamW and batches in random order, padded to the longest text; its
  pipeline, 32 texts at a time;
- with its best settings, of which the fastest counts: texts of similar length together (its own
  sampler; for prediction a handwritten loop over all texts, sorted), bf16 autocast if the hardware
  has it, each attention implementation, compiled and not. For prediction also its pipeline with
  1, 8 or 32 texts at a time, in bf16 and in float32; the best of these is reported too.

Each setting runs in its own process, in turn, for several rounds; the medians are compared. The
result also has the time that our matrix products would take at the machine's peak, as a share of
our time, and the best possible ratio: the one if nothing else took any time.

    python benchmarks/finetune_throughput.py [--encoder NAME|FOLDER] [--rounds 3]

prints one JSON object.
"""

import argparse
import contextlib
import itertools
import json
import lzma
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from english_sample import CORPUS, DATA, VOCABULARY
from finetune_checkpoint import CHECKPOINT, checkpoint_folder

BATCH_SIZE, LEARNING_RATE, WARM_UP_STEPS = 32, 1e-4, 8
OURS = "selfsup"
BY_LENGTH = [
    "transformers by length sdpa",
    "transformers by length eager",
    "transformers by length sdpa compiled",
    "transformers by length eager compiled",
]
PIPELINE = "transformers pipeline"
PIPELINES = [
    f"{PIPELINE} {count} {dtype}" for dtype in ("float32", "bfloat16") for count in (1, 8, 32)
]
USUAL = {"training": "transformers", "prediction": f"{PIPELINE} 32 float32"}
BEST = {"training": BY_LENGTH, "prediction": PIPELINES + BY_LENGTH}
# Holds contexts open until the process ends: as in `selfsup finetune`, only the embeddings of words
# in the training texts are trained.
UNTIL_THE_END = contextlib.ExitStack()
TRAIN, TEXTS, MODEL = "train.tsv", "texts.json", "model"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", default="bert-mini", help=f"a size, a folder or {CHECKPOINT}")
    parser.add_argument("--sst2", type=Path, default=DATA / "tasks" / "sst2" / "train.tsv")
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--examples", type=int, default=1600, help="sentences in the timed epoch")
    parser.add_argument("--texts", type=int, default=800, help="texts to predict")
    parser.add_argument(
        "--one", nargs=3, metavar=("WHAT", "SETTING", "FOLDER"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.one:
        what, setting, folder = arguments.one
        with UNTIL_THE_END:
            print(json.dumps(MEASURES[what](setting, Path(folder))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(arguments, folder)
        write_model(arguments.encoder, arguments.vocabulary, folder)
        report = {what: compare(what, folder, arguments.rounds) for what in MEASURES}
    print(json.dumps({"encoder": arguments.encoder, **report}, indent=2))


def compare(what: str, folder: Path, rounds: int) -> dict:
    """Examples a second of every setting, measured in turn."""
    settings = list(dict.fromkeys([OURS, USUAL[what], *BEST[what]]))
    rates: dict[str, list[float]] = {setting: [] for setting in settings}
    shares: list[float] = []
    answers: dict[str, list[int]] = {}
    for _ in range(rounds):
        for setting in settings:
            command = [sys.executable, __file__, "--one", what, setting, str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE)
            if done.returncode and setting not in (OURS, USUAL[what]):
                print(f"{what}, {setting}: does not run here", file=sys.stderr)
                continue
            done.check_returncode()
            result = json.loads(done.stdout.splitlines()[-1])
            rates[setting].append(round(result["examples_per_second"], 1))
            answers[setting] = result.get("answers", [])
            if setting == OURS:
                shares.append(result["share_of_matrix_products"])
            print(f"{what}, {setting}: {rates[setting][-1]:,} examples/s", file=sys.stderr)
    if any(len(given) != len(answers[OURS]) for given in answers.values()):
        raise RuntimeError("not every setting answered for every text")
    medians = {
        setting: round(statistics.median(values), 1) for setting, values in rates.items() if values
    }
    best = max(filter(medians.__contains__, BEST[what]), key=medians.__getitem__)
    ratio, share = medians[OURS] / medians[best], statistics.median(shares)
    pipelines = [medians[setting] for setting in PIPELINES if setting in medians]
    in_prediction = {
        "ratio_to_best_pipeline": round(medians[OURS] / max(pipelines, default=math.inf), 2),
        "answers_that_differ": sum(
            a != b for a, b in zip(answers[OURS], answers[best], strict=True)
        ),
    }
    return {
        "examples_per_second": medians,
        "rounds": rates,
        "best_setting": best,
        "settings_that_do_not_run": [name for name in settings if name not in medians],
        "ratio_to_usual": round(medians[OURS] / medians[USUAL[what]], 2),
        "ratio_to_best": round(ratio, 2),
        "our_share_of_matrix_products": round(share, 3),
        "ratio_to_best_at_most": round(ratio / share, 2),
        **(in_prediction if answers[OURS] else {}),
    }


def write_data(arguments: argparse.Namespace, folder: Path) -> None:
    lines = arguments.sst2.read_text(encoding="utf-8").splitlines()
    chosen = lines[1 : 1 + arguments.examples]
    (folder / TRAIN).write_text("\n".join([lines[0], *chosen]) + "\n", encoding="utf-8")
    texts = list(itertools.islice(paragraphs(arguments.corpus), arguments.texts))
    (folder / TEXTS).write_text(json.dumps(texts), encoding="utf-8")


def paragraphs(corpus: Path) -> Iterator[str]:
    """Yield paragraphs and headings in order."""
    with lzma.open(corpus, "rt", encoding="utf-8") as file:
        for line in file:
            yield from filter(str.strip, json.loads(line)["text"].split("\n"))


def write_model(encoder: str, vocabulary: Path, folder: Path) -> None:
    """Write a classifier of two labels that both sides can load; its head is random."""
    from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
    from selfsup.encoder.config import BERT_SIZES
    from selfsup.finetuning.starting_point import find_starting_point
    from selfsup.settings.finetune import FinetuneSettings
    from selfsup.tasks.encoders import Limits, TextPreparation
    from selfsup.tasks.labels import Labels
    from selfsup.tasks.registry import TASKS, save_task_model

    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_bytes(vocabulary.read_bytes())
    save_tokenizer(load_tokenizer(tokenizer), tokenizer)
    is_size = encoder in BERT_SIZES
    found = encoder if is_size else str(checkpoint_folder(encoder))
    task = TASKS["sequence-classification"]
    settings = FinetuneSettings(
        task=task.name,
        encoder=found,
        tokenizer=str(tokenizer) if is_size else None,
        train="",
        validation="",
        out="",
    )
    start = find_starting_point(settings, task, task.examples_of([], None))
    labels = Labels("class", ("0", "1"))
    model = start.build_model(task, labels, seed=0)
    found = start.preparation
    preparation = TextPreparation(found.tokenizer, Limits(512, 0), found.folder or tokenizer)
    save_task_model(folder / MODEL, task, model, labels, preparation, "# A model\n")


def measure_training(setting: str, folder: Path) -> dict:
    """Sentences a second in one epoch, after some warm-up steps."""
    learn, batches = (our_training if setting == OURS else their_training)(setting, folder)
    learn(batches[:: max(1, len(batches) // WARM_UP_STEPS)])  # of all lengths
    started = time.perf_counter()
    learn(batches)
    seconds = time.perf_counter() - started
    examples = sum(1 for _ in (folder / TRAIN).open(encoding="utf-8")) - 1
    result = {"examples_per_second": examples / seconds}
    if setting == OURS:
        result["share_of_matrix_products"] = least_seconds(lambda: learn(batches)) / seconds
    return result


def measure_prediction(setting: str, folder: Path) -> dict:
    """Texts a second from raw text to labels, after a warm-up on a quarter of them."""
    texts = json.loads((folder / TEXTS).read_text(encoding="utf-8"))
    predict = (our_predictor if setting == OURS else their_predictor)(setting, folder)
    predict(texts[: len(texts) // 4])
    started = time.perf_counter()
    answers = predict(texts)
    seconds = time.perf_counter() - started
    result = {"examples_per_second": len(texts) / seconds, "answers": answers}
    if setting == OURS:
        result["share_of_matrix_products"] = least_seconds(lambda: predict(texts)) / seconds
    return result


def least_seconds(work: Callable[[], object]) -> float:
    """Seconds that the matrix products of ``work`` would take at the machine's peak."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from selfsup.training.compute import choose_compute

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # FLOPs of other threads are not counted
    with FlopCounterMode(display=False) as counted:
        work()
    torch.set_num_threads(threads)
    return counted.get_total_flops() / choose_compute("auto", "auto", None).matmul_peak()


MEASURES = {"training": measure_training, "prediction": measure_prediction}


def our_training(setting: str, folder: Path) -> tuple[Callable[[list], None], list]:
    """Return the training loop of ``selfsup finetune``, and the batches of an epoch."""
    from selfsup.finetuning.compact_embedding import compact_word_embeddings
    from selfsup.finetuning.data import EpochBatches, encode_task_data, read_task_files
    from selfsup.finetuning.defaults import with_defaults
    from selfsup.finetuning.setup import prepare_finetuning
    from selfsup.finetuning.starting_point import find_starting_point
    from selfsup.settings.finetune import FinetuneSettings
    from selfsup.tasks.base import Reading
    from selfsup.tasks.registry import TASKS
    from selfsup.training.compute import choose_compute
    from selfsup.training.loop import Extent, RunState, Stage, StepSettings, train

    train_file = str(folder / TRAIN)
    settings = FinetuneSettings(
        task="sequence-classification",
        encoder=str(folder / MODEL),
        train=train_file,
        validation=train_file,
        out="",
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
    )
    compute = choose_compute("auto", "auto", None)  # before the first large allocation
    task = TASKS[settings.task]
    files = read_task_files(task, train_file, train_file, Reading.of(settings))
    start = find_starting_point(settings, task, files[0])
    data = encode_task_data(task, *files, None, start.preparation)
    settings, start = with_defaults(settings, task, start, data, compute)
    model = start.build_model(task, data.labels, seed=0)
    units = data.train.encoded.units
    UNTIL_THE_END.enter_context(compact_word_embeddings(settings, task, model, units))
    setup = prepare_finetuning(settings, model)
    batches = EpochBatches(units, BATCH_SIZE, seed=0)
    how = StepSettings("linear", settings.warmup, settings.gradient_clip, 1, seed=0)

    def learn(batches: list) -> None:
        train(
            setup.model,
            setup.optimizer,
            [Stage(1.0, batches, {})],
            Extent(steps=len(batches)),
            how,
            compute,
            RunState(),
            lambda report: None,
        )

    return learn, [batches[number] for number in range(batches.steps_per_epoch)]


def our_predictor(setting: str, folder: Path) -> Callable[[list[str]], list[int]]:
    from selfsup.inference.predictor import Predictor

    predictor = Predictor.load(folder / MODEL)
    return lambda texts: [int(answer["label"]) for answer in predictor.predict(texts)]


def their_model(setting: str, folder: Path):
    """Load the transformers model; return it, and it again in the form to run (maybe compiled)."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    attention = "eager" if "eager" in setting else "sdpa"
    model = AutoModelForSequenceClassification.from_pretrained(
        folder / MODEL, attn_implementation=attention
    )
    return model, torch.compile(model, dynamic=True) if "compiled" in setting else model


def their_autocast():
    """Return an autocast to bf16 that is on if this processor has bf16, as for ours."""
    import torch

    has_bf16 = torch.cpu._is_avx512_bf16_supported()
    return lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16)


def their_training(setting: str, folder: Path) -> tuple[Callable[[list], None], list]:
    """Return a loop without the Trainer's bookkeeping, and the Trainer's batches."""
    import torch
    from transformers import AutoTokenizer, DataCollatorWithPadding
    from transformers.trainer_pt_utils import LengthGroupedSampler

    model, run = their_model(setting, folder)
    model.train()
    autocast = their_autocast()
    tokenizer = AutoTokenizer.from_pretrained(folder / MODEL)
    rows = [line.split("\t") for line in (folder / TRAIN).read_text().splitlines()[1:]]
    encoded = tokenizer([text for _, text in rows], truncation=True, max_length=128)
    examples = [
        {"input_ids": ids, "token_type_ids": types, "labels": int(label)}
        for ids, types, (label, _) in zip(
            encoded["input_ids"], encoded["token_type_ids"], rows, strict=True
        )
    ]
    generator = torch.Generator().manual_seed(0)
    if "by length" in setting:
        lengths = [len(example["input_ids"]) for example in examples]
        order = list(LengthGroupedSampler(BATCH_SIZE, lengths=lengths, generator=generator))
    else:
        order = torch.randperm(len(examples), generator=generator).tolist()
    collate = DataCollatorWithPadding(tokenizer)
    batches = [
        collate([examples[index] for index in order[first : first + BATCH_SIZE]])
        for first in range(0, len(order), BATCH_SIZE)
    ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)

    def learn(batches: list) -> None:
        for batch in batches:
            with autocast():
                loss = run(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return learn, batches


def their_predictor(setting: str, folder: Path) -> Callable[[list[str]], list[int]]:
    import torch
    from transformers import AutoTokenizer, pipeline

    model, run = their_model(setting, folder)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / MODEL)
    autocast = their_autocast()
    if setting.startswith(PIPELINE):
        count, dtype = setting.removeprefix(PIPELINE).split()
        model = model.to(getattr(torch, dtype))
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer)

        def through_the_pipeline(texts: list[str]) -> list[int]:
            answers = classify(texts, batch_size=int(count), truncation=True, max_length=512)
            return [int(answer["label"]) for answer in answers]

        return through_the_pipeline

    @torch.inference_mode()
    def predict(texts: list[str]) -> list[int]:
        encoded = tokenizer(texts, truncation=True, max_length=512)
        lengths = [len(ids) for ids in encoded["input_ids"]]
        order = sorted(range(len(texts)), key=lengths.__getitem__, reverse=True)
        answers = [0] * len(texts)
        for first in range(0, len(order), BATCH_SIZE):
            chosen = order[first : first + BATCH_SIZE]
            batch = tokenizer.pad(
                {name: [column[index] for index in chosen] for name, column in encoded.items()},
                return_tensors="pt",
            )
            with autocast():
                logits = run(**batch).logits
            for index, answer in zip(chosen, logits.argmax(-1).tolist(), strict=True):
                answers[index] = answer
        return answers

    return predict


if __name__ == "__main__":
    main()
