"""Repair: close the gap between f and g without making g bigger."""

from nnequiv.repair.loop import repair
from nnequiv.repair.result import Repair, Round

__all__ = ["Repair", "Round", "repair"]
