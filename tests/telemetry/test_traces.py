"""Traces as a collector gets them from a real server, over OTLP's two protocols."""

import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from app.settings import CannotStartError, TelemetrySettings
from app.telemetry.catalogue import SPANS
from app.telemetry.exporter import open_tracer
from app.telemetry.tracing import OtelTracer
from app.vocabulary import Environment
from tools.harness import fetch
from tools.harness.collector import CollectedSpan, Collector
from tools.harness.faulty import SECRET_DETAIL
from tools.harness.player import SOLUTION, Player
from tools.harness.server import UNLIMITED, ServerProcess, until

KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
ERROR = 2
SAMPLED, UNSAMPLED = "01", "00"
CLIENT_TRACE, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def client_context(flags: str) -> str:
    return f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-{flags}"


@contextmanager
def traced(
    folder: Path, protocol: str = "http/protobuf", /, module: str = "app", **settings: Any
) -> Iterator[tuple[Collector, ServerProcess]]:
    with Collector(protocol) as collector:
        wanted: dict[str, object] = {"otel_traces_sampler": "always_on", **collector.settings, **settings}
        with ServerProcess(folder, module, **wanted) as server:
            yield collector, server


def race(server: ServerProcess) -> dict[str, Any]:
    """Two players, one right answer; ann's and bob's guest records."""
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"], min_players=2)
    with Player(server, game_id, ann["token"]) as one, Player(server, game_id, bob["token"]) as two:
        two.until("player_joined", player_id=bob["player_id"])
        one.send("ready")
        two.send("ready")
        one.until("game_started")
        one.send("submit_code", {"code": SOLUTION}, id="m1", traceparent=client_context(SAMPLED))
        one.until("game_finished")
        two.until("game_finished")
    return {"ann": ann, "bob": bob, "game_id": game_id}


def only(spans: list[CollectedSpan], name: str, **attributes: object) -> CollectedSpan:
    found = [
        one for one in spans if one.name == name and all(one.attributes.get(k) == v for k, v in attributes.items())
    ]
    assert len(found) == 1, (name, attributes, [(one.name, one.attributes) for one in spans])
    return found[0]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_one_trace_shows_a_submission_from_its_senders_socket_to_the_receivers(tmp_path: Path, protocol: str) -> None:
    with traced(tmp_path, protocol) as (collector, server):
        players = race(server)
    spans = collector.spans
    handed_in = only(spans, "game.submit_code")
    trace = [span for span in spans if span.trace_id == handed_in.trace_id]
    assert not handed_in.parent_id, "a message is the root of its own trace"
    handshakes = {span.attributes["player.id"]: span for span in spans if span.name == "ws.handshake"}
    mine, other = handshakes[players["ann"]["player_id"]], handshakes[players["bob"]["player_id"]]
    assert set(handed_in.links) == {(mine.trace_id, mine.span_id), (CLIENT_TRACE, CLIENT_SPAN)}
    appends = sorted((one for one in trace if one.name == "event_log.append"), key=lambda one: one.start)
    judging = only(trace, "judge.submission")
    assert [one.parent_id for one in appends] == [handed_in.span_id, judging.span_id]
    assert judging.parent_id == appends[0].span_id, "the judge goes on where the event came from"
    assert judging.attributes["verdict"] == "accepted"
    assert {one.parent_id for one in trace if one.name == "game.decide"} == {handed_in.span_id, judging.span_id}
    assert only(trace, "judge.run").parent_id == judging.span_id
    for append, types in zip(appends, (["code_submitted"], ["submission_judged", "game_finished"]), strict=True):
        for type in types:
            fan_out = only(trace, "game.fan_out", **{"event.type": type})
            assert fan_out.parent_id == append.span_id
            assert fan_out.attributes["recipients"] == 2
            sent = [one for one in trace if one.name == "ws.deliver" and one.parent_id == fan_out.span_id]
            assert {one.links[0] for one in sent} == {(one.trace_id, one.span_id) for one in (mine, other)}
            assert all(fan_out.start <= one.start <= one.end for one in sent)
    assert all(one.start <= one.end for one in spans)
    assert {one.status for one in spans} == {0}


def test_whom_an_operator_watches_is_traced_whatever_the_ratio_and_nobody_else(tmp_path: Path) -> None:
    never: dict[str, Any] = {"otel_traces_sampler": "always_off", "late_spans_per_s": 0}
    with traced(tmp_path, **never) as (collector, server):
        ann, bob = server.guest("ann"), server.guest("bob")
        watch = {"reason": "a test", "player": ann["player_id"], "for_s": 600}
        assert fetch.request("PUT", f"{server.http_url}/ops/api/trace", json=watch).status_code == 200
        for player in (ann, bob):
            with Player(server, server.new_game(player["token"]), player["token"]) as one:
                one.send("ready")
                one.until("player_ready")
    messages = [span for span in collector.spans if span.name == "game.ready"]
    assert [span.attributes["player.id"] for span in messages] == [ann["player_id"]]
    assert {span.attributes["player.id"] for span in collector.spans if "player.id" in span.attributes} == {
        ann["player_id"]
    }


def test_what_is_sent_is_what_the_catalogue_lists_and_holds_no_secret(tmp_path: Path) -> None:
    more = {"otel_resource_attributes": "team=games", "otel_service_name": "racer", "replica": "r-1"}
    headers = {"otel_exporter_otlp_headers": "x-tenant=blue,x-key=k%3D1"}
    with traced(tmp_path, **more, **headers) as (collector, server):
        players = race(server)
        game_id = server.new_game(players["ann"]["token"])
        ended = server.new_game(players["ann"]["token"])
        assert fetch.post(f"{server.http_url}/ops/api/games/{ended}/end", json={"reason": "a test"}).status_code == 200
        with pytest.raises(InvalidStatus):
            Player(server, game_id, "nonsense")
        with Player(server, game_id, players["ann"]["token"]) as one:
            one.ws.send('{"type": "secret-type"}')
            one.until("error")
            one.send("hello", {"failed_attempts": 1})
            one.send("ping", {"timestamp": 1})
            one.send("progress", {"percent": 1})
            one.send("auth", {"token": players["ann"]["token"]}, id="a")
            one.until("ack", id="a")
            one.send("leave")
            one.until("disconnect")
    for span in collector.spans:
        spec = SPANS[span.name]
        assert set(span.attributes) <= spec.attributes
        assert span.kind == KINDS[spec.kind]
        assert span.resource["service.name"] == "racer"
        assert span.resource["service.instance.id"] == "r-1"
        assert span.resource["service.version"]
        assert span.resource["deployment.environment.name"] == "development"
        assert span.resource["team"] == "games"
    seen = {span.name for span in collector.spans}
    assert set(SPANS) - seen == {"game.remove", "game.batch"}, "a batch is many messages, each its own"
    assert collector.headers[0]["x-tenant"] == "blue"
    assert collector.headers[0]["x-key"] == "k=1", "values are percent-encoded (OpenTelemetry, OTLP exporter)"
    everything = repr(collector.spans)
    for secret in ("def solve", players["ann"]["token"], "secret-type", "nonsense"):
        assert secret not in everything
    with pytest.raises(ValueError, match="catalogue"), Collector() as other:
        _note_something_else(other)


def _note_something_else(collector: Collector) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    from app.settings import TelemetrySettings
    from app.vocabulary import SpanName

    settings = TelemetrySettings(otel_traces_sampler_arg=1.0)
    tracer = OtelTracer(settings, OTLPSpanExporter(f"{collector.endpoint}/v1/traces"), {}, lambda _: None)
    with tracer.root(SpanName.TICK, attributes={"code": "1"}):
        pass


def test_the_context_stands_in_the_stored_event_and_in_no_frame(tmp_path: Path) -> None:
    with traced(tmp_path, event_log_url=f"sqlite:///{tmp_path}/log.db") as (collector, server):
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
            player.send("ready")
            player.until("game_started")
            player.send("submit_code", {"code": SOLUTION})
            player.until("game_finished")
    with contextlib.closing(sqlite3.connect(tmp_path / "log.db")) as database:
        commits = [json.loads(row[0]) for row in database.execute("SELECT events FROM appended")]
    stored = {event["type"]: event["traceparent"] for commit in commits for event in commit}
    submitted = only(collector.spans, "game.submit_code")
    parent = next(one for one in collector.named("event_log.append") if one.parent_id == submitted.span_id)
    assert stored["code_submitted"][:-3] == f"00-{submitted.trace_id}-{parent.span_id}"
    assert not any("traceparent" in json.dumps(message) for message in player.received)


def test_a_strangers_context_is_only_linked(tmp_path: Path) -> None:
    with traced(tmp_path, otel_traces_sampler="always_off") as (collector, server):
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            player.send("ping", {"timestamp": 1}, traceparent=client_context(SAMPLED))
            player.until("pong")
            player.ws.send("nonsense")  # its span comes late, so that there is one to wait for
            player.until("error")
            collector.wait(lambda spans: any(one.name == "game.other" for one in spans))
    assert not collector.named("game.ping"), "nobody from outside can have a message traced"


def test_a_trusted_context_parents_and_decides(tmp_path: Path) -> None:
    settings = {"trust_traceparent": "true", "otel_traces_sampler": "parentbased_always_off"}
    with traced(tmp_path, **settings) as (collector, server):
        ann = server.guest("ann")
        headers = {"Authorization": f"Bearer {ann['token']}", "traceparent": client_context(SAMPLED)}
        with Player(server, server.new_game(ann["token"]), ann["token"], additional_headers=headers) as player:
            player.send("ping", {"timestamp": 1}, traceparent=client_context(SAMPLED))
            player.send("ping", {"timestamp": 2}, traceparent=client_context(UNSAMPLED))
            player.send("ping", {"timestamp": 3}, traceparent="rubbish")
            player.send("ping", {"timestamp": 4})
            player.until("pong", timestamp=4)
    ping = only(collector.spans, "game.ping")
    handshake = only(collector.spans, "ws.handshake")
    assert (ping.trace_id, ping.parent_id) == (CLIENT_TRACE, CLIENT_SPAN)
    assert (handshake.trace_id, handshake.parent_id) == (CLIENT_TRACE, CLIENT_SPAN)
    assert ping.links == [(handshake.trace_id, handshake.span_id)]


def test_lines_on_an_attempt_and_a_connection_name_their_handshakes_trace(tmp_path: Path) -> None:
    settings = {"trust_traceparent": "true", "otel_traces_sampler": "parentbased_always_off"}
    with traced(tmp_path, **settings) as (_, server):
        ann = server.guest("ann")
        game_id = server.new_game(ann["token"])
        for flags in (SAMPLED, UNSAMPLED):
            headers = {"traceparent": client_context(flags)}
            with pytest.raises(InvalidStatus), Player(server, "none", ann["token"], additional_headers=headers):
                pass
            headers["Authorization"] = f"Bearer {ann['token']}"
            with Player(server, game_id, ann["token"], additional_headers=headers) as player:
                player.until("welcome")
        until(lambda: len(server.logged("ws.closed")) == 2)
        for event in ("ws.refused", "ws.opened", "ws.closed"):
            assert [line.get("trace_id") for line in server.logged(event)] == [CLIENT_TRACE, None], event


def test_a_trusted_no_is_a_no(tmp_path: Path) -> None:
    with traced(tmp_path, trust_traceparent="true", otel_traces_sampler="parentbased_always_on") as (collector, server):
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            player.send("ping", {"timestamp": 1}, traceparent=client_context(UNSAMPLED))
            player.send("ping", {"timestamp": 2})
            player.until("pong", timestamp=2)
    assert only(collector.spans, "game.ping").parent_id == ""


def test_a_rejected_message_is_traced_whatever_the_sampler_said(tmp_path: Path) -> None:
    with traced(tmp_path, otel_traces_sampler="always_off") as (collector, server):
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            player.send("submit_code", {"code": "x"}, id="early")
            player.until("error", id="early")
            collector.wait(lambda spans: any(one.name == "game.submit_code" for one in spans))
    (line,) = server.logged("message.rejected")
    span = only(collector.spans, "game.submit_code", late="rejected", **{"message.outcome": "rejected"})
    assert span.attributes["error.code"] == "not_allowed"
    assert span.status != ERROR, "the client's fault, not ours"
    assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    handshake = only(collector.spans, "ws.handshake")
    assert span.links == [(handshake.trace_id, handshake.span_id)], "its handshake is sent for its sake"
    assert handshake.end <= span.start <= span.end


def test_a_fault_of_ours_is_traced_without_its_text(tmp_path: Path) -> None:
    with traced(tmp_path, module="tools.harness.faulty", otel_traces_sampler="always_off") as (collector, server):
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            player.send("ready")
            player.until("disconnect")
    span = only(collector.spans, "game.ready", late="error", **{"message.outcome": "error"})
    assert span.status == ERROR
    assert SECRET_DETAIL not in repr(collector.spans)


def test_a_slow_message_is_traced_from_its_arrival_on(tmp_path: Path) -> None:
    database = tmp_path / "log.db"
    settings: dict[str, Any] = {
        "otel_traces_sampler": "always_off",
        "slow_message_s": 0.2,
        "event_log_url": f"sqlite:///{database}",
    }
    with traced(tmp_path, **settings) as (collector, server):
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            player.until("player_joined")
            with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")  # nobody else can write now
                before = server.metric("ws_messages_total", direction="in", type="ready")
                player.send("ready", id="r")
                until(lambda: server.metric("ws_messages_total", direction="in", type="ready") > before)
                time.sleep(0.3)  # the slowness itself: over SLOW_MESSAGE_S
                other.execute("ROLLBACK")
            player.until("ack", id="r")
            collector.wait(lambda spans: any(one.name == "game.ready" for one in spans))
    span = only(collector.spans, "game.ready", late="slow", **{"message.outcome": "ok"})
    assert span.end - span.start > 0.25
    assert not collector.named("event_log.append"), "what is over cannot be traced any more"


def test_a_handshake_that_we_fail_is_traced_and_one_that_the_client_fails_is_not(tmp_path: Path) -> None:
    with traced(tmp_path, otel_traces_sampler="always_off", max_connections=1) as (collector, server):
        ann = server.guest("ann")
        game_id = server.new_game(ann["token"])
        with pytest.raises(InvalidStatus):
            Player(server, game_id, "nonsense")
        with Player(server, game_id, ann["token"]), pytest.raises(InvalidStatus):
            Player(server, game_id, ann["token"])
    span = only(collector.spans, "ws.handshake")
    assert (span.attributes["outcome"], span.attributes["http.response.status_code"]) == ("overloaded", 503)
    assert span.status == ERROR
    assert len(collector.spans) == 1


def test_late_spans_are_bounded(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"otel_traces_sampler": "always_off", "slow_message_s": 1e-9, "late_spans_per_s": 2}
    with traced(tmp_path, **settings, **UNLIMITED) as (collector, server):
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            for number in range(500):
                player.send("ping", {"timestamp": number})
            player.until("pong", timestamp=499)
        pings = server.metric("ws_message_duration_seconds_count", type="ping", outcome="ok")
    sent = collector.named("game.ping")
    seconds = {int(one.end) for one in sent}
    assert pings == 500
    assert 2 <= len(sent) <= 2 * (max(seconds) - min(seconds) + 2)


def test_a_ratio_is_kept(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "otel_traces_sampler": "traceidratio",
        "otel_traces_sampler_arg": 0.2,
        "slow_message_s": 60,
    }
    with traced(tmp_path, **settings, **UNLIMITED) as (collector, server):
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            for number in range(2_000):
                player.send("ping", {"timestamp": number})
            player.until("pong", timestamp=1_999)
    assert 300 < len(collector.named("game.ping")) < 500, "2,000 at 0.2: 400, 5.6 standard deviations either way"
    assert len(collector.named("ws.handshake")) == 1


def test_a_broken_collector_is_counted_told_once_and_forgiven(tmp_path: Path) -> None:
    with traced(tmp_path) as (collector, server):
        collector.fails = True
        race(server)
        until(lambda: server.metric("trace_spans_total", outcome="failed") > 0)
        server.wait_for_log("traces.lost")
        collector.fails = False
        race(server)
        server.wait_for_log("traces.restored")
        until(lambda: server.metric("trace_spans_total", outcome="exported") == len(collector.spans) > 0)
        assert len(server.logged("traces.lost")) == 1
        assert not [line for line in server.records() if "opentelemetry" in line.get("logger", "")]


def test_a_hanging_collector_costs_no_player_anything_but_spans(tmp_path: Path) -> None:
    with traced(tmp_path, otel_bsp_max_queue_size=512, **UNLIMITED, trace_flush_timeout_s=0.2) as (
        collector,
        server,
    ):
        collector.answer.clear()
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            for number in range(3_000):
                player.send("ping", {"timestamp": number})
            player.until("pong", timestamp=2_999)
        until(lambda: server.metric("trace_spans_total", outcome="dropped") > 0)
        race(server)
        assert server.stop() == 0, "the end does not wait for it"


def test_what_waits_is_sent_at_the_end(tmp_path: Path) -> None:
    with traced(tmp_path, otel_bsp_schedule_delay=600_000) as (collector, server):
        race(server)
        assert not collector.spans
        assert server.stop() == 0
        assert collector.named("game.submit_code")


def test_a_batch_that_is_refused_whole_and_a_removal_are_traced(tmp_path: Path) -> None:
    with traced(tmp_path) as (collector, server):
        ann, bob = server.guest("ann"), server.guest("bob")
        game_id = server.new_game(ann["token"], min_players=3)
        with Player(server, game_id, bob["token"]) as player:
            player.until("player_joined")
            player.send("batch", [{"type": "ping", "data": {"timestamp": 1}}] * 51)
            assert player.until("error")["data"]["code"] == "batch_too_large"
            removed = fetch.delete(
                f"{server.http_url}/api/games/{game_id}/players/{bob['player_id']}",
                headers={"authorization": f"Bearer {ann['token']}"},
            )
            assert removed.status_code == 204
            assert player.until_closed()[0] == 4403
    refused = only(collector.spans, "game.batch")
    assert (refused.attributes["message.outcome"], refused.status) == ("rejected", 0)
    removal = only(collector.spans, "game.remove", **{"game.id": game_id, "player.id": bob["player_id"]})
    appends = [span for span in collector.named("event_log.append") if span.trace_id == removal.trace_id]
    assert [span.parent_id for span in appends] == [removal.span_id]


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_request_goes_on_with_a_trusted_clients_trace_and_a_game_is_made_within(
    tmp_path: Path, is_trusted: bool
) -> None:
    settings: dict[str, Any] = {"trust_traceparent": is_trusted, "otel_traces_sampler": "parentbased_always_on"}
    with traced(tmp_path, **settings) as (collector, server):
        headers = {
            "authorization": f"Bearer {server.guest('ann')['token']}",
            "traceparent": client_context(SAMPLED),
        }
        assert fetch.post(f"{server.http_url}/api/games", headers=headers, json={}).status_code == 201
        fetch.get(f"{server.http_url}/readyz", headers=headers)
    request = only(collector.spans, "http.request", **{"http.route": "/api/games"})
    assert (request.attributes["http.request.method"], request.attributes["http.response.status_code"]) == ("POST", 201)
    if is_trusted:
        assert (request.trace_id, request.parent_id, request.links) == (CLIENT_TRACE, CLIENT_SPAN, [])
    else:
        assert (request.parent_id, request.links) == ("", [(CLIENT_TRACE, CLIENT_SPAN)])
    made = only(collector.spans, "game.create")
    assert (made.trace_id, made.parent_id) == (request.trace_id, request.span_id)
    assert len(collector.named("http.request")) == 2, "the guest's and this; probes are not traced"


def test_who_wants_grpc_without_its_extra_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    settings = TelemetrySettings(otel_exporter_otlp_endpoint="http://c:4317", otel_exporter_otlp_protocol="grpc")
    with pytest.raises(CannotStartError, match=r"code-racer\[grpc\]"):
        open_tracer(settings, Environment.PRODUCTION, "a", lambda _: None, ())
