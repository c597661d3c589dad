"""Kinds are file names; a wrong one gets a suggestion."""

from __future__ import annotations

import pkgutil

import pytest

from drivers import devices, registry
from drivers.errors import DriverError


def test_every_file_in_devices_that_is_not_private_is_a_kind():
    files = {module.name for module in pkgutil.iter_modules(devices.__path__)}

    assert set(registry.kinds()) == {name for name in files if not name.startswith("_")}
    assert "nirscan" in registry.kinds()


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_loads_and_is_complete(kind: str):
    device = registry.load(kind)

    assert device.kind == kind
    assert device.title
    assert device.links
    assert all(device.over(medium).kind == kind for medium in device.links)
    assert device.default_settings.repeats > 0
    for name in ("open", "configure", "scan", "environment", "close"):
        assert callable(getattr(device, name))


def test_a_misspelt_kind_gets_a_suggestion():
    with pytest.raises(registry.UnknownKind) as caught:
        registry.load("NIRscam")

    assert caught.value.kind == "NIRscam"
    assert caught.value.message == "no device kind 'NIRscam'"
    assert caught.value.hint.startswith("did you mean nirscan? known kinds: ")
    assert isinstance(caught.value, DriverError)


@pytest.mark.parametrize("kind", ["_template", "", "../nirscan", "os", "nirscan.py"])
def test_what_is_no_kind_is_not_imported(kind: str):
    with pytest.raises(registry.UnknownKind):
        registry.load(kind)
