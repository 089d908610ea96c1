"""Encode blocks of texts in worker processes.

A worker reads frames of texts on stdin and writes frames of encoded blocks on stdout. A frame is a
number of byte strings, preceded by their lengths. Unlike a process of ``multiprocessing``, a worker
needs no ``__main__`` guard in the program that starts it, inherits no threads or locks from it, and
ends when that program does, because stdin then closes.
"""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, TypeVar, cast

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.blocks import EncodedBlock, encode_block
from selfsup.corpus.readers.bounds import no_memory_bound
from selfsup.corpus.tokenizer.wordpiece import WordPieceEncoder, vocabulary_size
from selfsup.errors import UserError
from selfsup.interruption import SIGNALS, signals_blocked
from selfsup.shards.tokens import token_dtype


def send_frame(stream: BinaryIO, parts: Sequence[bytes]) -> None:
    """Write one frame and flush it."""
    stream.write(struct.pack(f"<I{len(parts)}Q", len(parts), *map(len, parts)))
    for part in parts:
        stream.write(part)
    stream.flush()


def receive_frame(stream: BinaryIO) -> list[bytes] | None:
    """Read one frame, or None where the stream ends before it.

    Raises:
        EOFError: the stream ends within the frame.
    """
    count_bytes = stream.read(4)
    if not count_bytes:
        return None
    (count,) = struct.unpack("<I", count_bytes)
    lengths = struct.unpack(f"<{count}Q", _read_exactly(stream, 8 * count))
    return [_read_exactly(stream, length) for length in lengths]


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise EOFError(f"{len(data)} bytes where {length} were announced")
    return data


def main() -> None:
    """Run a worker process until stdin closes.

    The first frame holds the settings as JSON and the tokenizer's JSON. Every later one holds the
    texts' lengths in bytes, int64 [R], and the texts in UTF-8 one after another.
    """
    # They may reach the whole process group, and the parent ends its workers.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        _answer_frames()
    except (EOFError, BrokenPipeError):  # the parent was killed in the middle of a frame
        os._exit(1)


def _answer_frames() -> None:
    first = receive_frame(sys.stdin.buffer)
    if first is None:
        return
    # Whatever a library prints must not end up among the frames.
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


# Pieces cached by all workers together, at about 200 bytes each.
_CACHED_PIECES = 1 << 18
_FEWEST_CACHED_PIECES = 1 << 15
# This many workers keep up with one reader; with more, memory would pass a gigabyte.
_MOST_WORKERS = 16
# Blocks read ahead, besides one for each worker, so that no worker waits for the reader.
_BLOCKS_AHEAD = 2
# With blocks of giant documents fewer are read ahead, so that memory stays bounded.
_BYTES_AHEAD = 32 << 20

# The worker imports modules from where this process does, installed or not.
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from selfsup.corpus.workers import main
main()
"""

Tag = TypeVar("Tag")


def default_workers() -> int:
    """As many as the cores this process may use, at most as many as one reader can keep busy."""
    # A container may use fewer cores than the machine has.
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min(cores, _MOST_WORKERS)


class WorkerPool:
    """Worker processes, each served by a thread of this process; use it in a ``with`` statement."""

    def __init__(self, workers: int, tokenizer: Tokenizer, language: str) -> None:
        self._workers = workers
        self._dtype = token_dtype(vocabulary_size(tokenizer))
        cache_size = max(_CACHED_PIECES // workers, _FEWEST_CACHED_PIECES)
        settings = {"language": language, "cache_size": cache_size}
        self._first_frame = [json.dumps(settings).encode(), tokenizer.to_str().encode()]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._of_thread = threading.local()
        self._threads = ThreadPoolExecutor(workers, "prepare-worker")

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        # A thread may be waiting for a worker: kill the workers first.
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                # Closing flushes, and the worker is dead.
                with contextlib.suppress(BrokenPipeError):
                    cast(BinaryIO, stream).close()

    def encode(
        self, blocks: Iterable[tuple[Tag, list[bytes]]]
    ) -> Iterator[tuple[Tag, EncodedBlock]]:
        """Encode (tag, texts in UTF-8) pairs in order, reading only a few blocks ahead.

        Raises:
            UserError: a worker was killed, probably because memory ran out.
        """
        pending: deque[tuple[Tag, Future[EncodedBlock], int]] = deque()
        pending_bytes = 0
        for tag, texts in blocks:
            size = sum(map(len, texts))
            pending.append((tag, self._threads.submit(self._encode_block, texts), size))
            pending_bytes += size
            while len(pending) >= self._workers + _BLOCKS_AHEAD or pending_bytes > _BYTES_AHEAD:
                done, future, size = pending.popleft()
                pending_bytes -= size
                yield done, future.result()
        for done, future, _ in pending:
            yield done, future.result()

    def _encode_block(self, texts: list[bytes]) -> EncodedBlock:
        worker, is_new = self._worker_of_this_thread()
        lengths = np.array([len(text) for text in texts], np.int64)
        try:
            if is_new:
                send_frame(cast(BinaryIO, worker.stdin), self._first_frame)
            send_frame(cast(BinaryIO, worker.stdin), [lengths.tobytes(), b"".join(texts)])
            reply = receive_frame(cast(BinaryIO, worker.stdout))
        except (BrokenPipeError, EOFError):
            reply = None
        if reply is None:
            raise _death_of(worker)
        return EncodedBlock.from_bytes(reply, self._dtype)

    def _worker_of_this_thread(self) -> "tuple[subprocess.Popen[bytes], bool]":
        """This thread's worker, and whether this call has started it."""
        is_new = not hasattr(self._of_thread, "process")
        if is_new:
            # A signal while it starts would give a traceback.
            with no_memory_bound(), signals_blocked():
                process = subprocess.Popen(
                    # -P: a stray json.py in the current folder must not be imported instead.
                    [sys.executable, "-P", "-c", _START, json.dumps(sys.path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    # One worker per core: more threads in each would only slow the others down.
                    env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"},
                )
            self._processes.append(process)
            self._of_thread.process = process
        return self._of_thread.process, is_new


def _death_of(process: subprocess.Popen[bytes]) -> Exception:
    status = process.wait()
    if status < 0:
        return UserError(
            f"a worker process was killed by signal {-status}, probably because memory ran out: "
            "run the same command again with fewer --workers; it resumes where it stopped"
        )
    return RuntimeError(f"a worker process failed with status {status}; its message is above")
