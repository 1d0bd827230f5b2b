"""What floating-point arithmetic can do to us: proved bounds on rounding, and arithmetic with none.

The model (Higham 2002, chapter 3): a dot product of length n, summed in any order, with or without fused
multiply-add, satisfies ``|fl(w @ a) − w @ a| ≤ γ_n |w| @ |a|`` with ``γ_n = n u / (1 − n u)``, ``u = 2⁻⁵³``, plus
``n η`` for products that underflow. All bounds below are sums of non-negative terms, computed in floats
themselves; a relative error of at most γ of twice the length covers that, so every γ is taken for ``2 n + 8``.
"""

from __future__ import annotations

from fractions import Fraction
from math import inf, lcm, nextafter
from sys import float_info

import numpy as np

from nnequiv.network import Network

#: Unit roundoff of float64.
UNIT = 2.0**-53
#: Largest error of one product that underflows.
UNDERFLOW = 2.0**-1074


def gamma(length: int) -> float:
    """Proved relative error bound for a dot product of this length, with room for computing the bound itself."""
    steps = (2 * length + 8) * UNIT
    return steps / (1.0 - steps)


def dot_error(length: int, magnitude):
    """Bound on the rounding error of a dot product of ``length`` terms plus a bias.

    Parameters
    ----------
    length : int
    magnitude : array
        ``|w| @ |a| + |b|``, computed in floats.
    """
    return gamma(length + 1) * magnitude + (length + 1) * 4 * UNDERFLOW


def power_of_two(values) -> np.ndarray:
    """The power of two just above each magnitude, 1 for zero; some power of two for what is not finite.

    Scaling by it rounds nothing. Kept within 2^±1000, so that it can be divided by.

    >>> power_of_two(np.array([3.0, 0.25, 0.0]))
    array([4. , 0.5, 1. ])
    """
    _, exponent = np.frexp(values)
    return np.ldexp(1.0, np.minimum(np.maximum(exponent, -1000), 1000))


def rounded_up(value: Fraction) -> float:
    """The smallest float that is not below an exact value.

    >>> rounded_up(Fraction(1, 2)), rounded_up(Fraction(1, 3)) > Fraction(1, 3)
    (0.5, True)
    """
    try:
        near = float(value)
    except OverflowError:
        return inf if value > 0 else -float_info.max
    return near if near >= value else nextafter(near, inf)


def rounded_down(value: Fraction) -> float:
    """The largest float that is not above an exact value."""
    return -rounded_up(-value)


def evaluate_with_error(network: Network, points) -> tuple[np.ndarray, np.ndarray]:
    """Outputs in floats, and a proved bound on how far each is from the exact output.

    Parameters
    ----------
    network : Network
    points : (n_inputs,) or (k, n_inputs) array, exact

    Returns
    -------
    values, errors : (n_outputs,) or (k, n_outputs) arrays
        ``|values − exact| ≤ errors``.

    Notes
    -----
    By induction over the layers: ``|relu(s) − relu(t)| ≤ |s − t|``, so an error ``e`` on the inputs of a layer
    leaves it as at most ``|W| e`` plus the rounding of the layer's own dot products. Sound: yes.

    Examples
    --------
    >>> net = Network([([[0.1, 0.2]], [0.3])])
    >>> values, errors = evaluate_with_error(net, [1.0, 1.0])
    >>> bool(abs(Fraction(float(values[0])) - evaluate_exact(net, [1.0, 1.0])[0]) <= Fraction(float(errors[0])))
    True
    """
    values = np.asarray(points, dtype=np.float64)
    errors = np.zeros_like(values)
    for index, layer in enumerate(network.layers):
        if index:
            errors = np.where(values < -errors, 0.0, errors)  # both sides of the ReLU are 0
            values = np.maximum(values, 0.0)
        size = np.abs(layer.weight)
        magnitude = (np.abs(values) + errors) @ size.T + np.abs(layer.bias)
        errors = (1 + gamma(layer.n_in)) * (errors @ size.T) + dot_error(layer.n_in, magnitude)
        values = values @ layer.weight.T + layer.bias
    return values, errors


def evaluate_exact(network: Network, point) -> list[Fraction]:
    """Outputs at one point ``(n_inputs,)`` of floats or Fractions, in exact rational arithmetic. Slow and never wrong.

    Weights and inputs are taken as they are. The values of a layer are whole numbers over one denominator, which no
    sum has to reduce: a hundred times as fast as sums of Fractions.

    >>> evaluate_exact(Network([([[0.5]], [0.25])]), [0.5])
    [Fraction(1, 2)]
    """
    fractions = [v if isinstance(v, Fraction) else Fraction(float(v)) for v in point]
    denominator = lcm(*(v.denominator for v in fractions))
    values = np.array([v.numerator * (denominator // v.denominator) for v in fractions], dtype=object)
    for index, layer in enumerate(network.layers):
        if index:
            values = np.maximum(values, 0)
        rows, shift = whole_numbers(np.column_stack([layer.weight, layer.bias]))
        values = rows[:, :-1] @ values + rows[:, -1] * denominator
        denominator <<= shift
    return [Fraction(value, denominator) for value in values]


def whole_numbers(values) -> tuple[np.ndarray, int]:
    """Floats as Python's whole numbers: ``values = numbers / 2**shift`` exactly, shift ≥ 0.

    >>> whole_numbers(np.array([0.5, -3.0]))
    (array([1, -6], dtype=object), 1)
    """
    mantissa, exponent = np.frexp(values)
    mantissa, exponent = np.ldexp(mantissa, 53).astype(np.int64), exponent.astype(np.int64) - 53
    lowest = mantissa & -mantissa  # its lowest bit: whole numbers stay small
    exponent = np.where(mantissa == 0, 0, exponent + np.frexp(lowest.astype(np.float64))[1] - 1)
    mantissa = mantissa // np.maximum(lowest, 1)
    shift = max(0, -int(exponent.min(initial=0)))
    return np.left_shift(mantissa.astype(object), (exponent + shift).astype(object)), shift
