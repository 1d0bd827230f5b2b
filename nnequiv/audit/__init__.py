"""Another tool's claim is judged, a VNN-LIB query decided: by proof or by exact replay.

``verify`` decides a query; ``replay`` checks a counterexample in exact arithmetic; ``claims`` are bounds in words;
``judge`` holds an answer against both; ``folder`` does that for a whole competition.
"""

from nnequiv.audit.folder import audit_instances
from nnequiv.audit.judge import Audit, Judgement, audit, audit_bound
from nnequiv.audit.verify import Verification, verify

__all__ = ["Audit", "Judgement", "Verification", "audit", "audit_bound", "audit_instances", "verify"]
