"""No public method of the SDK goes untested. Runs last: the other tests note what they call."""

import inspect

import pytest
from clients import CALLED, CLASSES

SURFACE = [(kind, cls) for kind, classes in CLASSES.items() for cls in classes]


def public(cls):
    return {name for name, member in inspect.getmembers(cls) if not name.startswith("_") and (callable(member) or isinstance(member, property))}


@pytest.mark.parametrize(("kind", "cls"), SURFACE, ids=[cls.__name__ for _, cls in SURFACE])
def test_every_public_method_was_called(request, kind, cls):
    if not request.config.complete_run:
        pytest.skip("only a part of the tests runs")
    names = public(cls)
    assert {"write", "read", "turn", "remember"} <= names, "the SDK is another than expected"
    called = {name for owner, name in CALLED if owner is cls}
    assert names - called == set()


def test_both_kinds_of_client_offer_the_same():
    for ours, theirs in zip(CLASSES["sync"], CLASSES["async"]):
        assert public(ours) == public(theirs)
