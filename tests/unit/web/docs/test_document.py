"""The description of the API is of the application that is there: its requests, parameters, errors, runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import jsonschema
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from openapi_spec_validator import validate

from promise_pub import db, errors
from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.app import FEATURES
from promise_pub.http import login
from promise_pub.http.features import OpenFeature
from promise_pub.http.openapi import document
from promise_pub.http.openapi.document import Route
from promise_pub.http.problem_catalog import find_entry
from promise_pub.parameters import PARAMETERS, Parameters
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import (
    ConfirmLatency,
    EarlierSession,
    Fault,
    Finding,
    FindingKind,
    Resent,
    RunReport,
    SessionView,
    State,
    StoredFile,
    Verdict,
)
from promise_pub.web.docs import page
from promise_pub.web.docs.operations import make_api
from promise_pub.web.docs.parameters import in_query
from tests.fake_accounts import QUICK, FakeAccounts
from tests.web_house import JSON, Client, House

Described = dict[str, Any]
GUARDED = pytest.mark.parametrize("guarded", [False, True], ids=["open", "guarded"])


class OpenHouse:
    """The application among fakes, with users or without."""

    def __init__(self, folder: Path, guarded: bool) -> None:
        self.house = House(folder)
        self.accounts = FakeAccounts()
        passwords, sessions = Passwords(QUICK), SessionSigner(b"k" * 32, hours=12)
        authenticator = Authenticator(self.accounts, sessions, passwords, LoginAttempts()) if guarded else None
        features = [OpenFeature(feature=feature) for feature in FEATURES]
        self.app = self.house.app(*features, authenticator=authenticator)

    def described(self) -> Described:
        return dict(self.app[page.DESCRIPTION])


def operations(described: Described) -> dict[Route, Described]:
    return {
        Route(method.upper(), path): operation
        for path, known in described["paths"].items()
        for method, operation in known.items()
    }


@GUARDED
def test_every_request_that_is_taken_is_described_and_no_other(tmp_path: Path, guarded: bool) -> None:
    house = OpenHouse(tmp_path, guarded)
    taken = document.routes_of(house.app)
    assert set(operations(house.described())) == set(taken)
    assert len(taken) == len(set(taken)) and Route("HEAD", "/runs/{id}/stream") in taken


@GUARDED
def test_it_is_openapi(tmp_path: Path, guarded: bool) -> None:
    validate(OpenHouse(tmp_path, guarded).described())


def test_what_this_server_may_take_later_is_openapi_too() -> None:
    api = make_api(FEATURES)
    routes = [Route(*one) for one in api.operations]
    heads = [Route("HEAD", route.path) for route in routes if route.method == "GET"]
    described = document.describe([*routes, *heads], api, login=True)
    validate(described)
    assert set(operations(described)) == {*routes, *heads}


@GUARDED
def test_links_lead_to_requests_that_are_described(tmp_path: Path, guarded: bool) -> None:
    described = operations(OpenHouse(tmp_path, guarded).described())
    known = {operation["operationId"] for operation in described.values()}
    links = described[Route("POST", "/simulate/")]["responses"]["202"]["links"]
    assert {"run", "stream", "cancel"} <= set(links)
    assert all(link["operationId"] in known for link in links.values())


def test_every_parameter_of_a_run_is_described() -> None:
    assert [one["name"] for one in in_query()] == [one.name for one in PARAMETERS]


@GUARDED
@pytest.mark.parametrize(
    "error",
    [
        asyncpg.AdminShutdownError,
        asyncpg.InvalidPasswordError,
        asyncpg.ReadOnlySQLTransactionError,
        asyncpg.DuplicatePreparedStatementError,
        asyncpg.UndefinedTableError,
        asyncpg.DeadlockDetectedError,
    ],
)
def test_whatever_asks_the_database_may_answer_with_each_of_its_errors(
    tmp_path: Path, guarded: bool, error: type[Exception]
) -> None:
    with pytest.raises(errors.DatabaseError) as caught, db.translated():
        raise error("for this reason")
    asking = 0
    for route, operation in operations(OpenHouse(tmp_path, guarded).described()).items():
        told = operation["responses"].get("503", {}).get("description", "")
        if f"`{errors.DatabaseUnavailable.code}`" in told:
            asking += 1
            assert told.count(f"- `{caught.value.code}`") == 1, route
    assert asking > 10


def test_every_code_that_an_answer_may_have_is_listed(tmp_path: Path) -> None:
    code = OpenHouse(tmp_path, True).described()["components"]["schemas"]["Code"]
    listed = set(code["anyOf"][0]["enum"])
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.PromisePubError):
            told = not issubclass(
                kind,
                errors.ConfigurationError
                | errors.AccountError
                | errors.CannotListen
                | errors.LocalStackError
                | errors.ServerAnswerError,
            )
            assert (kind.code in listed) is told, kind
    assert {"internal", "cancelled", "interrupted"} <= listed


@GUARDED
def test_every_status_of_a_described_error_is_the_one_it_gets(tmp_path: Path, guarded: bool) -> None:
    for operation in operations(OpenHouse(tmp_path, guarded).described()).values():
        assert str(find_entry(errors.WrongHost).status) in operation["responses"]
        assert str(find_entry(errors.PromisePubError).status) in operation["responses"]


def test_only_what_is_open_needs_nobody(tmp_path: Path) -> None:
    described = OpenHouse(tmp_path, True).described()
    for route, operation in operations(described).items():
        is_open = route.path in login.OPEN
        assert (operation.get("security") == []) is is_open, route
        may_be_refused = not is_open or route == ("POST", "/login")
        assert ("401" in operation["responses"]) is may_be_refused, route
    assert described["components"]["securitySchemes"]["session"]["name"] == login.COOKIE


def test_without_users_nobody_is_asked_who_they_are(tmp_path: Path) -> None:
    described = OpenHouse(tmp_path, False).described()
    assert "security" not in described and "securitySchemes" not in described["components"]
    assert not any("401" in one["responses"] for one in operations(described).values())


def closed(schema: Any) -> Any:
    """The schema, with no room for what it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if "properties" in schema else {}
    return {**more, **{name: closed(part) for name, part in schema.items()}}


def check_run(described: Described, run: dict[str, Any]) -> None:
    schema = {
        **closed({"$ref": "#/components/schemas/Run"}),
        "components": closed(described["components"]),
    }
    jsonschema.validate(run, schema, jsonschema.Draft202012Validator, format_checker=jsonschema.FormatChecker())


NOW = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = SessionView("any name", 2, None, 1, 0, "0f" * 16, "1-2,5", True)
RUNS = [
    RunReport("5d1b2a9e-0000-4000-8000-00000000000a", Parameters(), StoredFile("a", 1, "0f" * 32), NOW),
    RunReport(
        "5d1b2a9e-0000-4000-8000-00000000000a",
        Parameters(),
        StoredFile("", 1, "0f" * 32),
        NOW,
        state=State.COMPLETED,
        started_at=NOW,
        finished_at=NOW,
        returned_rows="1-20,25",
        session=SESSION,
        db_count=0,
        verdict=Verdict.BROKEN,
        explanation=("why",),
        findings=(Finding(FindingKind.RETURNED, Verdict.BROKEN, 21),),
        confirm_ms=ConfirmLatency(1.0, 2.0, 3.0, 4.0),
        digest="0f" * 16,
        resends=(Resent(1, "why"),),
        earlier=(EarlierSession(SessionView("x"), 1, 2),),
    ),
    RunReport(
        "5d1b2a9e-0000-4000-8000-00000000000a",
        Parameters(),
        StoredFile("a", 1, "0f" * 32),
        NOW,
        position=1,
        error=Fault("internal", ""),
    ),
]


@pytest.mark.parametrize("report", RUNS, ids=lambda report: report.state.value)
def test_a_run_is_described_to_its_last_field(tmp_path: Path, report: RunReport) -> None:
    check_run(OpenHouse(tmp_path, False).described(), encode_run(report))


@pytest.mark.parametrize(("name", "value"), [("state", "dancing"), ("verdict", "maybe"), ("db_count", -1), ("more", 1)])
def test_what_is_no_run_is_told(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check_run(OpenHouse(tmp_path, False).described(), encode_run(RUNS[1]) | {name: value})


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json", "/docs"])
async def test_descriptions_are_for_those_who_may_look(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[Client]], path: str
) -> None:
    house = OpenHouse(tmp_path, True)
    client = await aiohttp_client(TestServer(house.app))
    assert (await client.get(path, headers=JSON)).status == 401
    browser = await client.get(path, headers={"Accept": "text/html"}, allow_redirects=False)
    assert (browser.status, browser.headers["Location"]) == (303, f"/login?next=%2F{path[1:]}")
    token, _ = await house.accounts.add_token("vic", Role.VIEWER, days=1)
    seen = await client.get(path, headers={"Authorization": f"Bearer {token}"})
    assert seen.status == 200


async def test_the_page_lists_every_request_without_scripts(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    house = OpenHouse(tmp_path, False)
    text = await (await (await aiohttp_client(house.app)).get("/docs")).text()
    for method, path in document.routes_of(house.app):
        assert (f"<code>{method} {path}</code>" in text) is (method != "HEAD")
    assert "From 0 to 3,600." in text and "One of live, batch." in text


def test_no_schema_of_a_feature_takes_the_place_of_another() -> None:
    names = [*make_api([]).schemas, *(name for feature in FEATURES for name in feature.schemas())]
    assert sorted(names) == sorted({*names})
