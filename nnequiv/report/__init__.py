"""Reports: from one record of plain values, ``report.json`` for programs and ``report.html`` for readers.

``record`` makes and writes records, ``page`` has the building blocks of HTML, ``sections`` what all pages share,
``pictures`` their pictures; the pages are ``demo_page``, ``answer_page``, ``repair_page`` and ``audit_page``;
``markdown`` is the demo's ``report.md``.
"""

from nnequiv.report.demo_figures import demo_figures
from nnequiv.report.demo_page import demo_page
from nnequiv.report.markdown import markdown, summary_table
from nnequiv.report.pictures import demo_pictures
from nnequiv.report.record import control_record, interval, sha256, write_files

__all__ = [
    "control_record",
    "demo_figures",
    "demo_page",
    "demo_pictures",
    "interval",
    "markdown",
    "sha256",
    "summary_table",
    "write_files",
]
