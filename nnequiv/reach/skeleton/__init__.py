"""The skeleton engine: vertices and edges of all pieces together, each kept once.

To read it: ``complex`` (the state and one cut, the heart) with ``faces`` (the pair check), ``walk`` (layer by layer,
depth-first), ``drift`` (why the floats prove something), ``cells`` and ``tally`` (counting and maximising without
forming pieces), ``engine``.
"""

from nnequiv.reach.skeleton.engine import Skeleton

__all__ = ["Skeleton"]
