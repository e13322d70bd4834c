"""Packages with entry points, installed for a test as pip installs them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest


class PluginPackages:
    """Packages of one group of entry points in a folder that Python finds them in."""

    def __init__(self, folder: Path, group: str) -> None:
        self.modules: list[str] = []
        self._folder = folder
        self._group = group

    def install(self, module: str, code: str, *entries: str) -> None:
        """Installs a package of one module with entry points, as in "name = module:class"; one without a name is given one."""
        (self._folder / f"{module}.py").write_text(dedent(code))
        information = self._folder / f"{module}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        named = (entry if "=" in entry else f"{n}-{module} = {entry}" for n, entry in enumerate(entries))
        lines = [f"[{self._group}]", *named]
        (information / "entry_points.txt").write_text("\n".join(lines))
        self.modules.append(module)


@contextmanager
def plugin_packages(folder: Path, group: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginPackages]:
    """Yields packages that are forgotten with the block."""
    monkeypatch.syspath_prepend(str(folder))
    packages = PluginPackages(folder, group)
    try:
        yield packages
    finally:
        for module in packages.modules:
            sys.modules.pop(module, None)
