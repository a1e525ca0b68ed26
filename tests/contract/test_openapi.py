"""The HTTP side, fuzzed from its own OpenAPI document, from another seed every day."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.harness import fetch
from tools.harness.server import ServerProcess
from tools.harness.slices import seed
from tools.harness.tokens import token

EXAMPLES = 60
"""Of each operation; another sixty every day."""
NOT_IN_A_SCHEMA = "positive_data_acceptance"
"""Left out: that max_players is at least min_players is a rule no JSON Schema can say."""


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_request_breaks_the_document_or_the_server(tmp_path: Path) -> None:
    mine = token("guest-fuzz")  # who may ask for a fresh one
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program is not None
    with ServerProcess(
        tmp_path, max_games_per_player=1_000_000, api_requests_per_player_per_second=0, finished_linger_s=0
    ) as server:
        done = subprocess.run(
            [
                program, "run", f"{server.http_url}/schema/openapi.json",
                "--header", f"Authorization: Bearer {mine}", "--seed", str(seed()), "--no-color",
                "--max-examples", str(EXAMPLES), "--exclude-checks", NOT_IN_A_SCHEMA,
            ],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:]
        assert "7 selected / 7 total" in done.stdout
        assert server.metric("faults_total") == 0


def test_it_is_served_where_people_look(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        for path in ("/schema", "/schema/openapi.json"):
            document = fetch.get(f"{server.http_url}{path}").json()
            assert document["info"]["title"] == "Code Racer"
            assert set(document["paths"]) == {
                "/api/guests", "/api/tickets", "/api/games", "/api/games/{game_id}", "/api/problems",
                "/api/games/{game_id}/submissions/{attempt}", "/api/games/{game_id}/players/{player_id}",
            }  # fmt: skip
