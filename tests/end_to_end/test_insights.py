"""Application Insights over the whole way: the real command, its workers, and the real Azure exporter."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.conftest import Serve
from tests.telemetry.ingestion import ingestion, require_extra

KEY = "01234567-89ab-cdef-0123-456789abcdef"

SCRIPT = """
    import json

    def init():
        print("the model is there")

    def run(data):
        value = json.loads(data)
        if value == "raise":
            raise ValueError("boom")
        return {"got": value}
"""


def test_requests_failures_prints_and_model_data_reach_application_insights(
    serve: Serve, tmp_path: Path
) -> None:
    require_extra()
    model = tmp_path / "iris" / "3"
    model.mkdir(parents=True)
    with ingestion() as azure:
        server = serve(
            SCRIPT,
            "--appinsights_instrumentation_key",
            KEY,
            "--model_dir",
            str(model),
            env={
                "APPLICATIONINSIGHTS_CONNECTION_STRING": azure.connection_string(KEY),
                "AML_MODEL_DC_STORAGE_ENABLED": "true",
                "SERVICE_NAME": "flowers",
                "WORKSPACE_NAME": "garden",
                "HOSTNAME": "pod-7",
                "TMPDIR": str(tmp_path),
            },
        )
        good = server.score([1, 2], {"x-request-id": "r-1", "x-ms-client-request-id": "c-1"})
        assert good.status == 200
        assert server.score("raise", {"x-request-id": "r-2"}).status == 500
        assert server.get("/swagger.json", headers={"x-request-id": "r-3"}).status == 200
        assert server.get("/").status == 200
        assert server.stop() == 0  # what waits is sent on the way out
        requests = {item["properties"]["Request Id"]: item for item in azure.wait_for("RequestData", 3)}
        assert set(requests) == {"r-1", "r-2", "r-3"}  # every known path but `/`
        first = requests["r-1"]["properties"]
        assert first["Client Request Id"] == "c-1"
        assert first["Response Value"] == '{"got": [1, 2]}'
        assert (first["name"], first["resultCode"], first["http_method"]) == ("/score", "200", "POST")
        assert (first["Service Name"], first["Workspace Name"], first["Container Id"]) == (
            "flowers",
            "garden",
            "pod-7",
        )
        assert requests["r-2"]["success"] is False
        assert requests["r-3"]["name"] == "/swagger.json"
        (failure,) = azure.wait_for("ExceptionData", 1)
        assert failure["exceptions"][0]["typeName"] == "ValueError"
        assert failure["properties"]["Request Id"] == "r-2"
        traces = {item["message"]: item["properties"] for item in azure.wait_for("MessageData", 2)}
        assert "the model is there" in traces
        collected = traces["model_data_collection"]
        assert collected["Request Id"] == "r-1"
        assert collected["Models"] == '["iris:3"]'
        assert (collected["Input"], collected["Prediction"]) == ('"[1, 2]"', '{"got": [1, 2]}')
        assert KEY not in server.log()


def test_a_script_that_cannot_start_is_reported_too(serve: Serve, tmp_path: Path) -> None:
    require_extra()
    with ingestion() as azure:
        server = serve(
            "def init():\n    raise KeyError('no model')\n\ndef run(data):\n    return data\n",
            "--appinsights_instrumentation_key",
            KEY,
            env={
                "APPLICATIONINSIGHTS_CONNECTION_STRING": azure.connection_string(KEY),
                "TMPDIR": str(tmp_path),
            },
            wait=False,
        )
        assert server.wait(40) == 3
        (failure,) = azure.wait_for("ExceptionData", 1)
        assert failure["exceptions"][0]["typeName"] == "KeyError"
        assert failure["properties"]["Request Id"] == "Unknown"
