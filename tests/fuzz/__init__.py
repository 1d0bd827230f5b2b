"""A fuzzer of all readers and of the command line: ``python -m tests.fuzz --seconds 3600``.

``files.py`` has a valid file of every kind, ``mutations.py`` damages them, ``readers.py`` and ``commands.py`` say what
must hold of every input, ``run.py`` counts. Every input is drawn from its number alone: a failure is repeated by it.
"""
