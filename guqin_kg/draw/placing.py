"""Boxes of many layout programs at once: every node has a box in its parent's box, resolved level by level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUMBERS = 64
"""Random numbers a program may use; what is drawn after them has none."""

_MOST = 3  # parts of a stack


@dataclass(slots=True, eq=False)
class Table:
    """A program as arrays; node 0 is the whole.

    Attributes:
        nodes: ``(2, n)``: parent and depth.
        leaves: node of each leaf, in drawing order.
        slots: ``(2, s)``: node of a slot, first of its four random numbers.
        slot_boxes: ``(9, s)``: box in type, change towards prints, spread.
        stacks: ``(2, k)``: first of two random numbers, number of parts.
        stack_values: ``(11, k)``: shares, wanted share in type (NaN: none), change towards prints, gap in type, change
            towards prints, spread, inset of the first part, whether upright, and whether a share is wanted.
        kids: ``(4, q)``: node, stack, place in it, first of two random numbers.
    """

    nodes: np.ndarray
    leaves: np.ndarray
    slots: np.ndarray
    slot_boxes: np.ndarray
    stacks: np.ndarray
    stack_values: np.ndarray
    kids: np.ndarray


class TableMaker:
    """Collects the rows of a :class:`Table` while a program is walked in drawing order."""

    def __init__(self, leaves: int) -> None:
        self._nodes = [(0, 0)]
        self._leaves = [0] * leaves
        self._slots: list[tuple[int, int]] = []
        self._slot_boxes: list[tuple[float, ...]] = []
        self._stacks: list[tuple[int, int]] = []
        self._stack_values: list[tuple[float, ...]] = []
        self._kids: list[tuple[int, int, int, int]] = []
        self._used = 0

    def _numbers(self, count: int) -> int:
        """Where ``count`` random numbers begin (past the end all are zero)."""
        first = min(self._used, NUMBERS)
        self._used += count
        return first

    def _node(self, parent: int, depth: int) -> int:
        self._nodes.append((parent, depth))
        return len(self._nodes) - 1

    def leaf(self, number: int, node: int) -> None:
        """Leaf ``number`` fills ``node``."""
        self._leaves[number] = node

    def slot(self, parent: int, depth: int, plain: tuple[float, ...], carved: tuple[float, ...], spread: float) -> int:
        """A node with a box of its own: in type, in prints."""
        node = self._node(parent, depth)
        self._slots.append((node, self._numbers(4)))
        self._slot_boxes.append((*plain, *(b - a for a, b in zip(plain, carved, strict=True)), spread))
        return node

    def stack(
        self, shares: Sequence[float], first: tuple[float, float] | None, gap: tuple[float, float], spread: float,
        inset: float, *, upright: bool,
    ) -> int:  # fmt: skip
        """A stack or row whose parts share the room; ``first`` (the wanted share of the first) and ``gap`` are given
        for type and for prints."""
        padded = (*shares, *(0.0 for _ in range(_MOST - len(shares))))
        plain, carved = first or (0.0, 0.0)
        room = gap[0], gap[1] - gap[0]
        self._stacks.append((self._numbers(2), len(shares)))
        self._stack_values.append((*padded, plain, carved - plain, *room, spread, inset, upright, first is not None))
        return len(self._stacks) - 1

    def kid(self, parent: int, depth: int, stack: int, place: int) -> int:
        """Part ``place`` of a stack."""
        node = self._node(parent, depth)
        self._kids.append((node, stack, place, self._numbers(2)))
        return node

    def table(self) -> Table:
        """What was collected."""

        def columns(rows: Sequence[Sequence[float]], width: int, kind: type) -> np.ndarray:
            return np.array(rows, kind).reshape(-1, width).T.copy()

        return Table(
            columns(self._nodes, 2, np.int64), np.array(self._leaves, np.int64),
            columns(self._slots, 2, np.int64), columns(self._slot_boxes, 9, np.float64),
            columns(self._stacks, 2, np.int64), columns(self._stack_values, 11, np.float64),
            columns(self._kids, 4, np.int64),
        )  # fmt: skip


def joined(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrays side by side along the last axis, where each begins, and which one each column comes from."""
    counts = np.array([a.shape[-1] for a in arrays])
    whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)
    return whole, np.cumsum(counts) - counts, np.repeat(np.arange(len(arrays)), counts)


def run_tables(
    tables: Sequence[Table], prints: np.ndarray, loose: np.ndarray, noise: np.ndarray | None = None
) -> np.ndarray:
    """Boxes ``(leaves of all programs, 4)``; see ``compose.Composer.run``."""
    (parent, depth), first_node, of_node = joined([t.nodes for t in tables])
    parent = parent + first_node.take(of_node)
    numbers = np.zeros((len(tables), NUMBERS + 4))
    if noise is not None:
        numbers[:, :NUMBERS] = noise
    flat, width = numbers.ravel(), numbers.shape[1]
    within = np.empty((4, len(parent)))
    within[:, first_node] = np.array([[0.0], [0.0], [1.0], [1.0]])
    _slots(tables, prints, flat, width, first_node, within)
    _stacks(tables, prints, loose, flat, width, first_node, within)
    boxes = within
    for level in range(2, int(depth.max()) + 1):
        here = np.flatnonzero(depth == level)
        left, top, right, bottom = boxes[:, parent.take(here)]
        wide, high = right - left, bottom - top
        inner = within[:, here]
        boxes[0, here], boxes[2, here] = left + wide * inner[0], left + wide * inner[2]
        boxes[1, here], boxes[3, here] = top + high * inner[1], top + high * inner[3]
    leaves, _, of_leaf = joined([t.leaves for t in tables])
    return boxes[:, leaves + first_node.take(of_leaf)].T


def _slots(
    tables: Sequence[Table], prints: np.ndarray, flat: np.ndarray, width: int, first_node: np.ndarray, out: np.ndarray
) -> None:
    (node, number), _, program = joined([t.slots for t in tables])
    values, _, _ = joined([t.slot_boxes for t in tables])
    at = number + program * width
    shake = flat.take(at + np.arange(4)[:, None]) * values[8]
    out[:, node + first_node.take(program)] = values[:4] + prints.take(program) * values[4:8] + shake


def _stacks(
    tables: Sequence[Table], prints: np.ndarray, loose: np.ndarray, flat: np.ndarray, width: int,
    first_node: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    (number, count), first_stack, program = joined([t.stacks for t in tables])
    values, _, _ = joined([t.stack_values for t in tables])
    shares, plain, change, gap, closer, spread, inset, upright, wanted = (values[:_MOST], *values[_MOST:])
    number = number + program * width
    first = np.where(wanted > 0, 0.65 * (plain + prints.take(program) * change) + 0.35 * shares[0], shares[0])
    rest = shares[1:] * np.where(wanted > 0, (1 - first) / shares[1:].sum(0), 1.0)
    first = np.minimum(0.78, np.maximum(0.14, first + flat.take(number) * spread))
    sizes = np.vstack([first, rest])
    gap = gap + prints.take(program) * closer
    gap = np.minimum(0.1, gap * loose.take(program) + flat.take(number + 1) * spread * 0.5)
    sizes *= (1 - gap * (count - 1)) / sizes.sum(0)
    begins = np.vstack([np.zeros_like(gap), sizes[0] + gap, sizes[0] + sizes[1] + 2 * gap])

    (node, stack, place, drawn), _, owner = joined([t.kids for t in tables])
    stack = stack + first_stack.take(owner)
    drawn = drawn + owner * width
    spread = spread.take(stack)
    shift, squeeze = flat.take(drawn) * spread * 0.6, flat.take(drawn + 1) * spread * 0.5
    low, high = begins[place, stack], begins[place, stack] + sizes[place, stack]
    set_in = np.where(place == 0, inset.take(stack), 0.0)
    up = upright.take(stack) > 0
    out[:, node + first_node.take(owner)] = np.where(
        up,
        np.array([set_in + shift - squeeze, low, 1 - (set_in - shift - squeeze), high]),
        np.array([low, np.maximum(0.0, shift - squeeze), high, 1 + np.minimum(0.0, shift + squeeze)]),
    )
