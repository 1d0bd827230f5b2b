"""Branch and bound: the largest value, or a verdict, without listing pieces.

To read it: ``engine`` (the whole algorithm in one docstring), ``frontier``, ``zonotope`` and ``bounds`` (boxes),
``input_splitting``; then ``dual``, ``newton`` and ``relu_splitting`` (parts with fixed signs); then nearly equal
networks, ``differential_zonotope`` and ``leaves`` on few inputs, ``differential`` and ``pair_splitting`` on many; last
``workers``. ``interval`` bounds are the plain twin that the others are never looser than.
"""

from nnequiv.reach.branch_and_bound.engine import BranchAndBound

__all__ = ["BranchAndBound"]
