"""Places for blocks of memory with known lives, in as few bytes as can be: greedy orders, then a search, then an exact solver.

Deterministic: the search is seeded, and the solver is stopped by a count of nodes, never by a clock.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: Blocks begin at multiples of so many bytes.
ALIGN = 4
#: Orders that the search tries, and nodes of its tree that the solver visits, at most.
TRIED, NODES = 400, 3000
#: Pairs of blocks beyond which the solver is not asked.
PAIRS = 1500


@dataclass(frozen=True)
class Block:
    """So many bytes from step `first` to step `last`."""

    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Packing:
    """An offset for each block, the bytes up to the end of the last one, and a number that no packing is below."""

    offsets: tuple[int, ...]
    bytes: int
    bound: int

    @property
    def minimal(self) -> bool:
        """Whether it is proved that there is no smaller one."""
        return self.bytes == self.bound


@lru_cache(maxsize=4096)
def pack(blocks: tuple[Block, ...], exact: bool = True) -> Packing:
    """The best packing found. exact: by more than the greedy orders, with a proof where there is one."""
    lives = [(-(-b.size // ALIGN), b.first, b.last) for b in blocks]
    bound = _bound(lives)
    orders = (
        lambda k: (-lives[k][0], lives[k][1]),
        lambda k: (lives[k][1], -lives[k][0]),
        lambda k: (lives[k][1] - lives[k][2], -lives[k][0]),
        lambda k: (-lives[k][0] * (lives[k][2] - lives[k][1] + 1), lives[k][1]),
    )
    numbers = range(len(lives))
    clashes = [[i for i in numbers if i != k and _together(lives[i], lives[k])] for k in numbers]
    best = min((_place(lives, clashes, sorted(numbers, key=order)) for order in orders), key=lambda p: p[0])
    if exact and best[0] > bound:
        best = _searched(lives, clashes, best, bound)
    if exact and best[0] > bound:
        best, bound = _solved(lives, clashes, best, bound)
    return Packing(tuple(ALIGN * o for o in best[1]), ALIGN * best[0], ALIGN * bound)


_Life = tuple[int, int, int]  # size in units of ALIGN, first and last step
_Placed = tuple[int, list[int], list[int]]  # end, offsets, the order that gave them


def _together(a: _Life, b: _Life) -> bool:
    return a[1] <= b[2] and b[1] <= a[2]


def _bound(lives: Sequence[_Life]) -> int:
    """The largest sum of blocks alive at one step."""
    steps = {first for _, first, _ in lives}
    return max((sum(size for size, first, last in lives if first <= step <= last) for step in steps), default=0)


def _place(lives: Sequence[_Life], clashes: Sequence[Sequence[int]], order: Sequence[int]) -> _Placed:
    """Each block at the lowest free offset, in the given order."""
    offsets = [-1] * len(lives)
    end = 0
    for k in order:
        size, at = lives[k][0], 0
        for offset, length in sorted((offsets[i], lives[i][0]) for i in clashes[k] if offsets[i] >= 0):
            if at + size <= offset:
                break
            at = max(at, offset + length)
        offsets[k] = at
        end = max(end, at + size)
    return end, offsets, list(order)


def _searched(lives: Sequence[_Life], clashes: Sequence[Sequence[int]], best: _Placed, bound: int) -> _Placed:
    """Blocks that stand highest are placed earlier, and others at random, while that makes it no worse."""
    rng = random.Random(1)
    now = best
    for _ in range(TRIED):
        order = list(now[2])
        top = [k for k in order if now[1][k] + lives[k][0] == now[0]]
        moved = rng.choice(top) if rng.random() < 0.5 else rng.choice(order)
        place = order.index(moved)
        order.insert(rng.randrange(place + 1), order.pop(place))
        tried = _place(lives, clashes, order)
        if tried[0] <= now[0]:
            now = tried
        if now[0] == bound:
            break
    return now


def _solved(lives: Sequence[_Life], clashes: Sequence[Sequence[int]], best: _Placed, bound: int) -> tuple[_Placed, int]:
    """By mixed-integer programming (HiGHS): a packing below `best`, or the proof that there is none."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import lil_array

    pairs = [(i, k) for k in range(len(lives)) for i in clashes[k] if i < k]
    if len(pairs) > PAIRS:
        return best, bound
    n, most = len(lives), best[0] - 1
    # Variables: the offsets; for each pair whether the first stands below the second; the end of all.
    rows, low = lil_array((2 * len(pairs) + n, n + len(pairs) + 1)), []
    for r, (i, k) in enumerate(pairs):
        below = n + r
        rows[2 * r, k], rows[2 * r, i], rows[2 * r, below] = 1, -1, -most
        low.append(lives[i][0] - most)
        rows[2 * r + 1, i], rows[2 * r + 1, k], rows[2 * r + 1, below] = 1, -1, most
        low.append(lives[k][0])
    for k in range(n):
        rows[2 * len(pairs) + k, k], rows[2 * len(pairs) + k, n + len(pairs)] = -1, 1
        low.append(lives[k][0])
    ends = [max(most - size, 0) for size, _, _ in lives]
    result = milp(
        np.r_[np.zeros(n + len(pairs)), 1],
        integrality=np.ones(n + len(pairs) + 1),
        bounds=Bounds(np.r_[np.zeros(n + len(pairs)), bound], np.r_[ends, np.ones(len(pairs)), most]),
        constraints=LinearConstraint(rows.tocsr(), np.array(low), np.inf),
        options={"node_limit": NODES},
    )
    if result.status == 2:  # no packing is smaller
        return best, best[0]
    if result.mip_dual_bound is not None and np.isfinite(result.mip_dual_bound):
        bound = max(bound, int(np.ceil(result.mip_dual_bound - 1e-6)))
    if result.x is None:
        return best, min(bound, best[0])
    wanted = np.rint(result.x[:n]).astype(int)
    found = _place(lives, clashes, sorted(range(n), key=lambda k: (wanted[k], k)))
    return (found if found[0] < best[0] else best), min(bound, found[0], best[0])
