"""Weights outside of the function: what a start does when their store misbehaves."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import http.client
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from handlers.loaders import weights
from handlers.loaders.weights import Weight, WeightsError, download, place_weights, s3
from handlers.loaders.weights.download import fetch_all
from handlers.loaders.weights.s3 import Bucket
from handlers.manifest import Manifest

PART = 1000
"""Bytes of a part here, so that small files have several."""


@dataclass
class Store:
    """Objects, what was asked for, and what is wrong: called with each request's number."""

    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: Callable[[int], int] = lambda _: 206
    cut: Callable[[int], bool] = lambda _: False
    code: str = "AccessDenied"
    message: str = ""
    spans: bool = True
    headers: dict[str, str] = field(default_factory=dict)

    def put(self, content: bytes) -> Weight:
        digest = hashlib.sha256(content).hexdigest()
        self.objects[f"/data/models/churn/{digest}"] = content
        return Weight("model.bin", digest, len(content))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    held = Store()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(held))
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(download, "_PART_BYTES", PART)
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0.001)
    yield held
    server.shutdown()
    server.server_close()


def _make_handler(store: Store) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            number = len(store.asked)
            store.asked.append((self.path, self.headers["range"]))
            content = store.objects.get(self.path)
            status = store.status(number) if content is not None else 404
            if status != 206 or content is None:
                said = f"<Code>{store.code}</Code><Message>{store.message}</Message>"
                return self._send(status, f"<Error>{said}</Error>".encode())
            first, last = map(int, self.headers["range"].partition("=")[2].split("-"))
            if first >= len(content):
                return self._send(416, b"<Error><Code>InvalidRange</Code></Error>")
            body = content[first : last + 1]
            self.send_response(206)
            if store.spans:
                self.send_header("content-range", f"bytes {first}-{last}/{len(content)}")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if store.cut(number):
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            else:
                self.wfile.write(body)
            return None

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            for name, value in store.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _fetch(weight: Weight, folder: Path, address: str = "s3://data/models/churn") -> Path:
    return fetch_all((weight,), Bucket(address), folder)[weight.sha256]


def _content(parts: float) -> bytes:
    return os.urandom(int(parts * PART))


def test_a_file_comes_in_ranges_and_is_whole(store: Store, tmp_path: Path) -> None:
    content = _content(7.5)
    weight = store.put(content)
    assert _fetch(weight, tmp_path).read_bytes() == content
    assert sorted(asked for _, asked in store.asked) == sorted(
        f"bytes={first}-{min(first + PART, len(content)) - 1}"
        for first in range(0, len(content), PART)
    )


def test_what_is_there_is_not_fetched_again(store: Store, tmp_path: Path) -> None:
    weight = store.put(_content(3))
    _fetch(weight, tmp_path)
    count = len(store.asked)
    _fetch(weight, tmp_path)
    assert len(store.asked) == count


def test_what_is_there_and_was_changed_is_fetched_again(store: Store, tmp_path: Path) -> None:
    content = _content(3)
    weight = store.put(content)
    _fetch(weight, tmp_path).write_bytes(content[:-1] + b"?")
    assert _fetch(weight, tmp_path).read_bytes() == content


def test_a_start_goes_on_where_the_one_before_was_ended(store: Store, tmp_path: Path) -> None:
    content = _content(40)
    weight = store.put(content)
    store.status = lambda number: 206 if number < 20 else 403
    with pytest.raises(WeightsError):
        _fetch(weight, tmp_path)
    assert not (tmp_path / weight.sha256).exists()
    store.status = lambda _: 206
    had = len(store.asked)
    assert _fetch(weight, tmp_path).read_bytes() == content
    assert len(store.asked) - had <= 21
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([weight.sha256, "lock"])


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_fault_of_the_store_is_asked_again(store: Store, tmp_path: Path, status: int) -> None:
    content = _content(2)
    weight = store.put(content)
    store.status = lambda number: status if number < 2 else 206
    assert _fetch(weight, tmp_path).read_bytes() == content


def test_an_answer_cut_short_is_asked_again(store: Store, tmp_path: Path) -> None:
    content = _content(4)
    weight = store.put(content)
    store.cut = lambda number: number in {0, 2}
    assert _fetch(weight, tmp_path).read_bytes() == content


def test_a_store_that_stays_at_fault_is_given_up(store: Store, tmp_path: Path) -> None:
    weight = store.put(_content(1))
    store.status, store.code = lambda _: 503, "SlowDown"
    with pytest.raises(WeightsError, match=r"S3 answered 503 SlowDown\. It was tried 4 times"):
        _fetch(weight, tmp_path)
    assert len(store.asked) == 4


def test_nobody_listening_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = store.put(_content(1))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="could not be read: ConnectionRefusedError"):
        _fetch(weight, tmp_path)


@pytest.mark.parametrize("status", [403, 404])
def test_no_rights_and_no_object_are_told_with_what_to_do(
    store: Store, tmp_path: Path, status: int
) -> None:
    weight = store.put(_content(9))
    store.status = lambda _: status
    with pytest.raises(WeightsError) as raised:
        _fetch(weight, tmp_path)
    said = str(raised.value)
    assert f"s3://data/models/churn/{weight.sha256} cannot be read ({status} AccessDenied)" in said
    assert "WeightsBucket=data" in said
    assert "WeightsPrefix=models/churn" in said
    assert len(store.asked) <= download._THREADS


def test_a_bucket_of_another_region_is_named(store: Store, tmp_path: Path) -> None:
    weight = store.put(_content(1))
    store.status, store.headers = lambda _: 301, {"x-amz-bucket-region": "us-east-1"}
    with pytest.raises(WeightsError, match="lies in us-east-1, and this function runs in eu-west"):
        _fetch(weight, tmp_path)


@pytest.mark.parametrize("size", [0.5, 1, 2.5, 4])
def test_an_object_of_another_size_is_not_used(store: Store, tmp_path: Path, size: float) -> None:
    content = _content(3)
    weight = store.put(content)
    store.objects[f"/data/models/churn/{weight.sha256}"] = (content * 2)[: int(size * PART)]
    with pytest.raises(WeightsError, match=r"bytes, and model\.bin has 3,000: it was cut short"):
        _fetch(weight, tmp_path)
    assert not (tmp_path / weight.sha256).exists()


def test_an_answer_without_its_range_is_asked_again(store: Store, tmp_path: Path) -> None:
    weight = store.put(_content(1))
    store.spans = False
    with pytest.raises(WeightsError, match=r"could not be read: ValueError.*tried 4 times"):
        _fetch(weight, tmp_path)


@pytest.mark.parametrize(("status", "why"), [(200, "serves no ranges"), (301, "not followed")])
def test_a_store_of_another_kind_is_named(
    store: Store, tmp_path: Path, status: int, why: str
) -> None:
    weight = store.put(_content(1))
    store.status = lambda _: status
    with pytest.raises(WeightsError, match=rf"\({status}\): the store .*{why}.*AWS_ENDPOINT_URL"):
        _fetch(weight, tmp_path)


def test_what_a_store_says_orders_nothing(store: Store, tmp_path: Path) -> None:
    weight = store.put(_content(1))
    store.status = lambda _: 400
    store.code, store.message = "Bad\x1b]0;x\x07", "one\ntwo\x9b" + "y" * 900
    with pytest.raises(WeightsError) as raised:
        _fetch(weight, tmp_path)
    assert str(raised.value).isprintable()
    assert "one two" in str(raised.value)
    assert len(str(raised.value)) < 500


def test_an_object_with_one_byte_changed_is_not_used(store: Store, tmp_path: Path) -> None:
    content = _content(3)
    weight = store.put(content)
    changed = content[:1500] + bytes([content[1500] ^ 1]) + content[1501:]
    store.objects[f"/data/models/churn/{weight.sha256}"] = changed
    with pytest.raises(WeightsError, match=r"has sha256 .* It was not used"):
        _fetch(weight, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["lock"]


def test_no_room_is_told_before_anything_is_fetched(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = replace_size(store.put(_content(1)), 900 << 20)
    room = os.statvfs(tmp_path)
    free = os.statvfs_result((room[0], 1 << 20, *room[2:4], 512, *room[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: free)
    with pytest.raises(WeightsError, match=r"512 MB free.*take 900 MB.*EphemeralStorageMb=1088 "):
        _fetch(weight, tmp_path)
    assert not store.asked


def replace_size(weight: Weight, size_bytes: int) -> Weight:
    return weight._replace(size_bytes=size_bytes)


@pytest.mark.parametrize("token", ["", "a/token=="])
@pytest.mark.parametrize("prefix", ["models/churn", "a b/ü/(c)~", ""])
def test_a_request_is_signed_as_botocore_signs_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, prefix: str, token: str
) -> None:
    why = "the runtime's own; not among what ships"
    auth = pytest.importorskip("botocore.auth", reason=why)
    requests = pytest.importorskip("botocore.awsrequest", reason=why)
    keys = pytest.importorskip("botocore.credentials", reason=why)
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.eu-west-1.amazonaws.com")
    bucket = Bucket(f"s3://da.ta/{prefix}")
    path, headers = bucket.sign("ab" * 32)
    own = {name: value for name, value in headers.items() if name != "authorization"}
    request = requests.AWSRequest("GET", f"https://s3.eu-west-1.amazonaws.com{path}", headers=own)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = auth.S3SigV4Auth(keys.Credentials("AKIA", "secret", token or None), "s3", "eu-west-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert signer.signature(text, request) == headers["authorization"].rpartition("=")[2]
    signed = ";".join(sorted(own))
    assert f"SignedHeaders={signed}," in headers["authorization"]


def test_keys_come_from_where_snapstart_has_them(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = _content(1)
    weight = store.put(content)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(WeightsError, match="has no AWS credentials"):
        _fetch(weight, tmp_path)
    keys = b'{"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T"}'
    monkeypatch.setattr(http.client.HTTPResponse, "read", lambda *_: keys)
    monkeypatch.setenv(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{os.environ['AWS_ENDPOINT_URL_S3']}/k"
    )
    assert s3._read_keys() == ("A", "S", "T")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "PACKAGER_WEIGHTS is not set"),
        ("https://example.org/x", "PACKAGER_WEIGHTS is 'https://example.org/x'"),
        ("s3://", "names no bucket"),
        ("/nowhere/at/all", "no file system is mounted there"),
    ],
)
def test_an_address_that_is_none_is_told(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv(weights.VARIABLE, address)
    with pytest.raises(WeightsError, match=said):
        place_weights(_make_manifest([store.put(_content(1))]), tmp_path)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "", "a/../../b"])
def test_a_path_that_leads_out_of_the_model_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv(weights.VARIABLE, "s3://data/models/churn")
    weight = store.put(_content(1))._replace(path=path)
    with pytest.raises(WeightsError, match="no file in the model's folder"):
        place_weights(_make_manifest([weight]), tmp_path)


def _make_manifest(found: list[Weight]) -> Manifest:
    return Manifest(
        model_name="churn", digest="ab" * 32, flavor="sklearn", loader="sklearn", python="3.13",
        request_bytes=1, response_bytes=1, options={"code": ["code"]},
        weights=[each._asdict() for each in found], weights_from="fetch",
    )  # fmt: skip


@pytest.fixture
def function(tmp_path: Path) -> Path:
    """A function's folder whose model has lost its large files."""
    model = tmp_path / "function" / "model"
    for name in ("MLmodel", "data/config.json", "data/tokens/words.txt", "code/own.py"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(name)
    return model.parent


def test_the_model_is_whole_again(
    store: Store, function: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(weights.VARIABLE, "s3://data/models/churn")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    content = _content(3)
    paths = ("data/a b/weights.bin", "model.bin", "data/copy.bin")
    found = [store.put(content)._replace(path=path) for path in paths]
    placed = place_weights(_make_manifest(found), function)
    place_weights(_make_manifest(found), function)  # as a second start in the same /tmp
    model = Path(placed.model_path)
    assert {path: (model / path).read_bytes() for path in paths} == dict.fromkeys(paths, content)
    for name in ("MLmodel", "data/config.json", "data/tokens/words.txt", "code/own.py"):
        assert (model / name).read_text() == name
    assert placed.options["code"] == [str(function / "model" / "code")]
    assert len(store.asked) == 3


@pytest.fixture
def place(
    store: Store, function: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Path]:
    """Places a weight in a /tmp of its own, tmp_path / "tmp"."""
    monkeypatch.setenv(weights.VARIABLE, "s3://data/models/churn")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    found = [store.put(_content(1))]
    return lambda: Path(place_weights(_make_manifest(found), function).model_path)


def test_only_this_user_may_write_where_weights_lie(place: Callable[[], Path]) -> None:
    before = os.umask(0)
    try:
        model = place()
    finally:
        os.umask(before)
    assert [each.stat().st_mode & 0o777 for each in (model, model.parent)] == [0o700, 0o700]


@pytest.mark.parametrize("planted", ["link", "open"])
def test_a_folder_that_somebody_else_may_write_is_not_used(
    place: Callable[[], Path], tmp_path: Path, planted: str, store: Store
) -> None:
    own = tmp_path / "tmp" / "packager-weights"
    (tmp_path / "theirs").mkdir()
    if planted == "link":
        own.symlink_to(tmp_path / "theirs")
    else:
        own.mkdir()
        own.chmod(0o777)
    with pytest.raises(WeightsError, match=r"packager-weights is a link.*set TMPDIR"):
        place()
    assert not store.asked
    assert not list((tmp_path / "theirs").iterdir())


def test_a_planted_link_is_removed_and_not_followed(
    place: Callable[[], Path], tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    own = tmp_path / "tmp" / "packager-weights"
    own.mkdir(mode=0o700)
    (own / f"model-{'ab' * 8}-{os.getpid()}").symlink_to(tmp_path / "theirs")
    assert not place().is_symlink()
    assert not list((tmp_path / "theirs").iterdir())


def test_folders_of_processes_that_ended_are_removed(
    place: Callable[[], Path], tmp_path: Path
) -> None:
    model = place()
    ended, running = (model.with_name(f"model-{'cd' * 8}-{pid}") for pid in (1, 2))
    for folder in (ended, running):
        folder.mkdir()
    held = os.open(running, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        assert place() == model
    finally:
        os.close(held)
    assert (model / "MLmodel").is_file()
    assert (ended.exists(), running.exists()) == (False, True)


def test_a_large_file_that_is_no_weight_is_not_copied(
    place: Callable[[], Path], function: Path
) -> None:
    library = function / "model" / "library.so"
    library.write_bytes(bytes(2 << 20))
    assert Path(os.readlink(place() / "library.so")) == library


def test_a_full_tmp_is_told(place: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", refuse)
    with pytest.raises(WeightsError, match=r"No space left.*larger EphemeralStorageMb"):
        place()


class TestMounted:
    @pytest.fixture(autouse=True)
    def _have_mount(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mount = tmp_path / "mount"
        self.mount.mkdir()
        (tmp_path / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
        monkeypatch.setenv(weights.VARIABLE, str(self.mount))

    def put(self, content: bytes, path: str = "model.bin", *, there: bytes | None = None) -> Weight:
        digest = hashlib.sha256(content).hexdigest()
        (self.mount / digest).write_bytes(content if there is None else there)
        return Weight(path, digest, len(content))

    def test_files_are_used_where_they_lie(self, function: Path) -> None:
        weight = self.put(b"weights")
        placed = place_weights(_make_manifest([weight]), function)
        assert (Path(placed.model_path) / "model.bin").read_bytes() == b"weights"

    def test_a_missing_file_is_named(self, function: Path) -> None:
        weight = self.put(b"weights")
        (self.mount / weight.sha256).unlink()
        with pytest.raises(WeightsError, match=r"\(model\.bin\) cannot be read: No such file"):
            place_weights(_make_manifest([weight]), function)

    def test_another_size_is_refused_whatever_the_format(self, function: Path) -> None:
        weight = self.put(b"weights", "model.safetensors", there=b"weight")
        with pytest.raises(WeightsError, match="has 6 bytes"):
            place_weights(_make_manifest([weight]), function)

    def test_a_changed_pickle_is_refused(self, function: Path) -> None:
        weight = self.put(b"weights", "model.pkl", there=b"weightz")
        with pytest.raises(WeightsError, match="It was not used"):
            place_weights(_make_manifest([weight]), function)

    def test_what_is_mapped_is_held_to_its_digest_where_that_is_asked_for(
        self, function: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        weight = self.put(b"weights", "model.safetensors", there=b"weightz")
        place_weights(_make_manifest([weight]), function)
        monkeypatch.setenv("PACKAGER_WEIGHTS_CHECK", "full")
        with pytest.raises(WeightsError, match="It was not used"):
            place_weights(_make_manifest([weight]), function)


def test_nothing_of_it_is_imported_without_weights(tmp_path: Path) -> None:
    from handlers.scoring import predictor

    names = [name for name in sys.modules if name.startswith("handlers.loaders.weights")]
    held = {name: sys.modules.pop(name) for name in names}
    try:
        manifest = replace(_make_manifest([]), loader="nothing_of_that_name")
        with pytest.raises(ModuleNotFoundError):
            predictor.load(manifest, tmp_path)
        assert not any(name.startswith("handlers.loaders.weights") for name in sys.modules)
    finally:
        sys.modules.update(held)


def test_a_file_that_lies_in_the_model_twice_is_counted_once() -> None:
    same = Weight("a.bin", "1" * 64, 3_000_000)
    other = Weight("c.bin", "2" * 64, 1_000_000)
    assert weights.describe((same, same._replace(path="b.bin"), other)) == "2 files, 4.0 MB"
