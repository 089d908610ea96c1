"""One call that holds an encoder family against `transformers`: outputs, heads, gradients, weights.

`transformers` gets its sizes from the `config.json` that selfsup writes.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers
from torch import Tensor, nn

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families import text_family
from selfsup.encoder.family import TextFamily
from selfsup.encoder.huggingface.config import architecture_of, config_of, read_config
from selfsup.encoder.huggingface.folder import load_weights, read_weights
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.encoder.huggingface.weights import write_tensors
from selfsup.encoder.layers import initialize
from selfsup.encoder.packing import Packing, Queries
from selfsup.encoder.text import TextEncoder
from selfsup.pretraining.text.model import TextPretrainingModel, load_pretraining
from selfsup.tasks.batches import TokenBatch
from selfsup.tasks.labels import Labels
from selfsup.tasks.models import TaskModule
from selfsup.tasks.registry import TASKS
from selfsup.tasks.token_classification.windows import WordBatch

STD = 0.2  # so that every weight matters
TOLERANCE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}
LABELS = Labels("class", ("a", "b", "c"))
Inputs = tuple[Tensor, Tensor]
Sizes = Callable[[random.Random], dict[str, Any]]


def check_family(
    kind: type[EncoderConfig], folder: Path, seed: int, more: Sizes = lambda draw: {}
) -> None:
    """Random sizes and lengths; `more` draws the sizes that only this family has."""
    draw = random.Random(seed)
    heads = draw.randint(1, 4)
    sizes = {
        "vocab_size": draw.randint(20, 60),
        "hidden_size": heads * 2 * draw.randint(2, 5),
        "num_hidden_layers": draw.randint(1, 4),
        "num_attention_heads": heads,
        "intermediate_size": draw.randint(1, 50),
        "max_position_embeddings": 40,
        "initializer_range": STD,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    config = kind(**sizes | more(draw))
    lengths = [draw.randint(1, config.longest_sequence) for _ in range(draw.randint(1, 5))]
    inputs = _inputs(config, lengths, seed)
    _check_layers(config, lengths, inputs, folder / "encoder", seed)
    for task in ("sequence-classification", "token-classification", "question-answering"):
        _check_task(task, config, lengths, inputs, folder / task, seed)
    _check_masked_lm(config, lengths, inputs, folder / "mlm", seed)


def _inputs(config: EncoderConfig, lengths: list[int], seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # Never the padding token, to which `transformers` gives no gradient.
    ids = torch.randint(2, config.vocab_size, (sum(lengths),), generator=generator)
    return ids, torch.randint(config.type_vocab_size, (sum(lengths),), generator=generator)


def _write(folder: Path, config: EncoderConfig, head: str, more: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    written = config_of(config, architecture_of(config, head)) | more
    (folder / "config.json").write_text(json.dumps(written))
    assert read_config(folder)[0] == config


def _new_peer(folder: Path, head: str, seed: int) -> Any:
    """A model of `transformers` with random weights, biases and norms too."""
    torch.manual_seed(seed)
    config = transformers.AutoConfig.from_pretrained(folder)
    peer = getattr(
        transformers, json.loads((folder / "config.json").read_text())["architectures"][0]
    )(config)
    with torch.no_grad():
        for parameter in peer.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
    return peer.eval()


def _padded(x: Tensor, lengths: list[int], value: int = 0) -> Tensor:
    return nn.utils.rnn.pad_sequence(list(x.split(lengths)), batch_first=True, padding_value=value)


def _run_peer(
    peer: Any, config: EncoderConfig, lengths: list[int], inputs: Inputs, **more: Any
) -> Any:
    ids, segments = inputs
    arguments: dict[str, Any] = {"attention_mask": _padded(torch.ones_like(ids), lengths)}
    if "type_vocab_size" in text_family(config).names_in_config():
        arguments["token_type_ids"] = _padded(segments, lengths)
    return peer(_padded(ids, lengths, config.pad_token_id), **arguments, **more)


def _tokens(x: Tensor, lengths: list[int]) -> Tensor:
    """The rows of real tokens, [T, …], of padded ones, [B, L, …]."""
    return torch.cat([row[:length] for row, length in zip(x, lengths, strict=True)])


def _check_layers(
    config: EncoderConfig, lengths: list[int], inputs: Inputs, folder: Path, seed: int
) -> None:
    family = text_family(config)
    _write(folder, config, "Model", {})
    peer = _new_peer(folder, "Model", seed)
    peer.save_pretrained(folder)
    encoder, packing = family.build(config, pooled=False).eval(), _packing(lengths)
    weights = read_weights(folder)
    assert not load_weights(encoder, weights, family.encoder_names(), STD, 0, folder)
    theirs = _run_peer(peer, config, lengths, inputs, output_hidden_states=True)
    ours = [*encoder.layer_states(*inputs, packing)]
    for our, their in zip(ours, theirs.hidden_states[1:], strict=True):
        torch.testing.assert_close(our, _tokens(their, lengths), **TOLERANCE)
    last = _tokens(theirs.last_hidden_state, lengths)
    torch.testing.assert_close(encoder.hidden_states(*inputs, packing), last, **TOLERANCE)
    _check_queries(encoder, inputs, packing, last, seed)
    _check_gradients(encoder, peer, family, inputs, packing, lengths, last, seed)


def _packing(lengths: list[int]) -> Packing:
    return Packing.from_lengths(torch.tensor(lengths))


def _check_queries(
    encoder: TextEncoder, inputs: Inputs, packing: Packing, last: Tensor, seed: int
) -> None:
    draw = random.Random(seed)
    asked = torch.tensor(sorted(draw.sample(range(len(last)), draw.randint(1, len(last)))))
    for queries in (Queries.at(asked, packing), Queries.first_tokens(packing)):
        states = encoder.states_at(queries, *inputs, packing)
        torch.testing.assert_close(states, last[queries.rows], **TOLERANCE)


def _check_gradients(
    encoder: TextEncoder,
    peer: Any,
    family: TextFamily,
    inputs: Inputs,
    packing: Packing,
    lengths: list[int],
    last: Tensor,
    seed: int,
) -> None:
    towards = torch.randn(last.shape, generator=torch.Generator().manual_seed(seed))
    (encoder.hidden_states(*inputs, packing) * towards).sum().backward()
    (last * towards).sum().backward()
    named = {name: p for name, p in encoder.named_parameters() if p.grad is not None}
    assert len(named) == len([*encoder.parameters()])
    table = family.encoder_names()
    ours = to_hugging_face(
        ((name, p.grad) for name, p in named.items() if p.grad is not None), table
    )
    theirs = {family.prefix + name: p.grad for name, p in peer.named_parameters()}
    for name, gradient in ours.items():
        scale = float(theirs[_in_memory(name, theirs)].abs().max().clamp(min=1.0))
        torch.testing.assert_close(
            gradient / scale, theirs[_in_memory(name, theirs)] / scale, atol=2e-5, rtol=1e-4
        )


def _in_memory(name: str, theirs: dict[str, Any]) -> str:
    assert name in theirs, name
    return name


def _check_task(
    name: str, config: EncoderConfig, lengths: list[int], inputs: Inputs, folder: Path, seed: int
) -> None:
    task, family = TASKS[name], text_family(config)
    count = 2 if name == "question-answering" else len(LABELS)
    labels = {"id2label": {str(n): f"L{n}" for n in range(count)}}
    _write(folder, config, task.architecture, labels)
    table = task.parameter_names(config)

    def new_model() -> TaskModule:
        encoder = family.build(config, pooled=task.pooled)
        return task.build_model(encoder, LABELS, 0.0).eval()

    # From transformers to selfsup.
    peer = _new_peer(folder, task.architecture, seed)
    peer.save_pretrained(folder)
    model = new_model()
    assert not load_weights(model, read_weights(folder), table, STD, 0, folder)
    _same_scores(model, peer, name, config, lengths, inputs)
    _same_bits(folder, to_hugging_face(model.saved_parameters(), table))
    # And back.
    model = new_model()
    initialize(model, STD, seed + 1)
    state = to_hugging_face(model.saved_parameters(), table)
    _write(folder / "back", config, task.architecture, labels)
    write_tensors(folder / "back" / "model.safetensors", _whole(state), {"format": "pt"})
    back, info = type(peer).from_pretrained(folder / "back", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    _same_scores(model, back.eval(), name, config, lengths, inputs)


def _whole(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous().clone() for name, tensor in state.items()}


def _same_scores(
    model: TaskModule,
    peer: Any,
    name: str,
    config: EncoderConfig,
    lengths: list[int],
    inputs: Inputs,
) -> None:
    batch: Any = TokenBatch(*inputs, _packing(lengths))
    if name == "token-classification":
        every = torch.arange(sum(lengths))
        batch = WordBatch(*inputs, _packing(lengths), every, every)
    with torch.no_grad():
        ours, theirs = model.scores(batch), _run_peer(peer, config, lengths, inputs)
    if name == "question-answering":
        logits = torch.stack([theirs.start_logits, theirs.end_logits], -1)
    else:
        logits = theirs.logits
    logits = logits if name == "sequence-classification" else _tokens(logits, lengths)
    torch.testing.assert_close(ours, logits, **TOLERANCE)


def _same_bits(folder: Path, ours: dict[str, Tensor]) -> None:
    """Loading and saving changes no weight by a bit."""
    theirs = safetensors.torch.load_file(folder / "model.safetensors")
    assert theirs.keys() == ours.keys()
    for name, weight in theirs.items():
        assert torch.equal(weight, ours[name]), name


def _check_masked_lm(
    config: EncoderConfig, lengths: list[int], inputs: Inputs, folder: Path, seed: int
) -> None:
    from selfsup.pretraining.text.model import _weight_names  # its table of names

    family = text_family(config)
    _write(folder, config, "ForMaskedLM", {})
    peer = _new_peer(folder, "ForMaskedLM", seed)
    peer.save_pretrained(folder)
    model, missing = load_pretraining(folder, ["mlm"])
    assert not [name for name in missing if ".pooler." not in name]
    _same_predictions(model, peer, config, lengths, inputs)
    model = TextPretrainingModel(family.build(config, pooled=True), ["mlm"]).eval()
    initialize(model, STD, seed + 1)
    state = to_hugging_face(model.named_parameters(), _weight_names(family))
    _write(folder / "back", config, "ForMaskedLM", {})
    write_tensors(folder / "back" / "model.safetensors", _whole(state), {"format": "pt"})
    back, info = type(peer).from_pretrained(folder / "back", output_loading_info=True)
    assert not info["missing_keys"]
    _same_predictions(model, back.eval(), config, lengths, inputs)


def _same_predictions(
    model: TextPretrainingModel,
    peer: Any,
    config: EncoderConfig,
    lengths: list[int],
    inputs: Inputs,
) -> None:
    with torch.no_grad():
        hidden = model.encoder.hidden_states(*inputs, _packing(lengths))
        ours = model.heads["mlm"](hidden)
        theirs = _tokens(_run_peer(peer, config, lengths, inputs).logits, lengths)
    torch.testing.assert_close(ours, theirs, **TOLERANCE)
