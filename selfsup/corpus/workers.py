"""Messages between processes: a frame is a few byte strings, each with its length before it."""

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
from selfsup.corpus.tokenizer.added_tokens import vocabulary_size
from selfsup.corpus.tokenizer.fast_wordpiece import WordPieceEncoder
from selfsup.errors import UserError
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


# The worker process of ``prepare``: texts come in on stdin, encoded blocks go out on stdout.
#
# Unlike what ``multiprocessing`` starts, it needs no ``__main__`` guard in the program that starts
# it, inherits no threads or locks from it, and ends when that program does, as stdin then closes.


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


# Encode blocks of texts in worker processes; results come in the order of the blocks.


# Pieces remembered by all workers together, at some 200 bytes each.
_CACHED_PIECES = 1 << 19
_FEWEST_CACHED_PIECES = 1 << 15
# So many read as much as one process can parse; with more, memory would pass a gigabyte.
_MOST_WORKERS = 16
# Blocks on their way beyond one for each worker, so that none waits for the reader.
_BLOCKS_AHEAD = 2
# Blocks of giant documents wait for one another, so that memory stays bounded.
_BYTES_AHEAD = 32 << 20

# The worker finds modules where this process does, installed or not.
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from selfsup.corpus.workers import main
main()
"""

Tag = TypeVar("Tag")


def default_workers() -> int:
    """As many as the cores this process may use, within what one reader can keep busy."""
    # In a container the cores that may be used are fewer than the machine's.
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return min(cores, _MOST_WORKERS)


class WorkerPool:
    """Worker processes, each served by a thread of this one; use it in a ``with`` statement."""

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
        # Killing first ends what a thread may be waiting for.
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                # What was still to be sent to a dead worker cannot be.
                with contextlib.suppress(BrokenPipeError):
                    cast(BinaryIO, stream).close()

    def encode(
        self, blocks: Iterable[tuple[Tag, list[bytes]]]
    ) -> Iterator[tuple[Tag, EncodedBlock]]:
        """Encode (tag, texts in UTF-8) pairs, reading only a few blocks ahead.

        Raises:
            UserError: a worker was killed, which is mostly for want of memory.
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
        to_worker, from_worker = self._streams_of_this_thread()
        lengths = np.array([len(text) for text in texts], np.int64)
        try:
            send_frame(to_worker, [lengths.tobytes(), b"".join(texts)])
            reply = receive_frame(from_worker)
        except (BrokenPipeError, EOFError):
            reply = None
        if reply is None:
            raise _death_of(self._of_thread.process)
        return EncodedBlock.from_bytes(reply, self._dtype)

    def _streams_of_this_thread(self) -> tuple[BinaryIO, BinaryIO]:
        """What goes to this thread's worker and what comes from it; starts it the first time."""
        if not hasattr(self._of_thread, "process"):
            process = subprocess.Popen(
                # -P: a stray json.py in the current folder must not stand in for the library's.
                [sys.executable, "-P", "-c", _START, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A worker a core: more threads in each would only get in the others' way.
                env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"},
            )
            self._processes.append(process)
            self._of_thread.process = process
            self._of_thread.streams = (
                cast(BinaryIO, process.stdin),
                cast(BinaryIO, process.stdout),
            )
            send_frame(self._of_thread.streams[0], self._first_frame)
        return self._of_thread.streams


def _death_of(process: subprocess.Popen[bytes]) -> Exception:
    status = process.wait()
    if status < 0:
        return UserError(
            f"a worker process was killed by signal {-status}, probably for want of memory: "
            "run the same command again with fewer --workers, it goes on where it stopped"
        )
    return RuntimeError(f"a worker process failed with status {status}; its message is above")
