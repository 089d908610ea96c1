"""Batches in threads come back in order, and leave torch's threads as they were."""

import threading
import time

import pytest
import torch

from selfsup.inference.scoring import map_in_threads


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_results_come_in_the_order_of_the_items(count):
    def slower_at_first(item: int) -> int:
        time.sleep((count - item) / 2000)
        return item * 10

    assert list(map_in_threads(slower_at_first, range(count), 4)) == [
        item * 10 for item in range(count)
    ]


@pytest.mark.parametrize(("count", "of_each"), [(9, 1), (4, 1), (2, 2), (1, 4)])
def test_threads_are_shared_out_among_the_items(count, of_each):
    used = map_in_threads(lambda item: torch.get_num_threads(), range(count), 4)
    assert set(used) == {of_each}


def test_several_items_are_computed_at_a_time():
    all_here = threading.Barrier(3, timeout=30)
    assert len(list(map_in_threads(lambda item: all_here.wait(), range(3), 3))) == 3
    torch.set_num_threads(4)


@pytest.mark.parametrize(("threads", "count"), [(1, 3), (4, 1)])
def test_one_thread_or_one_item_is_computed_in_the_caller(threads, count):
    used = set(map_in_threads(lambda item: threading.current_thread(), range(count), threads))
    assert used == {threading.current_thread()}


def test_an_error_is_the_callers():
    def third_fails(item: int) -> int:
        if item == 2:
            raise OSError("full")
        return item

    computed = map_in_threads(third_fails, range(100), 4)
    assert [next(computed), next(computed)] == [0, 1]
    with pytest.raises(OSError, match="full"):
        next(computed)


def test_what_is_not_taken_is_not_computed_far_ahead():
    begun: list[int] = []
    computed = map_in_threads(begun.append, range(1000), 4)
    next(computed)
    computed.close()
    assert len(begun) < 20
