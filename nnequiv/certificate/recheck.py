"""Calls the checker, exact or in floats, on a certificate and on the networks that it must be about."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from nnequiv.certificate.check import Leaf, Report, check, digest, read
from nnequiv.certificate.fast import Fast
from nnequiv.certificate.write import Certificate
from nnequiv.network import Network


def check_certificate(
    certificate: Certificate | str,
    networks: dict[str, Network] | None = None,
    *,
    fast: bool = False,
    progress=None,
) -> Report:
    """Check a certificate, or a file of one, in exact arithmetic.

    Parameters
    ----------
    certificate : Certificate or path
    networks : dict of Network, optional
        Networks that the certificate must be about, by its names: ``{"f": f}``. They are told by their SHA-256.
    fast : bool
        Rigorous floating-point bounds instead: quicker, and one more thing to believe. Never the default.
    progress : callable, optional
        Called as ``progress(done, total)`` after each node of a proof.

    Returns
    -------
    Report
        ``accepted``, and ``text``: what is proved, or the first thing that is wrong.

    Examples
    --------
    >>> import nnequiv as nq
    >>> f, g = nq.Network([([[1.0]], [0.0])]), nq.Network([([[1.0]], [0.25])])
    >>> certificate = nq.max_discrepancy(f, g, nq.Box([0.0], [1.0])).certificate()
    >>> check_certificate(certificate, {"f": f}).accepted, check_certificate(certificate, {"f": g}).accepted
    (True, False)
    """
    record = certificate.record if isinstance(certificate, Certificate) else certificate
    if not isinstance(record, dict):
        with suppress(Exception):  # what cannot be read is refused below
            record = read(record)
    for name, network in (networks or {}).items():
        if _sha256_of(record, name) != digest([(layer.weight, layer.bias) for layer in network.layers]):
            return Report(False, f"refused: it is not about the network given as {name}")
    with np.errstate(all="ignore"):  # what overflows in floats proves nothing, silently
        return check(record, Fast if fast else Leaf, progress or (lambda done, total: None))


def _sha256_of(record, name: str) -> str:
    """Of the network of that name which some claim is about; empty if there is none."""
    try:
        return (
            record["networks"][name]["sha256"] if any(name in claim["networks"] for claim in record["claims"]) else ""
        )
    except Exception:  # a record can be anything
        return ""
