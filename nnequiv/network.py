"""A feed-forward ReLU network as lists of NumPy arrays: evaluate, activation pattern, affine map, gradients.

The whole library stands on this class. It is immutable: training and repair make new networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


def _frozen(values, name: str) -> np.ndarray:
    """A private, read-only float64 copy; refuses what is not finite, by position."""
    array = np.array(values, dtype=np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        position = tuple(int(i) for i in bad[0])
        raise ValueError(f"{name}{list(position)} is {array[position]}: it must be finite")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Layer:
    """One affine layer ``z = weight @ a + bias``.

    Parameters
    ----------
    weight : (n_out, n_in) array
    bias : (n_out,) array

    Raises
    ------
    ValueError
        If the shapes do not fit or a value is not finite.

    Examples
    --------
    >>> layer = Layer([[1.0, 2.0]], [0.5])
    >>> layer.n_in, layer.n_out
    (2, 1)
    """

    weight: np.ndarray
    bias: np.ndarray

    def __post_init__(self):
        weight, bias = _frozen(self.weight, "weight"), _frozen(self.bias, "bias")
        if weight.ndim != 2:
            raise ValueError(f"weight has shape {weight.shape}: it must be (n_out, n_in)")
        if bias.shape != weight.shape[:1]:
            raise ValueError(f"bias has shape {bias.shape}, but weight is {weight.shape}")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    @property
    def n_in(self) -> int:
        """Numbers that go in."""
        return self.weight.shape[1]

    @property
    def n_out(self) -> int:
        """Neurons, or outputs."""
        return self.weight.shape[0]


class Network:
    """Layers with ReLU between them, none after the last. Immutable.

    Parameters
    ----------
    layers : iterable of Layer or of (weight, bias) pairs
        At least one; the widths must chain.

    Raises
    ------
    ValueError
        Names the layer (counted from 0), both shapes or the offending value and its position.

    Examples
    --------
    The absolute value, as ``relu(x) + relu(-x)``:

    >>> net = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> net.evaluate([-3.0])
    array([3.])
    >>> net.activation_pattern([-3.0])
    array([False,  True])
    >>> net.affine_map([False, True])
    (array([[-1.]]), array([0.]))
    """

    def __init__(self, layers: Iterable[Layer | tuple]):
        checked: list[Layer] = []
        for index, entry in enumerate(layers):
            try:
                layer = entry if isinstance(entry, Layer) else Layer(*entry)
            except (ValueError, TypeError) as error:
                raise ValueError(f"layer {index}: {error}") from None
            if checked and layer.n_in != checked[-1].n_out:
                raise ValueError(
                    f"layer {index}: weight is {layer.weight.shape}, "
                    f"but the layer before it has {checked[-1].n_out} outputs"
                )
            checked.append(layer)
        if not checked:
            raise ValueError("a network needs at least one layer, got 0")
        self._layers = tuple(checked)

    @classmethod
    def from_arrays(cls, weights: Sequence, biases: Sequence) -> Network:
        """A network from a list of weights ``(n_out, n_in)`` and a list of biases ``(n_out,)``.

        >>> Network.from_arrays([[[2.0]]], [[1.0]]).evaluate([3.0])
        array([7.])
        """
        if len(weights) != len(biases):
            raise ValueError(f"{len(weights)} weights, but {len(biases)} biases")
        return cls(zip(weights, biases, strict=True))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers; ReLU stands between them, none after the last."""
        return self._layers

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The layers a ReLU follows: all but the last."""
        return self._layers[:-1]

    @property
    def n_inputs(self) -> int:
        """Numbers of a point."""
        return self._layers[0].n_in

    @property
    def n_outputs(self) -> int:
        """Values of the last layer."""
        return self._layers[-1].n_out

    @property
    def n_hidden(self) -> int:
        """Number of hidden neurons, the length of an activation pattern."""
        return sum(layer.n_out for layer in self.hidden)

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs, hidden widths, outputs: ``(64, 32, 16, 10)``."""
        return (self.n_inputs, *(layer.n_out for layer in self._layers))

    def __repr__(self) -> str:
        return f"Network({'-'.join(str(n) for n in self.widths)})"

    def _points(self, points) -> np.ndarray:
        points = np.asarray(points, dtype=np.float64)
        if points.ndim not in (1, 2) or points.shape[-1] != self.n_inputs:
            raise ValueError(f"points have shape {points.shape}, but the network has {self.n_inputs} inputs")
        return points

    def pre_activations(self, points) -> list[np.ndarray]:
        """Pre-activations of every layer, the outputs last.

        Parameters
        ----------
        points : (n_inputs,) or (k, n_inputs) array

        Returns
        -------
        list of (n_out,) or (k, n_out) arrays, one a layer
        """
        values = self._points(points)
        result = []
        for layer in self._layers:
            result.append(values @ layer.weight.T + layer.bias)
            values = np.maximum(result[-1], 0.0)
        return result

    def evaluate(self, points) -> np.ndarray:
        """Outputs ``(n_outputs,)`` at a point ``(n_inputs,)``, or ``(k, n_outputs)`` at a batch ``(k, n_inputs)``."""
        return self.pre_activations(points)[-1]

    __call__ = evaluate

    def activation_pattern(self, points) -> np.ndarray:
        """Which hidden neurons are active (pre-activation > 0): bool ``(n_hidden,)`` or ``(k, n_hidden)``."""
        points = self._points(points)
        empty = np.zeros((*points.shape[:-1], 0))
        return np.concatenate([empty, *self.pre_activations(points)[:-1]], axis=-1) > 0

    def split_pattern(self, pattern) -> list[np.ndarray]:
        """An activation pattern ``(n_hidden,)`` cut into one part a hidden layer."""
        pattern = np.asarray(pattern, dtype=bool)
        if pattern.shape != (self.n_hidden,):
            raise ValueError(f"pattern has shape {pattern.shape}, but the network has {self.n_hidden} hidden neurons")
        return np.split(pattern, np.cumsum([layer.n_out for layer in self.hidden])[:-1]) if self.hidden else []

    def affine_map(self, pattern) -> tuple[np.ndarray, np.ndarray]:
        """The affine map ``C x + d`` the network equals on the piece with this activation pattern.

        Returns
        -------
        C : (n_outputs, n_inputs) array
        d : (n_outputs,) array
        """
        matrix, offset = self._layers[0].weight, self._layers[0].bias
        for active, layer in zip(self.split_pattern(pattern), self._layers[1:], strict=True):
            matrix = layer.weight @ (matrix * active[:, None])
            offset = layer.weight @ (offset * active) + layer.bias
        return matrix, offset

    def gradients(self, points, output_gradient) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """Back-propagation: gradients of a scalar loss, given its gradient on the outputs.

        Parameters
        ----------
        points : (k, n_inputs) array
        output_gradient : (k, n_outputs) array
            ∂loss/∂outputs. At a kink the subgradient 0 is taken (``relu'(0) = 0``).

        Returns
        -------
        weight_gradients, bias_gradients : lists, shaped like the layers
        point_gradient : (k, n_inputs) array
            ∂loss/∂points.
        """
        points = np.atleast_2d(self._points(points))
        pre = self.pre_activations(points)
        gradient = np.asarray(output_gradient, dtype=np.float64)
        if gradient.shape != pre[-1].shape:
            raise ValueError(f"output_gradient has shape {gradient.shape}, but the outputs are {pre[-1].shape}")
        weights, biases = [], []
        for index in range(len(self._layers) - 1, -1, -1):
            before = np.maximum(pre[index - 1], 0.0) if index else points
            weights.append(gradient.T @ before)
            biases.append(gradient.sum(axis=0))
            gradient = gradient @ self._layers[index].weight
            if index:
                gradient = gradient * (pre[index - 1] > 0)
        return weights[::-1], biases[::-1], gradient
