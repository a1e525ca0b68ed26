"""Alerts as Alertmanager and Prometheus tell them, and their runbooks as HTML that holds nothing but text."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from app.console.alerts import AlertsView
from app.console.markdown import rendered
from app.console.runbooks import Runbooks
from app.settings import OperatorSettings
from tests.console.answering import answering
from tools.harness.server import ROOT

pytestmark = pytest.mark.anyio
KNOWN = frozenset({"CodeRacerDown"})
LABELS = {"alertname": "CodeRacerDown", "severity": "critical", "instance": "one"}
SINCE = "2026-01-02T03:04:05.123456789Z"
AT = 1767323045.123456
OF_ALERTMANAGER = [
    {
        "labels": LABELS,
        "annotations": {"summary": "It is down.", "description": "one is"},
        "startsAt": SINCE,
        "status": {"state": "active", "silencedBy": []},
    },
    {"labels": {"alertname": "Other"}, "annotations": {}, "startsAt": "never"},
]
OF_PROMETHEUS = {
    "status": "success",
    "data": {
        "alerts": [
            {"labels": LABELS, "annotations": {"summary": "It is down."}, "state": "firing", "activeAt": SINCE},
            {"labels": {"alertname": "Soon"}, "annotations": {}, "state": "pending", "activeAt": SINCE},
        ]
    },
}


def http(document: Any, status: int = 200) -> bytes:
    body = json.dumps(document).encode()
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def test_alertmanager_is_asked_before_prometheus_for_what_is_not_silenced() -> None:
    async with answering(http(OF_ALERTMANAGER)) as (url, asked):
        settings = OperatorSettings(alertmanager_url=f"{url}/am/", prometheus_url="http://127.0.0.1:1")
        shown = await AlertsView(settings, KNOWN).show()
    assert asked[0].startswith(b"GET /am/api/v2/alerts?active=true&silenced=false&inhibited=false HTTP/1.1\r\n")
    other, down = shown.rows
    assert (down.name, down.severity, down.summary, down.runbook) == ("CodeRacerDown", "critical", "It is down.", True)
    assert down.since == pytest.approx(AT, abs=1)
    assert down.labels == LABELS
    assert (other.name, other.since, other.runbook) == ("Other", None, False)
    assert (shown.configured, shown.detail) == (True, None)


async def test_of_prometheus_only_what_fires_is_shown() -> None:
    async with answering(http(OF_PROMETHEUS)) as (url, asked):
        shown = await AlertsView(OperatorSettings(prometheus_url=url), KNOWN).show()
    assert asked[0].startswith(b"GET /api/v1/alerts HTTP/1.1\r\n")
    assert [row.name for row in shown.rows] == ["CodeRacerDown"]


@pytest.mark.parametrize(
    ("answer", "says"), [(http({}, 500), "the answer is 500"), (http({"data": 1}), "no alerts"), (b"", "broke off")]
)
async def test_why_nothing_is_known_is_said(answer: bytes, says: str) -> None:
    async with answering(answer) as (url, _):
        shown = await AlertsView(OperatorSettings(prometheus_url=url), KNOWN).show()
    assert (shown.configured, shown.rows) == (True, [])
    assert shown.detail is not None
    assert "PROMETHEUS_URL" in shown.detail
    assert says in shown.detail


async def test_where_nobody_can_be_asked_that_is_said() -> None:
    shown = await AlertsView(OperatorSettings(), KNOWN).show()
    assert (shown.configured, shown.rows) == (False, [])


# ---------------------------------------------------------------- runbooks


class _Text(HTMLParser):
    """What HTML is of: tags and their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


TAGS = {
    "h1",
    "h2",
    "h3",
    "h4",
    "p",
    "ul",
    "li",
    "pre",
    "code",
    "strong",
    "a",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


def test_every_runbook_is_shown_whole_and_with_no_mark_left_over() -> None:
    runbooks = Runbooks()
    assert runbooks.names == {path.stem for path in (ROOT / "alerts/runbooks").glob("*.md")}
    for name in sorted(runbooks.names):
        shown = runbooks.show(name)
        assert shown is not None
        html = _Text()
        html.feed(shown.html)
        assert {tag for tag, _ in html.tags} <= TAGS, name
        assert html.tags[0][0] == "h1"
        prose = re.sub(r"<pre>.*?</pre>|<code>.*?</code>", "", shown.html, flags=re.DOTALL)
        assert not re.search(r"`|\]\(|^#|<!--|\|", prose, re.MULTILINE), name
        source = (ROOT / f"alerts/runbooks/{name}.md").read_text()
        assert shown.html.count("<pre>") * 2 == source.count("```"), name
        assert shown.html.count("<li>") == len(re.findall(r"^- ", source, re.MULTILINE)), name
        words = set(re.findall(r"\w{4,}", re.sub(r"\]\([^)]*\)|<!--.*?-->|```\w+", "", source)))
        assert words <= set(re.findall(r"\w{4,}", html.text)), name


async def test_there_is_no_runbook_of_another_name() -> None:
    runbooks = Runbooks()
    assert [runbooks.show(name) for name in ("../README", "", "CodeRacerDown.md", "x" * 9_999)] == [None] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>x</script> & `<b>`", "<p>&lt;script&gt;x&lt;/script&gt; &amp; <code>&lt;b&gt;</code></p>"),
        ("<div onclick=x>\nb\n</div>", "<p>&lt;div onclick=x&gt;\nb\n&lt;/div&gt;</p>"),
        ("<!-- a\n\nb -->\nc <!-- <b> -->d", "<p>c d</p>"),
        ('[a](javascript:alert(1)) [b](https://h/"x "c")', '<p>[a](javascript:alert(1)) <a href="https://h/%22x">b</a></p>'),
        ("[*a*](//h/x) [b](#/bans) <ftp://h/> <mailto:a@h>", "<p><em>a</em> b ftp://h/ mailto:a@h</p>"),
        ("[D](CodeRacerDown.md#a) [o](../../docs/slis.md)", '<p><a href="#/alerts?runbook=CodeRacerDown">D</a> o</p>'),
        ("![a picture](https://h/x.png) [![b](c.png)](https://h/)", '<p>a picture <a href="https://h/">b</a></p>'),
        ("**so `b`**", "<p><strong>so <code>b</code></strong></p>"),
        ("- a\n  ```sh\n  b <c>\n  ```\n- d",
         '<ul>\n<li>a<pre><code class="language-sh">b &lt;c&gt;\n</code></pre>\n</li>\n<li>d</li>\n</ul>'),
        ("| a |\n| --- |\n| `d` |",
         "<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td><code>d</code></td>\n</tr>\n</tbody>\n</table>"),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        ("one\ntwo\n## Three", "<p>one\ntwo</p>\n<h2>Three</h2>"),
    ],
)  # fmt: skip
def test_markdown_becomes_html_in_which_nothing_runs(text: str, expected: str) -> None:
    assert rendered(text).strip() == expected
