"""Repair: close the gap between f and g without making g bigger."""

from nnequiv.repair.last_layer import best_last_layer
from nnequiv.repair.loop import repair
from nnequiv.repair.result import LastLayer, Repair, Round, Violation

__all__ = ["LastLayer", "Repair", "Round", "Violation", "best_last_layer", "repair"]
