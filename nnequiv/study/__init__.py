"""Studies: what compression, repair and its rivals do as one thing varies, as means and ranges over seeds.

``settings.py`` says what each study varies, ``cells.py`` runs one setting with one seed, ``statistics.py`` takes means
and ranges, ``text.py`` makes sentences of them and of nothing else, ``figure.py`` draws them, ``run.py`` strings all
together.
"""

from nnequiv.study.run import run_study
from nnequiv.study.settings import STUDIES

__all__ = ["STUDIES", "run_study"]
