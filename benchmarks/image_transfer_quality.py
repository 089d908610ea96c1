"""Claim: ten minutes of pre-training on photographs improve their classification.

Image encoders pre-trained with inpainting, with jigsaw, and with both are fine-tuned, and probed
(frozen, with a linear head), on a tenth, three tenths and all of the labels. The baseline is the
same encoder from random weights. The seed also chooses which images keep their label; every class
keeps the same share. The metric is the best epoch's accuracy on the validation images, which no
run trains on.

Each cell of the table is a run of ``selfsup finetune`` under ``--out``. Finished cells are not run
again, so an interrupted benchmark continues, and several benchmarks may share a folder.

    for O in inpainting jigsaw "inpainting jigsaw"; do
      selfsup pretrain DATA/images/clothing/train --encoder vit-mini \\
        --image-size 48 --patch-size 8 --held-out-fraction 0.05 \\
        --objectives $O --budget 10m --out "runs/${O/ /-}"
    done
    python benchmarks/image_transfer_quality.py --inpainting runs/inpainting --jigsaw runs/jigsaw \\
      --both runs/inpainting-jigsaw --out runs/image-transfer

prints one JSON object; accuracies are between 0 and 1.
"""

import argparse
import json
import random
import statistics
import sys
from pathlib import Path

from english_sample import DATA

SCRATCH = "scratch"
WAYS = ("inpainting", "jigsaw", "both", SCRATCH)
SHARES = {0.1: 40, 0.3: 22, 1.0: 10}  # share of the labels: epochs
PROBE_EPOCHS = 60
PROBE_RATE = 1e-2
HOWS = ("fine-tuned", "probe")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for way in WAYS[:-1]:
        parser.add_argument(f"--{way}", required=True, help="a pre-trained model or its run folder")
    parser.add_argument("--encoder", default="vit-mini", help="size of the untrained encoder")
    parser.add_argument("--image-size", type=int, default=48)
    parser.add_argument("--patch-size", type=int, default=8)
    parser.add_argument("--data", type=Path, default=DATA / "images" / "clothing")
    parser.add_argument("--out", type=Path, required=True, help="folder of all the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), choices=SHARES)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--hows", nargs="+", default=list(HOWS), choices=HOWS)
    parser.add_argument("--layer-decay", type=float, default=1.0, help="of pre-trained encoders")
    parser.add_argument("--report", action="store_true", help="only report finished cells")
    arguments = parser.parse_args()
    table: dict[str, dict[str, dict]] = {}
    for share in arguments.shares:
        for how in arguments.hows:
            for way in arguments.ways:
                values = [
                    value
                    for seed in arguments.seeds
                    if (value := cell(arguments, way, how, share, seed)) is not None
                ]
                if values:
                    std = statistics.stdev(values) if len(values) > 1 else 0.0
                    row = table.setdefault(f"{share:.0%}", {}).setdefault(how, {})
                    row[way] = {"mean": statistics.fmean(values), "std": std, "values": values}
    print(json.dumps(table, indent=2))


def cell(
    arguments: argparse.Namespace, way: str, how: str, share: float, seed: int
) -> float | None:
    """The accuracy of a cell, which is run first if needed; None if ``--report`` forbids that."""
    run = arguments.out / f"{way}-{how}-{share:g}-{seed}"
    if not (run / "summary.json").exists():
        if arguments.report:
            return None
        fine_tune(arguments, way, how, share, seed, run)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    accuracy = summary["metrics"]["accuracy"]["mean"]
    print(f"{run.name}: {accuracy:.3f}", file=sys.stderr)
    return accuracy


def fine_tune(
    arguments: argparse.Namespace, way: str, how: str, share: float, seed: int, run: Path
) -> None:
    """Run ``selfsup finetune`` for one cell."""
    from selfsup.finetuning.run import finetune
    from selfsup.settings.finetune import FinetuneSettings

    given: dict = {"encoder": getattr(arguments, way, None), "layer_decay": arguments.layer_decay}
    if way == SCRATCH:
        given = {
            "encoder": arguments.encoder,
            "image_size": arguments.image_size,
            "patch_size": arguments.patch_size,
        }
    if how == "probe":
        given |= {"freeze": "encoder", "epochs": PROBE_EPOCHS, "learning_rate": PROBE_RATE}
        given["layer_decay"] = 1.0
    else:
        given["epochs"] = SHARES[share]
    finetune(
        FinetuneSettings(
            task="image-classification",
            train=str(labelled_part(arguments, share, seed)),
            validation=str(arguments.data / "validation"),
            out=str(run),
            seed=seed,
            **given,
        )
    )


def labelled_part(arguments: argparse.Namespace, share: float, seed: int) -> Path:
    """A folder of links to a share of each class's training images, chosen by the seed."""
    source = arguments.data / "train"
    folder = arguments.out / "labelled" / f"{share:g}-{seed}"
    for images in sorted(path for path in source.iterdir() if path.is_dir()):
        files = sorted(images.iterdir())
        chosen = random.Random(f"{seed} {images.name}").sample(files, round(share * len(files)))
        (folder / images.name).mkdir(parents=True, exist_ok=True)
        for file in chosen:
            link = folder / images.name / file.name
            if not link.is_symlink():
                link.symlink_to(file.resolve())
    return folder


if __name__ == "__main__":
    main()
