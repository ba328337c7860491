"""The documented API, asked what its own document allows and what it does not (schemathesis)."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.http.fastapi_app import create_app
from tests.conformance.asking import ours
from tests.conformance.cases import column
from tests.fuzz.run import Quiet

schemathesis = pytest.importorskip("schemathesis", reason="it is in the group `fuzz`")

SIGNATURES: dict[str, Any] = {
    "none": None,
    "columns": {
        "inputs": [
            column(kind, kind, required=kind != "long")
            for kind in ("boolean", "integer", "long", "float", "double", "string", "datetime")
        ],
        "params": [{"name": "p", "type": "double", "default": 1.0, "shape": None}],
    },
    "tensor": {
        "inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    },
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SIGNATURES)
@pytest.mark.parametrize("frame", ["numpy", "pandas"])
def test_no_request_makes_the_documented_api_fail(name: str, frame: str) -> None:
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import not_a_server_error

    app = create_app(ours(SIGNATURES[name], Quiet(), frame=frame, protocol="fixed"))
    api = schemathesis.openapi.from_asgi("/openapi.json", app)
    for operation in api.get_all_operations():
        modes = schemathesis.GenerationMode
        for mode in modes if operation.ok().method == "post" else (modes.POSITIVE,):

            @given(case=operation.ok().as_strategy(generation_mode=mode))
            @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
            def asked(case: Any) -> None:
                case.call_and_validate(checks=[not_a_server_error])

            asked()
