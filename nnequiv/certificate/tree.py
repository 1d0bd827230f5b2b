"""A proof tree as it grows: nodes that are still open, split or closed; written down in preorder at the end."""

from __future__ import annotations

from collections.abc import Sequence


class Tree:
    """Nodes by number; the root is 0. A split makes two new open nodes.

    >>> tree = Tree()
    >>> low, high = tree.split(tree.root, "input", 0, "0x0.0p+0")
    >>> tree.leaf(high)
    >>> tree.leaf(low, [[2, [["goal", 0, 1]]]])
    >>> tree.preorder()
    [['input', 0, '0x0.0p+0'], ['leaf', [[2, [['goal', 0, 1]]]]], ['leaf', []]]
    """

    root = 0

    def __init__(self):
        self._nodes: list[list | None] = [None]
        self._children: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def split(self, node: int, kind: str, *values) -> tuple[int, int]:
        """Close a node by a split; its two children."""
        first = len(self._nodes)
        self._nodes[node] = [kind, *values]
        self._nodes += [None, None]
        self._children[node] = first, first + 1
        return first, first + 1

    def leaf(self, node: int, given: Sequence[list] = ()) -> None:
        """Close a node by a proof: ``[objective, multipliers]`` for each that its first goal alone does not close."""
        self._nodes[node] = ["leaf", list(given)]

    def preorder(self) -> list:
        result, waiting = [], [self.root]
        while waiting:
            node = waiting.pop()
            result.append(self._nodes[node])
            waiting += reversed(self._children.get(node, ()))
        return result
