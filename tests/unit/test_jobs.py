"""Jobs as features declare them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from promise_pub.app import FEATURES, declared_jobs, sections_of
from promise_pub.jobs import Job, Work
from promise_pub.settings import model
from tests.settings_parts import COMPLETE, write


async def do_nothing(_: Work) -> None: ...


@pytest.mark.parametrize("name", ["", "Usage", "1st", "a_b", "a" * 33, "a/b", "jö", "a\n"])
def test_a_name_goes_into_addresses_and_commands(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a job"):
        Job(name=name, title="Does nothing.", run=do_nothing)


def test_no_two_features_have_a_job_of_one_name(tmp_path: Path) -> None:
    settings = model.load(write(tmp_path, COMPLETE), {}, sections_of(FEATURES))
    no_pool: Any = None  # jobs are declared before anything is asked
    names = Counter(job.name for job in declared_jobs(FEATURES, no_pool, settings))
    assert {"journal", "usage", "visits"} <= names.keys() and set(names.values()) == {1}
