"""Files in and out: networks, input sets, queries, and what tools answer."""

from nnequiv.io.boxes import load_box
from nnequiv.io.instances import load_instances
from nnequiv.io.networks import load, save
from nnequiv.io.query import Query
from nnequiv.io.vnncomp import format_answer, load_answer
from nnequiv.io.vnnlib import load_query

__all__ = ["Query", "format_answer", "load", "load_answer", "load_box", "load_instances", "load_query", "save"]
