"""The merged network: f and g side by side on one input, and the comparison layer ``f(x) − g(x)``.

Source: Mo et al. 2024 (arXiv 2402.11737), section III. Hidden layers are block-diagonal; the shallower network
is padded by identity lanes, so that both have the same depth.
"""

from __future__ import annotations

import numpy as np

from nnequiv.network import Layer, Network


def check_pair(f: Network, g: Network, outputs: bool = True) -> None:
    """Refuse two networks that cannot be compared: both numbers are in the message."""
    if f.n_inputs != g.n_inputs:
        raise ValueError(f"f has {f.n_inputs} inputs, but g has {g.n_inputs}: they must be equal")
    if outputs and f.n_outputs != g.n_outputs:
        raise ValueError(f"f has {f.n_outputs} outputs, but g has {g.n_outputs}: they must be equal")


def pad_depth(network: Network, depth: int) -> Network:
    """The same function with ``depth`` layers, by identity lanes.

    Where the network has hidden layers, the carried values are post-activations, hence non-negative, and one lane
    a value suffices: ``relu(v) = v``. An affine network has none and carries its inputs through ReLU pairs
    ``v = relu(v) − relu(−v)``.

    >>> pad_depth(Network([([[2.0]], [1.0])]), 3).evaluate([-4.0])
    array([-7.])
    """
    layers = list(network.layers)
    missing = depth - len(layers)
    if missing < 0:
        raise ValueError(f"the network has {len(layers)} layers, more than the depth {depth} asked for")
    if missing and len(layers) == 1:
        identity = np.eye(network.n_inputs)
        last = layers.pop()
        layers.append(Layer(np.vstack([identity, -identity]), np.zeros(2 * network.n_inputs)))
        layers.append(Layer(np.hstack([last.weight, -last.weight]), last.bias))
        missing -= 1
    width = layers[-1].n_in
    lanes = [Layer(np.eye(width), np.zeros(width))] * missing
    return Network([*layers[:-1], *lanes, layers[-1]])


def side_by_side(f: Network, g: Network) -> Network:
    """One network with outputs ``[f(x), g(x)]``: f and g on the same input, hidden layers block-diagonal.

    Parameters
    ----------
    f, g : Network
        Equal numbers of inputs; any depths, widths and numbers of outputs.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If inputs differ in number.

    Examples
    --------
    >>> double, half = Network([([[2.0]], [0.0])]), Network([([[0.5]], [0.0])])
    >>> side_by_side(double, half).evaluate([[1.0]])
    array([[2. , 0.5]])
    """
    check_pair(f, g, outputs=False)
    depth = max(len(f.layers), len(g.layers))
    f, g = pad_depth(f, depth), pad_depth(g, depth)
    layers = []
    for index, (a, b) in enumerate(zip(f.layers, g.layers, strict=True)):
        if index == 0:
            weight = np.vstack([a.weight, b.weight])
        else:
            weight = np.block(
                [
                    [a.weight, np.zeros((a.n_out, b.n_in))],
                    [np.zeros((b.n_out, a.n_in)), b.weight],
                ]
            )
        layers.append(Layer(weight, np.concatenate([a.bias, b.bias])))
    return Network(layers)


def merge(f: Network, g: Network) -> Network:
    """The merged network ``h(x) = f(x) − g(x)``, an ordinary :class:`Network`.

    The comparison layer ``[I, −I]`` is linear, so it is multiplied into the last layer. That rounds the differences of
    the last biases (and of the weights, if both networks are affine), nothing else.

    Parameters
    ----------
    f, g : Network
        Equal numbers of inputs and of outputs; any depths and widths.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If inputs or outputs differ in number.

    Examples
    --------
    >>> relu = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> linear = Network([([[1.0]], [0.5])])
    >>> merge(relu, linear).evaluate([[-2.0], [2.0]])
    array([[ 1.5],
           [-0.5]])
    """
    check_pair(f, g)
    both = side_by_side(f, g)
    last, m = both.layers[-1], f.n_outputs
    # Subtracting block rows never adds two non-zeros unless there is no hidden layer at all.
    comparison = Layer(last.weight[:m] - last.weight[m:], last.bias[:m] - last.bias[m:])
    return Network([*both.hidden, comparison])
