"""Measurements by several processes: each in turn, whatever becomes of the others."""

import os
import time
from functools import partial

from in_turn import in_turn


def measurements(until):
    """The third ends its process, and the rest are not begun before a time."""

    def prepared(number):
        if number == 2:
            os._exit(3)
        if number > 3:
            time.sleep(max(0, until - time.time()))
        return partial(int, number)

    return [partial(prepared, number) for number in range(8)]


def test_what_is_ready_is_measured_and_the_rest_is_missing():
    start = time.time()
    # The second process has 1, 3, 5 and 7, and is at 5 when time is up.
    found = list(in_turn(measurements, start + 4, processes=2, within=3))
    assert sorted(found) == [1, 3, 5]
    assert time.time() - start < 30
