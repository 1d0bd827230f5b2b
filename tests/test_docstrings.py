"""Every public name says what it takes, returns and raises, and shows an example that is tested (as a doctest)."""

import inspect

import pytest

import nnequiv as nq
from nnequiv.reach.choose import ENGINES

PUBLIC = {name: getattr(nq, name) for name in nq.__all__ if callable(getattr(nq, name))}
FUNCTIONS = {name: thing for name, thing in PUBLIC.items() if inspect.isfunction(thing)}
CLASSES = {name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)}


def text(thing) -> str:
    return inspect.getdoc(thing) or ""


def headings(thing) -> list[str]:
    lines = text(thing).splitlines()
    return [line for line, rule in zip(lines, lines[1:], strict=False) if rule and set(rule) == {"-"}]


@pytest.mark.parametrize("name", PUBLIC)
def test_it_has_an_example(name):
    assert ">>>" in text(PUBLIC[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_takes_returns_and_raises(name):
    function = FUNCTIONS[name]
    signature, found = inspect.signature(function), headings(function)
    assert "Parameters" in found
    if signature.return_annotation not in ("None", None):
        assert {"Returns", "Yields"} & set(found)
    if "raise ValueError" in inspect.getsource(function) or name in ("max_discrepancy", "check_equivalence"):
        assert "Raises" in found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_named(name):
    described = text(FUNCTIONS[name]).split("Parameters\n")[1].replace("``", "")
    words = set(described.replace(",", " ").replace(":", " ").split())
    taken = [p.name for p in inspect.signature(FUNCTIONS[name]).parameters.values()]
    assert not [parameter for parameter in taken if parameter not in words]


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_has_a_docstring(name):
    def bare(value):
        return getattr(value, "fget", None) or getattr(value, "__func__", None) or value

    own = {key: bare(value) for key, value in vars(CLASSES[name]).items() if not key.startswith("_")}
    assert not [key for key, value in own.items() if inspect.isfunction(value) and not inspect.getdoc(value)]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_says_whether_it_is_sound_and_complete_and_where_it_is_from(engine):
    documented = text(ENGINES[engine] if inspect.isclass(ENGINES[engine]) else type(ENGINES[engine]()))
    assert "Sound:" in documented and "Complete:" in documented
    assert "Source:" in documented
