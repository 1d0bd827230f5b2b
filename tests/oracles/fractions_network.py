"""A network evaluated with Fractions, term by term: the plain twin of :func:`nnequiv.rounding.evaluate_exact`."""

from __future__ import annotations

from fractions import Fraction

from nnequiv.network import Network


def evaluate_with_fractions(network: Network, point) -> list[Fraction]:
    values = [Fraction(v) for v in point]
    for index, layer in enumerate(network.layers):
        if index:
            values = [max(v, Fraction(0)) for v in values]
        values = [
            sum((Fraction(float(w)) * v for w, v in zip(row, values, strict=True)), Fraction(float(b)))
            for row, b in zip(layer.weight, layer.bias, strict=True)
        ]
    return values
