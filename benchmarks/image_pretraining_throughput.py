"""Claim: pre-training by inpainting is faster than transformers' masked autoencoder.

Both train an encoder of the same size on the same photographs: 75 % of the patches hidden, patches
normalised, dropout 0, fused AdamW, gradient clipping, bf16 autocast if the hardware has it. The
photographs are in memory, uint8. The same code makes a random crop of each, one step ahead in one
thread. Everything else in a step is timed: hiding patches, converting pixels to floats, forward,
backward and update.

Ours predicts a third of the missing patches in a step, which is its default. A second setting of
ours predicts all of them, as the peer does. The peer is ``transformers.ViTMAEForPreTraining`` with
a decoder of our width, depth and heads, with each attention implementation, compiled and not; and
all of these again with our malloc settings (``selfsup.training.compute``). Each setting runs in its
own process, in turn, for several rounds; the medians are compared.

    python benchmarks/image_pretraining_throughput.py [--encoder vit-tiny] [--image-size 80]
        [--patch-size 8] [--images FOLDER] [--rounds 3] [--steps 12]

prints one JSON object: images a second by wall time, and by processor time (for a machine with
other work).
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from english_sample import DATA

OURS, OURS_ALL = "selfsup", "selfsup, all missing patches predicted"
AS_IT_COMES = ["eager", "sdpa", "eager compiled", "sdpa compiled"]
KEPT = " + our malloc"
PEERS = [*AS_IT_COMES, *(name + KEPT for name in AS_IT_COMES)]
CLOCK, CORES = "images_per_second", "images_per_core_second"

MASK_RATIO, LEARNING_RATE, WEIGHT_DECAY = 0.75, 1e-4, 0.05
HEAD_WIDTH = 32  # of our decoder
MOST_IMAGES, WARM_UP_STEPS = 1024, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", default="vit-tiny")
    parser.add_argument("--image-size", type=int, default=80)
    parser.add_argument("--patch-size", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--images", type=Path, default=DATA / "images" / "clothing" / "train")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS, metavar="PEER")
    parser.add_argument("--threads", type=int, help="threads of torch; torch chooses if not given")
    parser.add_argument("--precision", choices=["auto", "bf16", "float32"], default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12, help="timed steps a round")
    parser.add_argument("--one", metavar="SETTING", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
        return
    settings = [OURS, OURS_ALL, *arguments.peers]
    # Chosen here, because a process that asks also changes its malloc settings.
    arguments.precision = chosen_precision(arguments.precision)
    results: dict[str, list[dict]] = {setting: [] for setting in settings}
    for _ in range(arguments.rounds):
        for setting in settings:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", setting]
            command += ["--precision", arguments.precision]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            results[setting].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{setting}: {results[setting][-1][CLOCK]:,} images/s", file=sys.stderr)
    sizes = ("encoder", "image_size", "patch_size", "batch_size", "precision")
    report = {name: getattr(arguments, name) for name in sizes}
    report["parameters"] = {name: rounds[0]["parameters"] for name, rounds in results.items()}
    print(json.dumps(report | {rate: compare(results, rate) for rate in (CLOCK, CORES)}, indent=2))


def compare(results: dict[str, list[dict]], rate: str) -> dict:
    """Medians, and the ratio of ours to the best peer."""
    rounds = {setting: [one[rate] for one in taken] for setting, taken in results.items()}
    medians = {setting: round(statistics.median(values), 2) for setting, values in rounds.items()}
    peers = {setting: median for setting, median in medians.items() if setting in PEERS}
    own = {setting: median for setting, median in peers.items() if KEPT not in setting}

    def ratio(to: dict[str, float]) -> dict:
        best = max(to, key=to.__getitem__)
        ratios = {ours: round(medians[ours] / to[best], 2) for ours in (OURS, OURS_ALL)}
        return {"setting": best, "ratio": ratios}

    return {
        "medians": medians,
        "rounds": rounds,
        **({"to_best_as_it_comes": ratio(own)} if own else {}),
        "to_best": ratio(peers),
    }


def measure(setting: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure one setting in this process: images a second."""
    from selfsup.training.compute import keep_freed_memory

    if setting not in AS_IT_COMES:
        keep_freed_memory()  # before the first large allocation, as pretrain does
    import torch

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    images = photographs(arguments.images, arguments.image_size)
    build = their_step if setting in PEERS else our_step
    take_step, parameters = build(setting, images, arguments)
    for number in range(WARM_UP_STEPS):
        take_step(number)
    clock, cores = time.perf_counter(), time.process_time()
    for number in range(WARM_UP_STEPS, WARM_UP_STEPS + arguments.steps):
        take_step(number)
    clock, cores = time.perf_counter() - clock, time.process_time() - cores
    taken = arguments.steps * arguments.batch_size
    return {
        CLOCK: round(taken / clock, 2),
        CORES: round(taken / cores, 2),
        "parameters": parameters,
    }


def photographs(folder: Path, image_size: int) -> list[np.ndarray]:
    """Decode images, uint8 [H, W, 3], with a shorter side of at most 1.25 × ``image_size``."""
    from selfsup.images.decoding import ResizeShorterSide, decode
    from selfsup.images.files import find_images

    files = find_images(folder)
    chosen = files[:: max(1, len(files) // MOST_IMAGES)][:MOST_IMAGES]
    return [decode(file, ResizeShorterSide(round(1.25 * image_size))) for file in chosen]


def our_step(
    setting: str, images: list[np.ndarray], arguments: argparse.Namespace
) -> tuple[Callable[[int], None], int]:
    """Return a function that takes step ``number``, and the number of trained parameters."""
    import torch

    from selfsup.encoder.config import vit_config
    from selfsup.encoder.layers import initialize
    from selfsup.encoder.vit import VitEncoder
    from selfsup.pretraining.images.batches import PREDICTED_SHARE, ImageBatches, ImageData
    from selfsup.pretraining.images.model import ImagePretrainingModel, image_objectives
    from selfsup.training.optimizers import (
        PRETRAINING_BETAS,
        PRETRAINING_EPS,
        adamw,
        parameter_groups,
    )

    config = vit_config(arguments.encoder, arguments.image_size, arguments.patch_size)
    model = ImagePretrainingModel(VitEncoder(config), ["inpainting"]).train()
    initialize(model, config.initializer_range, seed=0)
    named = dict(model.named_parameters())
    groups = parameter_groups(named.items(), dict.fromkeys(named, LEARNING_RATE), WEIGHT_DECAY)
    optimizer = adamw(groups, PRETRAINING_BETAS, PRETRAINING_EPS)
    objectives = image_objectives(["inpainting"])
    batches = ImageBatches(
        ImageData(images, np.arange(len(images)), objectives, config, MASK_RATIO),
        arguments.batch_size,
        seed=0,
        predicted_share=1.0 if setting == OURS_ALL else PREDICTED_SHARE,
        threads=1,
    )

    def take_step(number: int) -> None:
        batch = batches[number]
        with autocast(arguments):
            loss = model(batch)["inpainting"][0]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad()

    return take_step, learned(model)


def their_step(
    setting: str, images: list[np.ndarray], arguments: argparse.Namespace
) -> tuple[Callable[[int], None], int]:
    """The same as ``our_step`` for transformers."""
    import torch
    from transformers import ViTMAEForPreTraining

    config = their_config(arguments)
    config._attn_implementation = "eager" if "eager" in setting else "sdpa"
    torch.manual_seed(0)
    model = ViTMAEForPreTraining(config).train()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    run = torch.compile(model) if "compiled" in setting else model
    crops = CropsAhead(images, arguments.image_size, arguments.batch_size)

    def take_step(number: int) -> None:
        channels_first = torch.from_numpy(crops[number]).permute(0, 3, 1, 2).contiguous()
        pixels = channels_first.to(torch.float32).mul_(2 / 255).sub_(1)
        with autocast(arguments):
            loss = run(pixels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad()

    return take_step, learned(model)


def their_config(arguments: argparse.Namespace):
    """The sizes of our encoder and decoder, as a config of transformers."""
    from transformers import ViTMAEConfig

    from selfsup.encoder.config import vit_config
    from selfsup.pretraining.images.inpainting import Inpainting

    config = vit_config(arguments.encoder, arguments.image_size, arguments.patch_size)
    decoder = Inpainting(config).decoder
    (width,) = decoder.norm.normalized_shape
    return ViTMAEConfig(
        image_size=config.image_size,
        patch_size=config.patch_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        hidden_act=config.hidden_act,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=config.layer_norm_eps,
        decoder_hidden_size=width,
        decoder_num_hidden_layers=len(decoder.layers),
        decoder_num_attention_heads=width // HEAD_WIDTH,
        decoder_intermediate_size=4 * width,
        mask_ratio=MASK_RATIO,
        norm_pix_loss=True,
    )


class CropsAhead:
    """Random crops by step number, uint8 [B, S, S, 3]; a thread makes those of the next step."""

    def __init__(self, images: list[np.ndarray], side: int, batch_size: int) -> None:
        self._images, self._side, self._batch_size = images, side, batch_size
        self._thread = ThreadPoolExecutor(1)
        self._ahead: dict[int, Future[np.ndarray]] = {}

    def __getitem__(self, step: int) -> np.ndarray:
        ready = self._ahead.pop(step, None)
        self._ahead[step + 1] = self._thread.submit(self._make, step + 1)
        return self._make(step) if ready is None else ready.result()

    def _make(self, step: int) -> np.ndarray:
        from selfsup.images.crops import random_crops
        from selfsup.pretraining.images.batches import SMALLEST_AREA

        first = step * self._batch_size
        examples = np.arange(first, first + self._batch_size) % len(self._images)
        return random_crops(
            self._images, examples, 0, step, side=self._side, smallest_area=SMALLEST_AREA
        )


def autocast(arguments: argparse.Namespace):
    """Return autocast in the precision of the run."""
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=arguments.precision == "bf16")


def learned(model) -> int:
    """Count the trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def chosen_precision(wanted: str) -> str:
    import torch

    from selfsup.training.compute import choose_compute

    return "bf16" if choose_compute("cpu", wanted, None).dtype == torch.bfloat16 else "float32"


if __name__ == "__main__":
    main()
