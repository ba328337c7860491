"""Ranges of S3 objects by signed requests, without botocore: its import takes a third of a second.

Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import time
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from handlers.loaders.weights import VARIABLE, WeightsError
from handlers.loaders.weights.download import TransientError

_EMPTY = hashlib.sha256(b"").hexdigest()
_TIMEOUT_SECONDS = 20
_ERROR_BYTES = 4096
_CREDENTIALS_BYTES = 65_536
_WORDS = 200
"""Characters of what a store says, at most."""
_NOT_THERE = (403, 404)
_FAULTS = (OSError, http.client.HTTPException)
"""Raised where a connection fails or ends; `HTTPException` where an answer is cut short."""


class _Keys(NamedTuple):
    access: str
    secret: str
    token: str


class Bucket:
    """Objects below one prefix, as the function's role may read them."""

    def __init__(self, address: str) -> None:
        """`address` is s3://BUCKET/PREFIX. Raises WeightsError for what is none."""
        bucket, _, prefix = address[len("s3://") :].partition("/")
        self._region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        if not bucket or not self._region:
            msg = (
                f"{VARIABLE} is {address!r}, which names no bucket: write s3://BUCKET/PREFIX."
                if not bucket
                else "AWS_REGION is not set, so nobody knows which S3 to ask. Lambda sets it."
            )
            raise WeightsError(msg)
        self._bucket, self._prefix = bucket, prefix.strip("/")
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._endpoint = urlsplit(named or f"https://s3.{self._region}.{suffix}")
        self._keys: _Keys | None = None

    def describe(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._key(name)}"

    def connect(self) -> _Connection:
        if self._keys is None:
            self._keys = _read_keys()
        return _Connection(self)

    def open_connection(self) -> http.client.HTTPConnection:
        """A connection to the endpoint; none is made before the first request."""
        host, port = self._endpoint.hostname or "", self._endpoint.port
        if self._endpoint.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS)

    def sign(self, name: str) -> tuple[str, dict[str, str]]:
        """The path of an object, and the headers that a request for it has now."""
        keys = self._keys or _read_keys()
        path = quote(f"{self._endpoint.path.rstrip('/')}/{self._bucket}/{self._key(name)}", "/~")
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {
            "host": self._endpoint.netloc,
            "x-amz-content-sha256": _EMPTY,
            "x-amz-date": moment,
        }
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        signed = ";".join(sorted(headers))
        lines = "".join(f"{key}:{value}\n" for key, value in sorted(headers.items()))
        request = f"GET\n{path}\n\n{lines}\n{signed}\n{_EMPTY}"
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = f"AWS4{keys.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope},"
            f"SignedHeaders={signed},Signature={signature}"
        )
        return path, headers

    def explain(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> str:
        """Say why S3 did not give an object, in a sentence without its name."""
        code = _read_tag(body, "Code")
        if status in _NOT_THERE:
            return (
                f"cannot be read ({status} {code}): the object is not there, or the function's "
                "role may not read it. Push the artifact's weights with `packager push-weights`, "
                f"and deploy with WeightsBucket={self._bucket} and WeightsPrefix={self._prefix}, "
                "for which the template's role has s3:GetObject. A bucket with a key of its own "
                "needs kms:Decrypt too."
            )
        region = headers.get("x-amz-bucket-region")
        if region and region != self._region:
            return (
                f"lies in {region}, and this function runs in {self._region}. Push the weights to "
                "a bucket of the function's region."
            )
        if status < 400:
            what = (
                "sent the object whole, so it serves no ranges"
                if status == 200
                else "answered with a redirect, which is not followed"
            )
            return (
                f"cannot be read ({status}): the store {what}. Let AWS_ENDPOINT_URL_S3 name one "
                "that serves ranges of objects itself, or leave it unset for S3."
            )
        said = _read_tag(body, "Message") or "the store does not say why"
        return f"cannot be read ({status} {code}): {said}"

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


class _Range:
    def __init__(self, response: http.client.HTTPResponse, whole_bytes: int) -> None:
        self._response, self.whole_bytes = response, whole_bytes

    def readinto(self, buffer: memoryview) -> int:
        try:
            return self._response.readinto(buffer)
        except _FAULTS as error:
            raise TransientError(_name_fault(error)) from error


class _Connection:
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._http = bucket.open_connection()

    def open(self, name: str, first: int, last: int) -> _Range:
        path, headers = self._bucket.sign(name)
        try:
            self._http.request("GET", path, headers={**headers, "range": f"bytes={first}-{last}"})
            response = self._http.getresponse()
            if response.status == 206:
                span = response.headers.get("content-range") or ""
                return _Range(response, int(span.rpartition("/")[2]))
            body = response.read(_ERROR_BYTES)
        except (*_FAULTS, ValueError, TypeError) as error:
            self.close()
            raise TransientError(_name_fault(error)) from error
        self.close()  # the rest of that body is never read
        if response.status == 416:  # the object ends before this range
            whole = (response.headers.get("content-range") or "").rpartition("/")[2]
            return _Range(response, int(whole) if whole.isdigit() else 0)
        if response.status >= 500 or response.status == 429:
            msg = f"S3 answered {response.status} {_read_tag(body, 'Code')}"
            raise TransientError(msg)
        said = self._bucket.explain(response.status, response.headers, body)
        msg = f"{self._bucket.describe(name)} {said}"
        raise WeightsError(msg)

    def close(self) -> None:
        """Close it; the next request opens it again."""
        self._http.close()


def _name_fault(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _read_tag(body: bytes, name: str) -> str:
    """The text of an element of S3's answer; empty where there is none.

    Whatever server was asked wrote it: nothing in it is an order to a terminal, or another line.
    """
    text = body.decode("utf-8", "replace")
    found = text.partition(f"<{name}>")[2].partition(f"</{name}>")[0]
    return "".join(char if char.isprintable() else " " for char in found[:_WORDS]).strip()


def _read_keys() -> _Keys:
    """The role's keys: variables, or under SnapStart what the variables name.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html

    Raises WeightsError.
    """
    told = os.environ
    if told.get("AWS_ACCESS_KEY_ID") and told.get("AWS_SECRET_ACCESS_KEY"):
        return _Keys(
            told["AWS_ACCESS_KEY_ID"],
            told["AWS_SECRET_ACCESS_KEY"],
            told.get("AWS_SESSION_TOKEN", ""),
        )
    where = urlsplit(told.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", ""))
    if not where.hostname:
        msg = (
            "The function has no AWS credentials: neither AWS_ACCESS_KEY_ID nor "
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is set. Lambda sets one of them by the role."
        )
        raise WeightsError(msg)
    asked = http.client.HTTPConnection(where.hostname, where.port, timeout=_TIMEOUT_SECONDS)
    try:
        token = told.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        path = f"{where.path}?{where.query}" if where.query else where.path
        asked.request("GET", path, headers={"authorization": token} if token else {})
        found = json.loads(asked.getresponse().read(_CREDENTIALS_BYTES))
        return _Keys(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""))
    except (*_FAULTS, ValueError, KeyError, TypeError) as error:
        msg = f"The role's credentials could not be read: {_name_fault(error)}."
        raise WeightsError(msg) from error
    finally:
        asked.close()
