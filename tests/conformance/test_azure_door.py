"""Every case of the protocol through Azure's HTTP function: what the application itself answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import azure.functions as func
import pytest

from handlers.azure_functions import answer_request, response
from handlers.http.router import Router
from tests.conformance.asking import HOST, Reply, ours_app
from tests.conformance.cases import ALL, Case
from tests.conformance.compare import asked
from tests.conformance.reference import VERSION

_STRIDE = 13


def through_azure(case: Case, router: Router) -> Reply:
    headers = {} if case.content_type is None else {"content-type": case.content_type}
    request = func.HttpRequest(
        method=case.method,
        url=f"http://function-app.azurewebsites.net{case.path}",
        headers={**HOST, **headers},
        body=case.body,
    )
    got = response(answer_request(router, request))
    told = [(key, got.headers[key]) for key in ("allow", "location") if key in got.headers]
    content_type = got.headers.get("content-type", "")
    return Reply(got.status_code, content_type, got.get_body(), tuple(told))


@pytest.mark.few(3)
@pytest.mark.filterwarnings("ignore::UserWarning")  # pandas, of texts that are no times
@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_azure_s_function_answers_as_the_application_does(
    make: Callable[[], Iterable[Case]],
) -> None:
    different = []
    for case in [*make()][::_STRIDE]:
        app = ours_app(case.signature, type_hints=case.type_hints, mlflow_version=VERSION)
        directly, there = asked(case, app), through_azure(case, app.router)
        if "allow" in dict(directly.headers):  # a set's order
            there = Reply(there.status, there.content_type, there.body, directly.headers)
        if directly != there:
            different.append((case.name, directly, there))
    assert different[:5] == []
