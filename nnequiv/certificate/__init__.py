"""Certificates: answers that can be checked by code that shares nothing with this library.

``check.py`` is that code: exact, standard library and NumPy only, nothing of this package. ``write.py`` has the format
and puts certificates together; ``prove.py`` looks for the proof tree (``program.py``: the multipliers of its leaves,
``tree.py``: how it is written down); ``fast.py`` is rigorous floating-point arithmetic for the checker, and
``recheck.py`` calls it.
"""

from nnequiv.certificate.check import Report
from nnequiv.certificate.prove import NotProved
from nnequiv.certificate.recheck import check_certificate
from nnequiv.certificate.write import Certificate, Statement, certificate, certify, statement_of

__all__ = [
    "Certificate",
    "NotProved",
    "Report",
    "Statement",
    "certificate",
    "certify",
    "check_certificate",
    "statement_of",
]
