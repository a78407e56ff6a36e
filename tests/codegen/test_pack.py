"""Packing of blocks: never overlapping, and what is called minimal is minimal: compared with trying every order."""

from itertools import permutations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamella.codegen import pack
from lamella.codegen.pack import ALIGN, Block


def overlaps(a: Block, b: Block) -> bool:
    return a.first <= b.last and b.first <= a.last


def check(blocks: tuple[Block, ...], packing: pack.Packing) -> None:
    for k, b in enumerate(blocks):
        assert packing.offsets[k] % ALIGN == 0 and packing.offsets[k] + b.size <= packing.bytes
        for i in range(k):
            apart = (
                packing.offsets[i] + blocks[i].size <= packing.offsets[k]
                or packing.offsets[k] + b.size <= packing.offsets[i]
            )
            assert apart or not overlaps(blocks[i], b)


def least(blocks: tuple[Block, ...]) -> int:
    """By definition: some order puts each block of a smallest packing at the lowest free offset."""
    best = 1 << 30
    for order in permutations(range(len(blocks))):
        placed: list[tuple[int, Block]] = []
        for k in order:
            at = 0
            for offset, other in sorted(((o, b) for o, b in placed if overlaps(b, blocks[k])), key=lambda p: p[0]):
                if at + blocks[k].size <= offset:
                    break
                at = max(at, -(-(offset + other.size) // ALIGN) * ALIGN)
            placed.append((at, blocks[k]))
        best = min(best, max(-(-(o + b.size) // ALIGN) * ALIGN for o, b in placed))
    return best


def random_blocks(draw, n: int) -> tuple[Block, ...]:
    made = []
    for _ in range(n):
        first = draw(st.integers(0, 8))
        made.append(Block(draw(st.integers(1, 60)), first, first + draw(st.integers(0, 4))))
    return tuple(made)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_small_packings_are_minimal_and_say_so(data):
    blocks = random_blocks(data.draw, data.draw(st.integers(1, 6)))
    packing = pack.pack(blocks)
    check(blocks, packing)
    assert packing.minimal and packing.bytes == least(blocks)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_larger_packings_hold_their_bound(data):
    blocks = random_blocks(data.draw, data.draw(st.integers(12, 24)))
    packing = pack.pack(blocks)
    check(blocks, packing)
    greedy = pack.pack(blocks, exact=False)
    check(blocks, greedy)
    assert packing.bound <= packing.bytes <= greedy.bytes


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_solver_alone_finds_and_proves_the_least(data):
    """From the worst packing, all blocks one behind the other, and without knowing the largest sum alive."""
    blocks = random_blocks(data.draw, data.draw(st.integers(2, 6)))
    lives = [(-(-b.size // ALIGN), b.first, b.last) for b in blocks]
    numbers = range(len(lives))
    clashes = [[i for i in numbers if i != k and overlaps(blocks[i], blocks[k])] for k in numbers]
    offsets = [sum(size for size, _, _ in lives[:k]) for k in numbers]
    worst = (offsets[-1] + lives[-1][0] + 1, offsets, list(numbers))
    (end, found, _), bound = pack._solved(lives, clashes, worst, 0)
    check(blocks, pack.Packing(tuple(ALIGN * o for o in found), ALIGN * end, ALIGN * bound))
    assert ALIGN * end == ALIGN * bound == least(blocks)
