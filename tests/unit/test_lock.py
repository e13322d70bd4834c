"""requirements.lock has what requirements.txt and pyproject.toml ask for, with hashes, and docs/licences.md names it."""

from __future__ import annotations

import re
import runpy
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

SCRIPTS = Path(__file__).parents[2] / "scripts"
lock, licences = (SimpleNamespace(**runpy.run_path(str(SCRIPTS / f"{name}.py"))) for name in ("lock", "licences"))
SECTIONS = lock.read_sections(lock.LOCK.read_text(encoding="utf-8"))
PYTHONS = ("3.11", "3.13")  # Debian 12's and Debian 13's
ENVIRONMENTS = [
    {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "extra": ""}
    for python in PYTHONS
]


def pins(section: str) -> dict[str, list[Requirement]]:
    """The locked versions that a section installs, with the runtime's and without their hashes."""
    found = defaultdict[str, list[Requirement]](list)
    for entry in dict.fromkeys([*SECTIONS[lock.RUNTIME], *SECTIONS[section]]):
        pin = Requirement(entry.partition(" \\\n")[0])
        found[pin.name].append(pin)
    return found


def is_wanted(requirement: Requirement, environment: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


def pinned_version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return specifier.version


def lacking(required: list[str], pinned: dict[str, list[Requirement]], environment: dict[str, str]) -> list[str]:
    """Lists those of these requirements that no locked version satisfies there."""
    return [
        text
        for text in required
        if is_wanted(wanted := Requirement(text), environment)
        and not any(
            is_wanted(pin, environment) and wanted.specifier.contains(pinned_version(pin), prereleases=True)
            for pin in pinned[canonicalize_name(wanted.name)]
        )
    ]


def test_there_is_a_section_for_each_group_of_requirements() -> None:
    assert [*SECTIONS] == [*lock.required()]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=PYTHONS)
@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_satisfies_its_requirements_and_those_of_its_packages(
    section: str, environment: dict[str, str]
) -> None:
    """The packages' own as far as they are installed here in the locked version: run `make lock` where this fails."""
    pinned = pins(section)
    assert lacking(lock.required()[section], pinned, environment) == []
    for name, found in pinned.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if any(is_wanted(pin, environment) and pinned_version(pin) == installed for pin in found):
            assert lacking(metadata.requires(name) or [], pinned, environment) == [], name


@pytest.mark.parametrize("section", SECTIONS)
def test_every_package_is_pinned_once_for_each_python_by_hashes_of_its_files(section: str) -> None:
    for entry in SECTIONS[section]:
        first, *hashes = entry.split(" \\\n")
        assert re.search(r"==\d", first)
        assert hashes and all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", one) for one in hashes)
    for environment in ENVIRONMENTS:
        for name, found in pins(section).items():
            assert len({pinned_version(pin) for pin in found if is_wanted(pin, environment)}) <= 1, name


def test_a_lock_that_lags_behind_is_seen() -> None:
    environment = ENVIRONMENTS[0]
    pinned = pins(lock.RUNTIME)
    newest = Version(pinned_version(pinned["aiohttp"][0]))
    assert lacking(["aiohttp>=3"], pinned, environment) == []
    for behind in (f"aiohttp>{newest}", "not-locked"):
        assert lacking([behind], pinned, environment) == [behind]


def test_licences_names_exactly_the_packages_that_run_with_a_licence_each() -> None:
    page = licences.PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\S+)\]\(https://pypi.org/project/\1/\) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    locked = {
        (name, ", ".join({pinned_version(pin): None for pin in found}))
        for section in licences.SECTIONS
        for name, found in pins(section).items()
    }
    assert sorted((name, versions) for name, versions, _ in rows) == sorted(locked)
    installed = {one.name: one.version for one in metadata.distributions()}
    for name, versions, named in rows:
        if installed.get(name) == versions:
            assert named == licences.licence(name)
