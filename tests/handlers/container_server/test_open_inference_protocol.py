"""The Open Inference Protocol: metadata, JSON and binary tensors, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from handlers.container_server import open_inference_protocol
from handlers.container_server.open_inference_protocol import Infer
from handlers.scoring.request_parsing import Request
from tests.handlers import serving
from tests.handlers.container_server.test_service import TENSOR, Squares
from tests.handlers.scorers import TWO_COLUMNS, Recording, manifest, scorer

INFER = "/v2/models/m/infer"
HEADER = "inference-header-content-length"
TENSOR_EXAMPLE = {"inputs": [[1.0, 2.0]]}


def columns(**extra: Any) -> dict[str, Any]:
    return {
        "id": "7",
        "inputs": [
            {"name": "x", "datatype": "FP64", "shape": [2], "data": [1, 2.5]},
            {"name": "kind", "datatype": "BYTES", "shape": [2, 1], "data": [["a"], ["b"]]},
        ],
        **extra,
    }


def asked(folder: Path, content: bytes, headers: dict[str, str], **service: Any) -> httpx.Response:
    made = serving.service(service.pop("model", Recording()), folder, **service)
    found: httpx.Response = serving.run(
        made, folder, lambda client: client.post(INFER, content=content, headers=headers)
    )
    return found


def test_what_the_model_takes_is_described(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        paths = ("/v2", "/v2/models/m", "/v2/models/m/versions/3", "/v2/models/m/versions/4")
        return [await client.get(path) for path in (*paths, "/v2/models/other/ready")]

    server, model, version, *missing = serving.run(
        serving.service(Recording(), tmp_path), tmp_path, ask
    )

    assert server.json()["extensions"] == ["binary_tensor_data"]
    assert model.json() == version.json()
    assert model.json() == {
        "name": "m",
        "versions": ["3"],
        "platform": "mlflow_sklearn",
        "inputs": [
            {"name": "x", "datatype": "FP64", "shape": [-1]},
            {"name": "kind", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [{"name": "output-0", "datatype": "FP64", "shape": [-1]}],
    }
    assert [each.status_code for each in missing] == [404, 404]


def test_columns_come_as_a_tensor_each(tmp_path: Path) -> None:
    found = asked(tmp_path, json.dumps(columns(parameters={"scale": 2.0})).encode(), {})

    assert found.json() == {
        "model_name": "m",
        "model_version": "3",
        "id": "7",
        "outputs": [{"name": "output-0", "datatype": "FP64", "shape": [2], "data": [2.0, 5.0]}],
    }


def test_binary_in_and_binary_out_are_the_same_numbers(tmp_path: Path) -> None:
    data = np.arange(6, dtype="<f4").reshape(3, 2)
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "any",
                    "datatype": "FP32",
                    "shape": [3, 2],
                    "parameters": {"binary_data_size": data.nbytes},
                }
            ],
            "outputs": [{"name": "output-0", "parameters": {"binary_data": True}}],
        }
    ).encode()

    found = asked(
        tmp_path,
        header + data.tobytes(),
        {HEADER: str(len(header)), "content-type": "application/octet-stream"},
        model=Squares(),
        signature=TENSOR,
        example=TENSOR_EXAMPLE,
    )

    size = int(found.headers[HEADER])
    described = json.loads(found.content[:size])["outputs"][0]
    assert described["parameters"] == {"binary_data_size": 24}
    answer = np.frombuffer(found.content[size:], dtype="<f8")
    assert answer.tolist() == [1.0, 13.0, 41.0]


def test_texts_are_packed_with_their_lengths() -> None:
    made = manifest(TWO_COLUMNS, model_version="3")
    asked = Infer(Request(data=None), None, (), binary=True)

    body, header = open_inference_protocol.write(np.array(["a", "é"], dtype=object), asked, made)

    assert header is not None
    packed = body[header:]
    assert packed == b"\x01\x00\x00\x00a\x02\x00\x00\x00\xc3\xa9"
    texts: dict[str, Any] = {"name": "t", "datatype": "BYTES", "shape": [2]}
    texts["parameters"] = {"binary_data_size": len(packed)}
    start = json.dumps({"inputs": [texts]}).encode()
    unnamed = manifest(None, model_version="3")
    assert open_inference_protocol.read(
        start + packed, str(len(start)), unnamed
    ).request.data.tolist() == ["a", "é"]


@pytest.mark.parametrize("dtype", sorted(open_inference_protocol._DTYPES))
def test_every_datatype_comes_back_as_it_went(dtype: str) -> None:
    values = np.array([[0, 1], [1, 0]], dtype=open_inference_protocol._DTYPES[dtype])
    tensor = {"name": "t", "datatype": dtype, "shape": [2, 2], "data": values.tolist()}
    made = manifest(None, model_version="3")

    infer = open_inference_protocol.read(json.dumps({"inputs": [tensor]}).encode(), None, made)
    body, _ = open_inference_protocol.write(infer.request.data, infer, made)

    assert infer.request.data.dtype == values.dtype
    output = json.loads(body)["outputs"][0]
    assert (output["datatype"], output["shape"]) == (dtype, [2, 2])
    assert output["data"] == values.reshape(-1).tolist()


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"{", {}, 400, "does not begin with a JSON object"),
        (b"[]", {}, 400, "with a list `inputs`"),
        (b'{"inputs": []}', {}, 400, "`inputs` is empty"),
        (b'{"inputs": [{"name": "x"}]}', {}, 400, "a `name`, a `datatype` and a `shape`"),
        (b"{}", {HEADER: "99"}, 400, "at most the body's"),
        (
            b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [3], "data": [1]}]}',
            {},
            400,
            "does not fit",
        ),
        (
            b'{"inputs": [{"name": "x", "datatype": "BF16", "shape": [1], "data": [1]}]}',
            {},
            400,
            "no datatype BF16",
        ),
        (
            b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1], "data": [1]}]}',
            {},
            400,
            "a number below 0",
        ),
        (
            b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1]}]}',
            {},
            400,
            "missing inputs",
        ),
        (json.dumps(columns(outputs=[{"name": "no"}])).encode(), {}, 400, "no output no"),
        (json.dumps(columns()).encode() + b"xx", {HEADER: "len"}, 400, "at most the body's"),
        (json.dumps(columns()).encode(), {HEADER: "9" * 5000}, 400, "at most the body's"),
        (
            json.dumps(columns(outputs=[{"name": "output-0"}] * 2)).encode(),
            {},
            400,
            "names an output twice",
        ),
        (
            b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [9000000, 0], "data": []}]}',
            {},
            400,
            "fewer values than its shape",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_protocols_own_form(
    tmp_path: Path, content: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    found = asked(tmp_path, content, headers)

    assert (found.status_code, list(found.json())) == (status, ["error"])
    assert said in found.json()["error"]


@pytest.mark.parametrize("zeros", ["", "0", "0" * 30, "0" * 5000], ids=len)
def test_zeros_before_the_headers_length_count_nothing(tmp_path: Path, zeros: str) -> None:
    content = json.dumps(columns()).encode()
    found = asked(tmp_path, content, {HEADER: f"{zeros}{len(content)}"})

    assert found.status_code == 200
    assert asked(tmp_path, content, {HEADER: zeros or "x"}).status_code == 400


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
def test_columns_that_are_numbers_are_asked_as_they_are_described(frame: str) -> None:
    specs = [{"type": "double", "name": each, "required": True} for each in (0, 1)]
    made = scorer(signature={"inputs": specs}, frame=frame)
    described = open_inference_protocol.metadata(made.manifest)["inputs"]
    assert isinstance(described, list)
    assert [each["name"] for each in described] == ["0", "1"]
    inputs = [{**each, "shape": [2], "data": [1, 2.5]} for each in described]

    infer = open_inference_protocol.read(
        json.dumps({"inputs": inputs}).encode(), None, made.manifest
    )

    data = made.enforce_request(infer.request).data
    assert {name: list(data[name]) for name in data} == {0: [1.0, 2.5], 1: [1.0, 2.5]}
