"""nnequiv: how far is a compressed ReLU network from the original, where, and can the gap be closed? With proof."""

from nnequiv.certificate import Certificate, check_certificate
from nnequiv.compression import Compressed, Narrow, Prune, Quantize, compress, size
from nnequiv.control import Control, Stopped
from nnequiv.datasets import Dataset, digits
from nnequiv.equivalence import check_equivalence, enumerate_pieces, max_discrepancies, max_discrepancy
from nnequiv.io import load, load_box, save
from nnequiv.io.mnist import mnist
from nnequiv.merge import merge, side_by_side
from nnequiv.network import Layer, Network
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.reach.milp import Milp
from nnequiv.reach.skeleton import Skeleton
from nnequiv.reach.star import Star
from nnequiv.reach.vertices import Vertices
from nnequiv.regions import Regions, steps, survey
from nnequiv.relations import Epsilon, Order, Top1, TopK
from nnequiv.repair import LastLayer, Repair, Violation, best_last_layer, repair
from nnequiv.results import Discrepancy, Equivalence, Verdict
from nnequiv.sets import Box, Polytope
from nnequiv.version import VERSION as __version__

__all__ = [
    "Box",
    "BranchAndBound",
    "Certificate",
    "Compressed",
    "Control",
    "Dataset",
    "Discrepancy",
    "Epsilon",
    "Equivalence",
    "LastLayer",
    "Layer",
    "Milp",
    "Narrow",
    "Network",
    "Order",
    "Polytope",
    "Prune",
    "Quantize",
    "Regions",
    "Repair",
    "Skeleton",
    "Star",
    "Stopped",
    "Top1",
    "TopK",
    "Verdict",
    "Vertices",
    "Violation",
    "__version__",
    "best_last_layer",
    "check_certificate",
    "check_equivalence",
    "compress",
    "digits",
    "enumerate_pieces",
    "load",
    "load_box",
    "max_discrepancies",
    "max_discrepancy",
    "merge",
    "mnist",
    "repair",
    "save",
    "side_by_side",
    "size",
    "steps",
    "survey",
]
