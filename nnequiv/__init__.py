"""nnequiv: how far is a compressed ReLU network from the original, where, and can the gap be closed? With proof."""

from nnequiv.control import Control, Stopped
from nnequiv.equivalence import check_equivalence, enumerate_pieces, max_discrepancies, max_discrepancy
from nnequiv.io import load, load_box, save
from nnequiv.merge import merge, side_by_side
from nnequiv.network import Layer, Network
from nnequiv.reach.milp import Milp
from nnequiv.reach.star import Star
from nnequiv.regions import Regions, survey
from nnequiv.relations import Epsilon, Order, Top1, TopK
from nnequiv.results import Discrepancy, Equivalence, Verdict
from nnequiv.sets import Box, Polytope
from nnequiv.version import VERSION as __version__

__all__ = [
    "Box",
    "Control",
    "Discrepancy",
    "Epsilon",
    "Equivalence",
    "Layer",
    "Milp",
    "Network",
    "Order",
    "Polytope",
    "Regions",
    "Star",
    "Stopped",
    "Top1",
    "TopK",
    "Verdict",
    "__version__",
    "check_equivalence",
    "enumerate_pieces",
    "load",
    "load_box",
    "max_discrepancies",
    "max_discrepancy",
    "merge",
    "save",
    "side_by_side",
    "survey",
]
