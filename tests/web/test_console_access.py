"""Who may look and act in the operators' console: role, right, address, Host and environment, as a table."""

import re
from typing import Any

import httpx
import pytest
from litestar import Litestar, Router, get, post, route
from litestar.di import NamedDependency, Provide

from app.asgi import Service, create_app, create_ops_app
from app.eventlog.embedded import MemoryCoordination
from app.rate_limits import LimitPolicy
from app.realtime.cluster.bans import Bans
from app.settings import OperatorSettings, load_settings
from app.telemetry.observer import Observer
from app.vocabulary import Environment, LimitScope, Right
from app.web.auth.authenticator import Authenticator
from app.web.auth.keys import SharedSecrets
from app.web.auth.operators import Operators
from app.web.console.access import Operator, OperatorAccess, find_operator, find_reason
from app.web.console.router import console_router
from app.web.error_answers import exception_handlers
from app.web.json_request import JsonRequest
from tools.harness.faults import unexpected
from tools.harness.server import SECRET
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio
OPS_TOKEN = "an-operators-token-of-enough-length-0123456789"
OPS_READ_TOKEN = "a-lookers-token-of-enough-length-0123456789"
JSON = {"content-type": "application/json"}
WHY = JSON | {"x-reason": "she asked"}
GAME = "0d9bb1a4-6a3c-4a53-9a8e-000000000000"
HERE, THERE = "127.0.0.1", "10.1.2.3"
ROLES: dict[str, str | None] = {
    "nobody": None,
    "no token": "nonsense",
    "a forged one": token("oda", 3_600, "x" * 64),
    "one that ended": token("oda", -60),
    "a player": token("ann"),
    "a player of another role": token("ann", role="player", groups=["players"]),
    "an operator by id": token("oda"),
    "an operator by claim": token("eve", role="operator"),
    "an operator in a list": token("eve", role=["player", "operator"]),
    "the token of all": OPS_TOKEN,
    "the token of all to look": OPS_READ_TOKEN,
    "nearly that": OPS_TOKEN[:-1],
}
ACTING = ("an operator by id", "an operator by claim", "an operator in a list", "the token of all")
LOOKING = "the token of all to look"
PLAYING = ("a player", "a player of another role")


def expected(role: str, environment: Environment, address: str, host: str, forwarded: str, right: Right) -> int:
    """What the table says: the rights of a token hold from anywhere, of none only here."""
    if role in ACTING:
        return 200
    if role == LOOKING:
        return 200 if right is Right.READ else 403
    if role in PLAYING:
        return 403
    if role != "nobody" or host != "localhost":
        return 401
    if environment is not Environment.PRODUCTION:
        return 200
    return 200 if right is Right.READ and address == HERE and not forwarded else 401


@get("/read")
async def look(operator: NamedDependency[Operator]) -> str:
    return operator.name


@get("/dear", right=Right.ACT)
async def look_hard(operator: NamedDependency[Operator]) -> str:
    return operator.name


@post("/act", status_code=200)
async def act(operator: NamedDependency[Operator], reason: NamedDependency[str]) -> str:
    return f"{operator.name}: {reason}"


@route("/undo", http_method=["PUT", "DELETE"], status_code=200)
async def undo(operator: NamedDependency[Operator]) -> str:
    return operator.name


def served(
    environment: Environment = Environment.PRODUCTION,
    ops_token: str = OPS_TOKEN,
    per_second: float = 50,
    bans: Bans | None = None,
    dry_run: frozenset[LimitScope] = frozenset(),
) -> Any:
    """An application of a few handlers behind the access of a console."""
    authenticator = Authenticator(
        SharedSecrets(SECRET), "", "", 0, operators=Operators(frozenset({"oda"}), "role=operator")
    )
    settings = OperatorSettings(
        ops_token=ops_token,
        ops_read_token=ops_token and OPS_READ_TOKEN,
        ops_requests_per_second=per_second,
    )
    bans = Bans(MemoryCoordination(), unexpected, lambda *_: 0) if bans is None else bans
    policy = LimitPolicy(dry_run, Observer())
    access = OperatorAccess(settings, authenticator, bans, policy, is_open=environment is not Environment.PRODUCTION)
    router = Router(
        "/",
        route_handlers=[look, look_hard, act, undo],
        guards=[access.check],
        dependencies={
            "operator": Provide(find_operator, sync_to_thread=False),
            "reason": Provide(find_reason),
        },
    )
    return Litestar(
        [router],
        exception_handlers=exception_handlers(),
        request_class=JsonRequest,
        openapi_config=None,
        logging_config=None,
    )


def client(app: Any, address: str = HERE, host: str = "localhost") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 5)), base_url=f"http://{host}")


def bearer(value: str | None) -> dict[str, str]:
    return {} if value is None else {"authorization": f"Bearer {value}"}


@pytest.mark.parametrize("environment", list(Environment))
async def test_rights_are_as_the_table_says(environment: Environment) -> None:
    seen = wanted = 0
    for role, value in ROLES.items():
        app = served(environment)  # each role is an address's first try
        for address in (HERE, THERE):
            for host in ("localhost", "race.example.org"):
                async with client(app, address, host) as asking:
                    for forwarded in ("", "10.9.9.9"):
                        headers = WHY | bearer(value) | ({"x-forwarded-for": forwarded} if forwarded else {})
                        for method, path, right in (
                            ("GET", "/read", Right.READ), ("GET", "/dear", Right.ACT), ("POST", "/act", Right.ACT),
                            ("PUT", "/undo", Right.ACT), ("DELETE", "/undo", Right.ACT),
                        ):  # fmt: skip
                            answer = await asking.request(method, path, headers=headers)
                            status = expected(role, environment, address, host, forwarded, right)
                            seen += 1
                            if answer.status_code == 429:  # a bad token once too often is refused as well
                                assert status == 401, role
                                continue
                            wanted += 1
                            assert answer.status_code == status, (role, address, host, forwarded, method, path)
    assert seen == len(ROLES) * 40
    assert wanted >= seen * 0.7


async def test_who_acts_is_named_after_the_token() -> None:
    app = served()
    async with client(app, THERE) as asking:
        names = [(await asking.get("/read", headers=bearer(ROLES[role]))).text for role in ACTING]
        assert names == ["oda", "eve", "eve", "ops-token"]
        claimed = bearer(OPS_TOKEN) | {"x-operator": "%C3%85sa"}
        assert (await asking.get("/read", headers=claimed)).text == "Åsa (ops-token)", "said, not proven"
        again = bearer(OPS_TOKEN) | {"x-operator": "%C3%85sa (ops-token)"}
        assert (await asking.get("/read", headers=again)).text == "Åsa (ops-token)"
        reader = bearer(OPS_READ_TOKEN) | {"x-operator": "Kim", "x-operator-right": "act"}
        assert (await asking.get("/read", headers=reader)).text == "Kim (ops-read-token)"
        assert (await asking.post("/act", headers=reader | WHY)).status_code == 403, "asked for, not given"
        by_id = bearer(ROLES["an operator by id"]) | {"x-operator": "eve"}
        assert (await asking.get("/read", headers=by_id)).text == "oda"
        for wrong in ("x" * 129, "two%0Alines", token("ann", 60)[:120], OPS_TOKEN, f"me {OPS_TOKEN}"):
            assert (await asking.get("/read", headers=bearer(OPS_TOKEN) | {"x-operator": wrong})).status_code == 400


async def test_a_ban_takes_an_operators_rights_but_not_those_of_the_token_of_all() -> None:
    bans = Bans(MemoryCoordination(), unexpected, lambda *_: 0)
    await bans.ban("oda", 60, "her token leaked", "eve")
    async with client(served(bans=bans), THERE) as asking:
        oda, everybody = bearer(ROLES["an operator by id"]), bearer(OPS_TOKEN)
        assert (await asking.get("/read", headers=oda)).status_code == 403
        assert "banned" in (await asking.post("/act", headers=oda | WHY)).text
        assert (await asking.post("/act", headers=everybody | WHY)).status_code == 200
        assert (await asking.post("/act", headers=bearer(ROLES["an operator by claim"]) | WHY)).status_code == 200


async def test_who_asks_for_another_with_the_token_of_all_has_no_more_rights_than_that_one() -> None:
    less = bearer(OPS_TOKEN) | {"x-operator-right": "read"}
    async with client(served(), THERE) as asking:
        assert (await asking.get("/read", headers=less)).status_code == 200
        assert (await asking.get("/dear", headers=less)).status_code == 403
        assert (await asking.post("/act", headers=less | WHY)).status_code == 403


async def test_without_ops_token_an_empty_one_is_nobody() -> None:
    async with client(served(ops_token=""), THERE) as asking:
        assert (await asking.get("/read", headers={"authorization": "Bearer "})).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost"}, 200),
        ({"origin": "https://localhost"}, 200),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
async def test_another_sites_page_gets_nothing_whatever_token_it_has(headers: dict[str, str], status: int) -> None:
    async with client(served(Environment.DEVELOPMENT)) as asking:
        for one in (headers, headers | bearer(OPS_TOKEN)):
            assert (await asking.get("/read", headers=one)).status_code == status
            assert (await asking.post("/act", headers=WHY | one)).status_code == status


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_what_a_form_could_send_does_nothing(content_type: str) -> None:
    async with client(served(Environment.DEVELOPMENT)) as asking:
        headers = {"content-type": content_type, "x-reason": "why"}
        assert (await asking.post("/act", headers=headers, content=b"{}")).status_code == 415


@pytest.mark.parametrize(
    ("header", "body", "said"),
    [
        ("she asked", "", "she asked"),
        ("f%C3%BCr%20sie", "", "für sie"),
        ("", '{"reason": " für sie "}', "für sie"),
        ("", '{"reason": ""}', None),
        ("", '{"reason": 1}', None),
        ("", "[]", None),
        ("", "{", None),
        ("", "", None),
        ("", '{"reason": "two\\nlines"}', None),
        ("x" * 201, "", None),
        ("x" * 200, "", "x" * 200),
        (f"with {token('ann', 60)}", "", None),
    ],
)
async def test_an_action_needs_a_reason_that_may_be_logged(header: str, body: str, said: str | None) -> None:
    headers = JSON | ({"x-reason": header} if header else {})
    async with client(served(Environment.DEVELOPMENT)) as asking:
        answer = await asking.post("/act", headers=headers, content=body)
        assert answer.status_code == (400 if said is None else 200)
        assert said is None or answer.text == f"development: {said}"


async def test_no_reason_holds_the_token_that_it_comes_with() -> None:
    async with client(served(), THERE) as asking:
        for reason in (OPS_TOKEN, f"as {OPS_TOKEN} says"):
            answer = await asking.post("/act", headers=bearer(OPS_TOKEN) | JSON, json={"reason": reason})
            assert answer.status_code == 400
            assert OPS_TOKEN not in answer.text


async def test_bad_tokens_are_refused_for_a_while_per_address_and_the_token_of_all_never_is() -> None:
    app = served()
    async with client(app, THERE) as bad, client(app, "10.7.7.7") as good:
        statuses = [(await bad.get("/read", headers=bearer("nonsense"))).status_code for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        refused = await bad.get("/read", headers=bearer(ROLES["an operator by id"]))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        for asking in (bad, good):
            for _ in range(12):
                assert (await asking.get("/read", headers=bearer(OPS_TOKEN))).status_code == 200


async def test_nothing_of_the_console_is_for_whoever_comes_and_without_ops_port_production_has_none() -> None:
    """Each path of the document is asked, so that none is forgotten."""
    production = {"jwt_secret": SECRET, "environment": "production", "event_log_url": "memory:"}
    main: Any = create_app(load_settings(**production))
    ops: Any = create_ops_app(main.state.service)
    service: Service = main.state.service
    async with client(ops, HERE) as here, client(ops, THERE) as there, client(main, HERE) as public:
        document = (await here.get("/ops/api/openapi.json")).json()
        operations = [(path, method) for path, found in document["paths"].items() for method in found]
        assert ("/ops/api/replica", "get") in operations
        for path, method in [*operations, ("/ops/api/openapi.json", "get")]:
            asked = re.sub(r"\{\w+\}", "1", path.replace("{game_id}", GAME))
            assert (await there.request(method, asked, headers=WHY)).status_code == 401, path
            assert (await public.request(method, asked, headers=WHY)).status_code == 404, path
        for path in ("/ops/", "/ops", "/ops/main.js", "/ops/views/log.js", "/ops/ops.css", "/ops/icon.svg"):
            page = await there.get(path)
            assert page.status_code == 200, "the page holds nothing of the service"
            assert "script-src 'self'; style-src 'self'; img-src" in page.headers["content-security-policy"]
            assert "set-cookie" not in page.headers
            assert (await public.get(path)).status_code == 404, path
    assert service.settings.ops_port is None


async def test_each_operation_needs_the_right_that_it_should() -> None:
    """GET to read, the rest to act: of all there are, as they are served."""
    given = {"ops_token": OPS_TOKEN, "ops_read_token": OPS_READ_TOKEN, "ops_max_watchers": 1}
    main: Any = create_app(load_settings(jwt_secret=SECRET, environment="production", event_log_url="memory:", **given))
    service: Service = main.state.service
    ops: Any = create_ops_app(service)
    reader, player = bearer(OPS_READ_TOKEN), bearer(token("ann"))
    wrong = []
    async with service.lifecycle.run(main), client(ops, HERE) as here, client(ops, THERE) as there:
        service.console.watch.join()  # whoever watches besides is answered, and has no stream without an end
        document = (await here.get("/ops/api/openapi.json")).json()
        for path, method in [(path, method) for path, found in document["paths"].items() for method in found]:
            reads = method == "get"
            for asking, who, refused in (
                (here, {}, None if reads else 401), (there, {}, 401), (here, player, 403), (there, player, 403),
                (here, reader, None if reads else 403), (there, reader, None if reads else 403),
            ):  # fmt: skip
                asked = re.sub(r"\{\w+\}", "1", path.replace("{game_id}", GAME))
                status = (await asking.request(method, asked, headers=WHY | who)).status_code
                if status != refused if refused else status in {401, 403}:
                    wrong.append((method, path, asking is here, who, status))
    assert wrong == []


async def test_in_development_the_console_is_on_the_games_port_and_not_in_the_public_schema() -> None:
    app: Any = create_app(load_settings(jwt_secret=SECRET, event_log_url="memory:"))
    async with client(app) as asking:
        assert (await asking.get("/ops/api/replica")).json()["right"] == "act"
        assert "/ops/" not in (await asking.get("/schema/openapi.json")).text


def test_who_may_act_is_asked_of_the_one_access_there_is_and_of_no_copy() -> None:
    """A copy knew no key that came later; and with the keys of an identity provider there could be none."""

    class Unique(OperatorAccess):
        def __deepcopy__(self, memo: object) -> "Unique":
            raise AssertionError(memo)

    service: Service = create_app(load_settings(jwt_secret=SECRET, environment="test")).state.service
    hub = service.hub
    access = Unique(service.settings, service.authenticator, hub.bans, hub.policy, is_open=True)
    Litestar([console_router(service.console, access, "1")], openapi_config=None, logging_config=None)


async def test_what_one_operator_asks_from_one_address_is_bounded_and_holds_up_no_other() -> None:
    app, oda = served(per_second=0.2), bearer(ROLES["an operator by id"])
    async with client(app, THERE) as asking, client(app, "10.1.2.4") as elsewhere:
        answers = [await asking.get("/read", headers=oda) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert 1 <= int(answers[2].headers["retry-after"]) <= 5
        assert "OPS_REQUESTS_PER_SECOND" in answers[2].json()["detail"]
        assert (await asking.post("/act", headers=oda | WHY)).status_code == 429
        assert (await asking.get("/read", headers=bearer(OPS_TOKEN))).status_code == 200
        assert (await elsewhere.get("/read", headers=oda)).status_code == 200
    in_a_dry_run = served(per_second=0.2, dry_run=frozenset({LimitScope.OPS_REQUESTS_PER_OPERATOR}))
    for unbounded in (served(per_second=0), in_a_dry_run):
        async with client(unbounded, THERE) as asking:
            assert {(await asking.get("/read", headers=oda)).status_code for _ in range(4)} == {200}
