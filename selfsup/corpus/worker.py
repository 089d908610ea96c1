"""The worker process of ``prepare``: texts come in on stdin, encoded blocks go out on stdout.

Unlike what ``multiprocessing`` starts, it needs no ``__main__`` guard in the program that starts
it, inherits no threads or locks from it, and ends when that program does, as stdin then closes.
"""

import json
import os
import signal
import sys

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.blocks import encode_block
from selfsup.corpus.fast_wordpiece import WordPieceEncoder
from selfsup.corpus.frames import receive_frame, send_frame


def main() -> None:
    """Serve until stdin closes.

    The first frame holds the settings as JSON and the tokenizer's JSON. Every later one holds the
    texts' lengths in bytes, int64 [R], and the texts in UTF-8 one after another.
    """
    # Ctrl-C reaches the whole process group; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first = receive_frame(sys.stdin.buffer)
    if first is None:
        return
    # What a library may print must not end up among the frames.
    frames_out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    settings = json.loads(first[0])
    encoder = WordPieceEncoder(
        Tokenizer.from_str(first[1].decode()), cache_size=settings["cache_size"]
    )
    while (frame := receive_frame(sys.stdin.buffer)) is not None:
        ends = np.cumsum(np.frombuffer(frame[0], np.int64)).tolist()
        starts = [0, *ends[:-1]]
        texts = [frame[1][s:e].decode() for s, e in zip(starts, ends, strict=True)]
        send_frame(frames_out, encode_block(texts, encoder, settings["language"]).to_bytes())
