"""Sets: boxes and polytopes of inputs, stars of the reachability algorithm."""

from nnequiv.sets.box import Box
from nnequiv.sets.polytope import Polytope
from nnequiv.sets.star import StarSet
from nnequiv.sets.vertex_polytope import VertexPolytope

__all__ = ["Box", "Polytope", "StarSet", "VertexPolytope"]
