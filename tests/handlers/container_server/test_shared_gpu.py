"""Where others use the GPU too: only this process's own context says that its model is there."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from handlers.container_server import accelerator

_CALLS = ("cuInit", "cuDeviceGet", "cuDevicePrimaryCtxGetState")
_MORE = 1 << 30
"""Bytes by which the card's memory grew, whoever took them."""


class _Driver:
    """CUDA's, of a machine whose context is there or not; `fails` names the call that fails."""

    def __init__(self, *, active: bool, fails: str = "") -> None:
        self._active, self._fails = active, fails
        self.asked: list[int] = []

    def cuInit(self, _flags: int) -> int:  # noqa: N802 - the driver's name
        return 3 * (self._fails == "cuInit")

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        self.asked.append(index)
        device._obj.value = index + 40
        return 101 * (self._fails == "cuDeviceGet")

    def cuDevicePrimaryCtxGetState(self, device: ctypes.c_int, _flags: Any, active: Any) -> int:  # noqa: N802
        assert device.value == self.asked[-1] + 40
        active._obj.value = int(self._active)
        return 201 * (self._fails == "cuDevicePrimaryCtxGetState")


def _set_driver(monkeypatch: pytest.MonkeyPatch, driver: object) -> None:
    def find_driver() -> object:
        if driver is None:
            raise OSError("libcuda.so.1: cannot open shared object file")
        return driver

    monkeypatch.setattr(accelerator, "_open_driver", find_driver)


_WANTED = {"PACKAGER_DEVICE": "cuda"}


@pytest.mark.parametrize("grown", [0, _MORE])
def test_a_process_without_a_context_is_on_the_cpu_whatever_the_card_holds(
    monkeypatch: pytest.MonkeyPatch, grown: int
) -> None:
    _set_driver(monkeypatch, _Driver(active=False))

    with pytest.raises(accelerator.NoAcceleratorError, match="it seems"):
        accelerator.confirm(object(), "cuda:1", grown, _WANTED)


@pytest.mark.parametrize("grown", [-_MORE, 0, _MORE])
def test_a_process_with_a_context_is_on_the_gpu_though_others_give_memory_back(
    monkeypatch: pytest.MonkeyPatch, grown: int
) -> None:
    driver = _Driver(active=True)
    _set_driver(monkeypatch, driver)

    assert accelerator.confirm(object(), "cuda:1", grown, _WANTED) == "cuda:1, by its context"
    assert driver.asked == [1]


@pytest.mark.parametrize(
    "driver",
    [None, SimpleNamespace(), *(_Driver(active=True, fails=name) for name in _CALLS)],
    ids=["none", "old", *_CALLS],
)
def test_the_card_s_memory_tells_only_where_the_driver_does_not(
    monkeypatch: pytest.MonkeyPatch, driver: object
) -> None:
    _set_driver(monkeypatch, driver)

    assert accelerator.has_context(0) is None
    assert accelerator.confirm(object(), "cuda:0", _MORE, _WANTED) == "cuda:0, by its memory"
    with pytest.raises(accelerator.NoAcceleratorError, match="it seems"):
        accelerator.confirm(object(), "cuda:0", 0, _WANTED)


def test_a_framework_that_tells_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    _set_driver(monkeypatch, _Driver(active=False))

    found = accelerator.confirm(SimpleNamespace(find_device=lambda: "cuda:0"), "cuda:0", 0, _WANTED)

    assert found == "cuda:0"
