"""Reachability engines: independent ways to the same number, one algorithm a file."""
