"""Word vectors from counting which tokens stand near each other.

A matrix of positive pointwise mutual information, factorised: what word2vec does implicitly
(Levy & Goldberg 2014, "Neural word embedding as implicit matrix factorization", §5). It takes
seconds, and tells an encoder before its first step which tokens are alike.

Shapes: N tokens, V vocabulary, C contexts (the most frequent tokens), K dimensions.
"""

import numpy as np
import torch

WINDOW = 8
MAX_TOKENS = 10_000_000
_MAX_CONTEXTS, _MAX_CELLS = 4096, 2**26
_CONTEXT_SMOOTHING = 0.75  # Levy, Goldberg & Dagan 2015, §3.2


def co_occurrence_vectors(
    tokens: np.ndarray, vocab_size: int, dimensions: int, seed: int
) -> np.ndarray:
    """Vectors whose products say how much more often than by chance two tokens stand near.

    Args:
        tokens: running text, integers [N]; the first ``MAX_TOKENS`` are used.
        vocab_size: V.
        dimensions: K, at most C.
        seed: of the random projection that the factorisation begins with.

    Returns:
        float32 [V, K], in order of falling singular value. Weighted by frequency their mean is 0;
        their standard deviation is 1. Tokens that do not occur have all zeros.
    """
    tokens = tokens[:MAX_TOKENS].astype(np.int64)
    counts = np.bincount(tokens, minlength=vocab_size)
    information = _positive_mutual_information(tokens, counts)
    dimensions_found = min(dimensions, *information.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rank = min(dimensions_found + 16, *information.shape)
        left, singular, _ = torch.svd_lowrank(information, q=rank, niter=2)
    vectors = (left * singular.sqrt())[:, :dimensions_found].numpy()
    # Half-way to unit length: rare tokens would all be short, frequent ones all be long.
    vectors /= np.sqrt(np.linalg.norm(vectors, axis=1, keepdims=True)) + 1e-6
    vectors[counts > 0] -= (counts / max(1, counts.sum())) @ vectors
    vectors /= vectors.std() + 1e-6
    missing = dimensions - dimensions_found
    return np.pad(vectors, ((0, 0), (0, missing))).astype(np.float32)


def _positive_mutual_information(tokens: np.ndarray, counts: np.ndarray) -> torch.Tensor:
    """max(0, log(P(token, context) / P(token) P(context))), float32 [V, C].

    Neighbours at distance n count 1/n.
    """
    vocab_size = len(counts)
    context_count = min(vocab_size, _MAX_CONTEXTS, max(256, _MAX_CELLS // vocab_size))
    contexts = np.argsort(-counts, kind="stable")[:context_count]
    place = np.full(vocab_size, -1)
    place[contexts] = np.arange(context_count)
    as_context = place[tokens]
    near = np.zeros(vocab_size * context_count, np.float32)
    for distance in range(1, WINDOW + 1):
        for word, context in (
            (tokens[:-distance], as_context[distance:]),
            (tokens[distance:], as_context[:-distance]),
        ):
            known = context >= 0
            cells = word[known] * context_count + context[known]
            near += np.bincount(cells, minlength=len(near)) / np.float32(distance)
    matrix = torch.from_numpy(near.reshape(vocab_size, context_count))
    of_word = matrix.sum(1, keepdim=True).clamp_(min=1e-9)
    of_context = matrix.sum(0, keepdim=True).clamp_(min=1e-9) ** _CONTEXT_SMOOTHING
    of_context /= of_context.sum()
    return matrix.div_(of_word).div_(of_context).clamp_(min=1.0).log_()
