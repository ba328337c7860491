"""The container's server in this process: every contract, and the same answer batched or not."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.container_server import accelerator
from handlers.container_server.batcher import Job
from handlers.container_server.runner import Runner, out_of_memory
from handlers.container_server.service import Service, State
from handlers.http.asgi import run_in_thread
from handlers.scoring.errors import ScoringError
from handlers.values import zip_equal
from tests import examples
from tests.handlers import serving
from tests.handlers.scorers import Recording, scorer

JSON = {"content-type": "application/json"}
TENSOR = {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, -1]}}]}


class Squares:
    """Row by row: the sum of squares; counts the rows of each call, and fails on a NaN."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        self.calls.append(len(data))
        if np.isnan(data).any():
            raise ValueError("not a number")
        return (data.astype("float64") ** 2).sum(axis=1) * (params or {}).get("scale", 1)


class Ranks:
    """Each row's place among the rows it came with: never to be merged."""

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        return np.asarray(data["x"]).argsort().argsort()


class Held(Recording):
    """Waits inside the model until it is let, once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.let.set()
        self.entered = threading.Event()

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        self.entered.set()
        assert self.let.wait(30)
        return super().predict(data, params)


class Small:
    """A device with room for `rows`, and no more."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.calls: list[int] = []

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        if len(data) > self.rows:
            raise MemoryError
        self.calls.append(len(data))
        return data.sum(axis=1)


def body(*values: float) -> bytes:
    rows = [[value, "a"] for value in values]
    return json.dumps({"dataframe_split": {"columns": ["x", "kind"], "data": rows}}).encode()


# --- MLflow's and SageMaker's


def test_it_answers_as_the_scorer_does(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.post("/invocations", content=body(1, 2.5), headers=JSON),
            await client.post("/invocations", content=b"{", headers=JSON),
            await client.post("/invocations", content=b"a", headers={"content-type": "x/y"}),
            await client.post("/events", content=body(3)),
            await client.get("/ping"),
            await client.get("/health"),
            await client.get("/version"),
        ]

    made = serving.service(Recording(), tmp_path)
    found = serving.run(made, tmp_path, ask)

    plain = scorer(Recording())
    assert found[0].content == plain.invocations(body(1, 2.5), JSON["content-type"]).body
    assert found[1].content == plain.invocations(b"{", JSON["content-type"]).body
    assert [each.status_code for each in found] == [200, 400, 415, 200, 200, 200, 200]
    assert found[3].json() == {"predictions": [3.0]}
    assert (found[4].content, found[6].content) == (b"\n", b"3.17.2")


def test_before_it_is_ready_it_is_alive_and_says_503(tmp_path: Path) -> None:
    made = serving.service(Recording(), tmp_path)

    async def main() -> dict[str, int]:
        async with serving.client(made, tmp_path) as client:
            paths = (
                "/ping",
                "/health",
                "/v2/health/live",
                "/v2/health/ready",
                "/v2/models/m/ready",
            )
            found = {path: (await client.get(path)).status_code for path in paths}
            asked = await client.post("/invocations", content=body(1), headers=JSON)
            assert asked.headers["retry-after"] == "1"
            return {**found, "/invocations": asked.status_code}

    assert asyncio.run(main()) == {
        "/ping": 503,
        "/health": 503,
        "/v2/health/live": 200,
        "/v2/health/ready": 503,
        "/v2/models/m/ready": 503,
        "/invocations": 503,
    }


def test_draining_answers_what_was_taken_and_refuses_the_rest(tmp_path: Path) -> None:
    model = Held()
    made = serving.service(model, tmp_path)

    async def main() -> tuple[list[int], int, int]:
        await made.start()
        model.let.clear()
        model.entered.clear()
        async with serving.client(made, tmp_path) as client:
            taken = [
                asyncio.create_task(client.post("/invocations", content=body(i), headers=JSON))
                for i in range(20)
            ]
            await run_in_thread(model.entered.wait, 30)
            for _ in range(50):
                await asyncio.sleep(0)
            draining = asyncio.create_task(made.drain())
            await asyncio.sleep(0)
            late = await client.post("/invocations", content=body(9), headers=JSON)
            ping = await client.get("/ping")
            assert late.headers["connection"] == "close"
            model.let.set()
            await draining
            return (
                [response.status_code for response in await asyncio.gather(*taken)],
                late.status_code,
                ping.status_code,
            )

    answered, late, ping = asyncio.run(main())
    assert (answered, late, ping) == ([200] * 20, 503, 503)
    assert made.state is State.DRAINING


def test_a_full_queue_is_429_and_a_deadline_504(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "0.2")
    model = Held()
    made = serving.service(model, tmp_path, queue_rows=1)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        model.let.clear()
        model.entered.clear()
        first = asyncio.create_task(client.post("/invocations", content=body(1), headers=JSON))
        await run_in_thread(model.entered.wait, 30)
        second = asyncio.create_task(client.post("/invocations", content=body(2), headers=JSON))
        for _ in range(50):
            await asyncio.sleep(0)
        third = await client.post("/invocations", content=body(3), headers=JSON)
        late = [await first, await second]
        model.let.set()
        metrics = await client.get("/metrics")
        return [third, *late, metrics]

    full, *late, metrics = serving.run(made, tmp_path, ask)

    assert (full.status_code, full.json()["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert int(full.headers["retry-after"]) >= 1
    assert [each.status_code for each in late] == [504, 504]
    assert 'shed_total{reason="queue_rows"} 1.0' in metrics.text
    assert 'shed_total{reason="deadline"} 2.0' in metrics.text
    assert 'requests_total{route="invocations",status="429"} 1.0' in metrics.text


# --- batching


@settings(
    max_examples=examples.count(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    requests=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 3), st.sampled_from([None, 2, 3])),
        min_size=1,
        max_size=24,
    ),
    seed=st.integers(0, 99),
    rows=st.sampled_from([1, 2, 7, 64]),
)
def test_every_row_is_answered_as_unbatched_whatever_the_shapes(
    tmp_path: Path, requests: list[tuple[int, int, int | None]], seed: int, rows: int
) -> None:
    random = np.random.default_rng(seed)
    model = Squares()
    signature = {
        **TENSOR,
        "params": [{"name": "scale", "type": "long", "default": 1, "shape": None}],
    }
    bodies = []
    for count, width, scale in requests:
        data = random.normal(size=(count, width)).astype("float32")
        if random.random() < 0.1:
            data[0, 0] = np.nan
        made = {"inputs": data.tolist(), **({"params": {"scale": scale}} if scale else {})}
        bodies.append(json.dumps(made).encode())
    service = serving.service(
        model, tmp_path, signature=signature, example={"inputs": [[1.0, 2.0]]}, batch_rows=rows
    )

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        tasks = [client.post("/invocations", content=each, headers=JSON) for each in bodies]
        return list(await asyncio.gather(*tasks))

    found = serving.run(service, tmp_path, ask)

    alone = scorer(Squares(), signature)
    for request, response in zip_equal(bodies, found):
        expected = alone.invocations(request, JSON["content-type"])
        assert (response.status_code, response.content) == (expected.status, expected.body)
    assert service.warm[0].merges


def test_what_comes_while_the_device_is_busy_is_one_call(tmp_path: Path) -> None:
    model = Squares()
    made = serving.service(model, tmp_path, signature=TENSOR, example={"inputs": [[1.0, 2.0]]})

    async def ask(client: httpx.AsyncClient) -> None:
        model.calls.clear()
        request = json.dumps({"inputs": [[1.0, 2.0]]})
        tasks = [client.post("/invocations", content=request, headers=JSON) for _ in range(33)]
        assert {each.status_code for each in await asyncio.gather(*tasks)} == {200}

    serving.run(made, tmp_path, ask)
    assert sum(model.calls) == 33
    assert len(model.calls) < 12


def test_a_model_whose_rows_look_at_each_other_is_never_batched(tmp_path: Path) -> None:
    made = serving.service(Ranks(), tmp_path)

    async def ask(client: httpx.AsyncClient) -> list[Any]:
        tasks = [client.post("/invocations", content=body(i, 9), headers=JSON) for i in range(8)]
        return [each.json() for each in await asyncio.gather(*tasks)]

    assert serving.run(made, tmp_path, ask) == [{"predictions": [0, 1]}] * 8
    assert (made.warm[0].merges, made.warm[0].why) == (
        False,
        "a row is answered otherwise beside other rows",
    )


def test_every_size_is_run_before_it_is_ready(tmp_path: Path) -> None:
    made = serving.service(
        Squares(), tmp_path, signature=TENSOR, example={"inputs": [[1.0, 2.0]]}, batch_rows=16
    )
    serving.run(made, tmp_path, lambda client: client.get("/ping"))

    assert [rows for rows, _ in made.warm[0].sizes] == [1, 2, 4, 8, 16]


@pytest.mark.few(0)
def test_the_largest_batch_that_fits_is_found_and_a_large_request_is_split(tmp_path: Path) -> None:
    model = Small(10)
    made = serving.service(model, tmp_path, signature=TENSOR, example={"inputs": [[1.0, 2.0]]})
    request = json.dumps({"inputs": [[float(i), 1.0] for i in range(50)]})

    found = serving.run(
        made,
        tmp_path,
        lambda client: client.post("/invocations", content=request, headers=JSON),
    )

    assert made.warm[0].batch_rows == 8
    assert found.json()["predictions"] == [i + 1.0 for i in range(50)]
    assert max(model.calls) <= 10


@pytest.mark.few(0)
def test_running_out_of_memory_is_recovered_from() -> None:
    model = Small(64)
    runner = Runner(scorer(model, TENSOR).predict, 64)
    jobs = [Job(form="f", rows=8, data=np.full((8, 2), i, "float32")) for i in range(8)]
    assert [np.asarray(each)[0] for each in runner(jobs)] == [i * 2.0 for i in range(8)]

    model.rows = 5  # something else took the memory
    found = runner(jobs)

    assert [np.asarray(each).tolist() for each in found] == [[i * 2.0] * 8 for i in range(8)]
    assert (runner.batch_rows <= 5, runner.recovered > 0) == (True, True)


@pytest.mark.few(0)
def test_a_single_row_that_does_not_fit_is_that_requests_error() -> None:
    runner = Runner(scorer(Small(0), TENSOR).predict, 64)

    (found,) = runner([Job(form="f", rows=3, data=np.zeros((3, 2), "float32"))])

    assert isinstance(found, ScoringError)
    assert found.status == 413


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("Failed to allocate memory for requested buffer of size 12"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, *, expected: bool) -> None:
    assert out_of_memory(error) is expected
    wrapped = ScoringError("x")
    wrapped.__cause__ = error
    assert out_of_memory(wrapped) is expected


def test_a_client_that_left_costs_nothing(tmp_path: Path) -> None:
    model = Held()
    made = serving.service(model, tmp_path)

    async def main() -> None:
        await made.start()
        model.let.clear()
        model.entered.clear()
        async with serving.client(made, tmp_path) as client:
            first = asyncio.create_task(client.post("/invocations", content=body(1), headers=JSON))
            await run_in_thread(model.entered.wait, 30)
            gone = asyncio.create_task(_left(made, tmp_path))
            for _ in range(100):
                await asyncio.sleep(0)
            await gone
            model.let.set()
            assert (await first).status_code == 200
            await made.drain()
            assert 'shed_total{reason="client_left"} 1.0' in made.metrics.text().decode()
        assert model.data["x"].tolist() == [1.0]

    asyncio.run(main())


async def _left(made: Service, folder: Path) -> None:
    """One request whose client goes as soon as it has sent it."""
    from handlers.container_server.app import service_app

    messages: list[Any] = [
        {"type": "http.request", "body": body(7), "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        if len(messages) == 1:
            # after the work has been queued
            for _ in range(20):
                await asyncio.sleep(0)
        return messages.pop(0)

    async def send(_: Any) -> None:
        pass

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/invocations",
        "raw_path": b"/invocations",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"content-type", b"application/json")],
        "server": ("server", 80),
        "client": ("client", 1),
    }
    await service_app(made, folder)(scope, receive, send)


# --- the device


def test_a_gpu_that_is_not_there_is_an_error_unless_a_cpu_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "gpu_count", lambda: 0)
    monkeypatch.setenv("PACKAGER_DEVICE", "cuda")
    with pytest.raises(accelerator.NoAcceleratorError, match="the driver shows no GPU"):
        serving.service(Recording(), tmp_path)

    monkeypatch.setenv("PACKAGER_ALLOW_CPU", "1")
    assert serving.service(Recording(), tmp_path).devices == ("cpu",)


class Placed(Recording):
    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    def find_device(self) -> str:
        return self._place


@pytest.mark.parametrize(("place", "fails"), [("cpu", True), ("cuda:0", False)])
def test_a_model_that_fell_back_to_the_cpu_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, *, fails: bool
) -> None:
    monkeypatch.setattr(accelerator, "gpu_count", lambda: 1)
    monkeypatch.setattr(accelerator, "memory", lambda _: None)
    monkeypatch.setenv("PACKAGER_DEVICE", "cuda")
    made = serving.service(Placed(place), tmp_path)

    if fails:
        with pytest.raises(accelerator.NoAcceleratorError, match=r"for cuda:0 and is on cpu"):
            asyncio.run(made.start())
    else:
        serving.run(made, tmp_path, lambda client: client.get("/ping"))
        assert made.placed == ("cuda:0",)


def test_an_unknown_device_and_a_bad_setting_are_named() -> None:
    from handlers.container_server.settings import ServiceSettings

    with pytest.raises(ValueError, match="PACKAGER_DEVICE must be one of"):
        accelerator.read_device({"PACKAGER_DEVICE": "tpu"})
    with pytest.raises(ValueError, match=r"Did you mean 'cuda'\?$"):
        accelerator.read_device({"PACKAGER_DEVICE": "cudda"})
    with pytest.raises(ValueError, match=r"PORT must be .* PACKAGER_BATCH_ROWS must be"):
        ServiceSettings.read({"PORT": "x", "PACKAGER_BATCH_ROWS": "0"})
    found = ServiceSettings.read({"PORT": "1", "SAGEMAKER_BIND_TO_PORT": "2"})
    assert found.port == 2


def test_what_is_measured_is_all_there(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> str:
        await client.post("/invocations", content=body(1, 2), headers=JSON)
        return (await client.get("/metrics")).text

    text = serving.run(serving.service(Recording(), tmp_path), tmp_path, ask)

    for line in (
        'model_info{digest="0",name="m",version="3"} 1.0',
        "batch_rows_sum 2.0",
        "ready 1.0",
        "batching 1.0",
        "queue_rows 0.0",
        "queue_age_seconds 0.0",
        "out_of_memory_recovered 0.0",
        "wait_seconds_count 1.0",
        "compute_seconds_count 1.0",
        'requests_total{route="invocations",status="200"} 1.0',
    ):
        assert line in text
