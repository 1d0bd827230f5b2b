"""Texts of small queries, for networks made in a test."""

from __future__ import annotations

from collections.abc import Sequence

from nnequiv.network import Network


def relu_net(weight: float = 1.0, bias: float = 0.0) -> Network:
    """``y = weight · relu(x) + bias``."""
    return Network([([[1.0]], [0.0]), ([[weight]], [bias])])


def query_text(box: Sequence[tuple], unsafe: str, n_outputs: int = 1) -> str:
    """VNN-LIB 1.0: inputs between the pairs of a box, one assertion about outputs."""
    lines = [f"(declare-const X_{i} Real)" for i in range(len(box))]
    lines += [f"(declare-const Y_{i} Real)" for i in range(n_outputs)]
    lines += [f"(assert (and (>= X_{i} {low}) (<= X_{i} {high})))" for i, (low, high) in enumerate(box)]
    return "\n".join([*lines, f"(assert {unsafe})"] if unsafe else lines) + "\n"


def pair_text(box: Sequence[tuple], unsafe: str, outputs=(1, 1), extra: Sequence[str] = (), tied=True, of_g="") -> str:
    """VNN-LIB 2.0: networks f and g on the same inputs (unless not ``tied``), one assertion about outputs."""
    n = len(box)
    lines = ["(vnnlib-version <2.0>)"]
    for name, m, more in (("f", outputs[0], ""), ("g", outputs[1], of_g)):
        lines.append(
            f"(declare-network {name} {more} (declare-input X_{name} real [{n}]) (declare-output Y_{name} real [{m}]))"
        )
    for i, (low, high) in enumerate(box):
        lines.append(f"(assert (and (>= X_f[{i}] {low!r}) (<= X_f[{i}] {high!r})))")
        lines.append(
            f"(assert (== X_f[{i}] X_g[{i}]))"
            if tied
            else f"(assert (and (>= X_g[{i}] {low!r}) (<= X_g[{i}] {high!r})))"
        )
    return "\n".join([*lines, *extra, f"(assert {unsafe})"]) + "\n"
