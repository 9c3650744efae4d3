"""Progress as callers want it: nothing, a function of what is done from 0 to 1, or True for a bar of
tqdm where there is one."""
from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional, Union

Progress = Union[None, bool, Callable[[float], Any]]


@contextmanager
def following(progress: Progress, what: str) -> Iterator[Optional[Callable[[float], Any]]]:
    if progress is None or progress is False:
        yield None
    elif progress is True:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            yield None
            return
        with tqdm(total=1.0, desc=what, unit="", bar_format="{l_bar}{bar}| {elapsed}") as bar:
            def step(done: float) -> None:
                bar.update(max(done - bar.n, 0.0))
            yield step
            bar.update(1.0 - bar.n)
    elif callable(progress):
        yield progress
    else:
        raise TypeError("progress is True, or a function that takes a number from 0 to 1")


def threads_of(threads: Optional[int]) -> int:
    """As many as may run here, where nobody says."""
    if threads is None:
        return len(os.sched_getaffinity(0))
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= 256:
        raise ValueError(f"threads is {threads!r}, expected a whole number from 1 to 256")
    return threads
