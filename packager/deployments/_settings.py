"""Settings of `-C name=value` and the target's address, checked before anything starts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from packager.deployments._errors import DeploymentError, wrong_setting
from packager.deployments._parameters import BUILD_WEIGHTS, check_values, known_parameters
from packager.errors import ConfigurationError, suggest_name
from packager.types import (
    BATCH_SOURCES,
    BuildRequest,
    Compute,
    Engine,
    Front,
    HttpAuth,
    Rollout,
    Severity,
    Shipped,
    Tier,
    make_request,
)

_TAG: Final = re.compile(r"[\w .:/=+@-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """AWS account and region to talk to; None leaves the choice to the SDK."""

    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    account: Account = field(default_factory=Account)
    bucket: str | None = None
    prefix: str | None = None
    role: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of the template, by its own names."""
    build: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a BuildRequest, each by its name as an option."""
    out: Path | None = None
    require_signed_by: tuple[str, ...] = ()
    """Public keys, each a PEM file or of a cloud, whose holders must have signed."""
    require_identity: str | None = None
    """Who must have signed keyless; `require_issuer` vouches for them."""
    require_issuer: str | None = None
    require_equivalence: str | None = None
    min_rows: int | None = None
    traffic: Mapping[str, float] | None = None
    """Percentage of the requests for a version, by its number."""
    rollback: str | None = None
    """The version that gets all requests; empty for the earlier one."""
    host: str = "127.0.0.1"
    port: int = 8080

    @property
    def moves(self) -> bool:
        """Tell whether requests are to move between versions that are deployed."""
        return self.traffic is not None or self.rollback is not None

    @property
    def has_more_than_moves(self) -> bool:
        """Tell whether there is a setting beside the account's and those that move requests."""
        alone = Settings(account=self.account, traffic=self.traffic, rollback=self.rollback)
        return self != alone

    @property
    def said_of_a_build(self) -> tuple[str, ...]:
        """The names of what only a build can heed."""
        fields = {field: name for name, (field, _) in _BUILD.items()}
        return (*(fields[field] for field in self.build), *(["out"] if self.out else []))

    @property
    def demands(self) -> tuple[str, ...]:
        """The names of what is demanded of an artifact's signatures."""
        return tuple(name for name in _DEMANDS if getattr(self, name))

    def request(self, model_uri: str, out: Path) -> BuildRequest:
        """Return the request for a build.

        Raises ConfigurationError as `packager build` does.
        """
        given = dict(self.build)
        if given.get("batch"):
            given["events"] = tuple(dict.fromkeys((*given.get("events", ()), *BATCH_SOURCES)))
        return make_request(model_uri, out_dir=out, **given)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\d+", text) or not least <= int(text) <= most:
            raise ValueError(f"give a whole number from {least} to {most}")
        return int(text)

    return read


def _read_choice(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            meant = suggest_name(text, known)
            raise ValueError(f"give one of {', '.join(known)}{meant and f'.{meant}'}")
        return text

    return read


def _read_switch(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("give true or false")
    return text.lower() == "true"


def _read_minor(text: str) -> str:
    if not re.fullmatch(r"\d+\.\d+", text):
        raise ValueError("give a minor version, such as 3.13")
    return text


def _read_engine(text: str) -> Engine | None:
    return None if _read_choice("auto", *Engine)(text) == "auto" else Engine(text)


def _error(text: str) -> float:
    if not 0 <= (found := float(text)) < float("inf"):
        raise ValueError("give a number of 0 or more")
    return found


def _look(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except OSError as error:
        raise ValueError(f"{error.strerror}; name one that can be read") from error


def _folder(text: str) -> Path:
    if not _look(Path(text).is_dir):
        raise ValueError("there is no such folder; name one that exists")
    return Path(text)


def _file(text: str) -> Path:
    if not _look(Path(text).is_file):
        raise ValueError("there is no such file; name one that exists")
    return Path(text)


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _read_keys(text: str) -> tuple[str, ...]:
    if not (found := _read_list(text)):
        raise ValueError("it names no key, and would demand nothing; name a public key's file")
    return found


def _read_name(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty, and would demand nothing; name an identity and its issuer")
    return text.strip()


def _read_demand(text: str) -> str:
    if not text.strip():
        raise ValueError("it demands nothing; give bit-equal or the largest difference, as 1e-6")
    return text.strip()


def _read_shares(text: str) -> dict[str, float]:
    from packager.commands.cloud.traffic import parse_shares  # noqa: PLC0415 - rarely asked for

    try:
        return parse_shares(text.replace(",", " ").split() or [""])
    except ConfigurationError as error:
        raise ValueError(str(error).removesuffix(".")) from error


def _read_version(text: str) -> str:
    """Empty for `true`: the earlier version."""
    if text.strip().lower() == "true":
        return ""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("write true, or the number of a version, as 5")
    return text


_RATED: Final = [each.value for each in Severity if each is not Severity.UNKNOWN]
_BUILD: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "allow_unproven": ("allow_unproven", _read_switch),
    "allow_network": ("allow_network", _read_switch),
    "audit": ("audit", _read_switch),
    "audit_severity": ("audit_severity", lambda text: Severity(_read_choice(*_RATED)(text))),
    "deny_license": ("deny_licenses", _read_list),
    "ignore_vulnerability": ("ignore_vulnerabilities", _read_list),
    "osv_url": ("osv_url", str),
    "refresh_audit": ("refresh_audit", _read_switch),
    "require_audit": ("require_audit", _read_switch),
    "vulnerable_code": ("vulnerable_code", _read_list),
    "arch": ("architecture", _read_choice("x86_64", "arm64")),
    "arm64_python": ("arm64_python", _folder),
    "atol": ("atol", _error),
    "auth": ("auth", lambda text: HttpAuth(_read_choice(*HttpAuth)(text))),
    "baseline": ("baseline", _file),
    "batch": ("batch", _read_switch),
    "compute": ("compute", lambda text: Compute(_read_choice(*Compute)(text))),
    "engine": ("engine", _read_engine),
    "event": ("events", _read_list),
    "example": ("example", _file),
    "facts_dir": ("facts_dir", _folder),
    "front": ("front", lambda text: Front(_read_choice(*Front)(text))),
    "keep": ("keep", _read_list),
    "keep_package": ("keep_packages", _read_list),
    "once": ("once", _read_switch),
    "optimize": ("optimize", _whole(0, 2)),
    "output_to": ("output_to", str),
    "passes": ("passes", _read_list),
    "python": ("python_minor", _read_minor),
    "registry_uri": ("registry_uri", str),
    "rows": ("rows", _whole(0, 1_000_000)),
    "requirements": ("requirements", lambda text: Shipped(_read_choice(*Shipped)(text))),
    "rollout": ("rollout", lambda text: Rollout(_read_choice(*Rollout)(text))),
    "rtol": ("rtol", _error),
    "seed": ("seed", _whole(0, 2**32 - 1)),
    "tier": ("tier", lambda text: Tier(_read_choice(*Tier)(text))),
    "trace": ("trace", _read_switch),
    "tracking_uri": ("tracking_uri", str),
    "trust_model_index": ("trust_model_index", _read_switch),
    "upgrade_pins": ("upgrade_pins", _read_switch),
}
_DEMANDS: Final[dict[str, Callable[[str], Any]]] = {
    "require_signed_by": _read_keys,
    "require_identity": _read_name,
    "require_issuer": _read_name,
    "require_equivalence": _read_demand,
    "min_rows": _whole(1, 1_000_000_000),
}
_MOVES: Final[dict[str, Callable[[str], Any]]] = {
    "traffic": _read_shares,
    "rollback": _read_version,
}
_LISTENING: Final[dict[str, Callable[[str], Any]]] = {"host": str, "port": _whole(0, 65535)}
_NAMED: Final = {"memory": "MemorySizeMb", "timeout": "TimeoutSeconds"}
AWS_OPTIONS: Final = {
    "bucket": "S3 bucket, in the region, that function.zip is uploaded to; an update remembers it",
    "prefix": "prefix of its keys there; default: the stack's name",
    "region": "AWS region; default: the target's address, AWS_REGION, then the profile's",
    "profile": "AWS profile; default: AWS_PROFILE",
    "endpoint": "address of another AWS, for example for tests; default: AWS_ENDPOINT_URL",
    "role": "ARN of a role that CloudFormation assumes; default: your own rights",
    "tags": "tags of the stack and its resources: team=ml,stage=prod",
    "require_signed_by": "public keys (PEM files, awskms:ID, azurekms://...) whose holders must "
    "all have signed the artifact: a.pub,b.pub",
    "require_identity": "who must have signed it keyless, through sigstore: an e-mail address, or "
    "the URI of a workflow; with require_issuer",
    "require_issuer": "who vouches for require_identity, such as "
    "https://token.actions.githubusercontent.com",
    "require_equivalence": "how equal the proof that they signed must say that the answers are: "
    "bit-equal, or the largest difference of a number, as 1e-6",
    "min_rows": "rows that this proof must have compared",
    "traffic": "percentage of the requests for a version that is deployed, as 7=10 (update without "
    "a model); the version that serves gets the rest",
    "rollback": "true for the older of two that share or the only earlier one, or the number of a "
    "version: it gets every request (update without a model)",
}
BUILD_OPTIONS: Final = {
    "front": "http-api (default), function-url, rest-api or none",
    "auth": "what an HTTP caller has to bring: iam (default), jwt, api-key or none",
    "memory": "memory in MB (MemorySizeMb); default: from replay's measurement",
    "timeout": "timeout in seconds (TimeoutSeconds); default: from replay's measurement",
    "out": "folder for the artifact; default: a temporary one",
    "rollout": "canary, linear or all-at-once: check a new version, then move traffic that way",
    "python": "Python minor version, for example 3.13",
    "arch": "x86_64 (default) or arm64",
    "compute": "on-demand (default) or managed-instances: EC2 instances of your account",
    "example": "file with a request to replay, for a model that was logged without one",
    "rows": "rows generated for replay; default: 1000",
    "seed": "seed of the generated rows",
    "engine": "auto (default): machine-code if proven equal to the last bit, else native; "
    "native: the model's framework; onnx, machine-code: compiled",
    "rtol": "relative error allowed a compiled model; default: 1e-5",
    "atol": "absolute error allowed a compiled model; default: 1e-6",
    "tier": "the only runtime tier to try: native, stub or skinny",
    "event": "event sources beside HTTP: sqs,kinesis",
    "output_to": "destination for predictions from asynchronous events, for example s3://BUCKET/PREFIX",
    "once": "true to record scored events in a table, so that none is scored again",
    "batch": "true for a state machine that runs whole files and folders in parallel",
    "baseline": "table from which drift is measured; default: the training set that was logged",
    "passes": "slimming passes to run, for example prune,bytecode; default: all",
    "keep": "globs of files that no slimming pass may remove: a/*,b/*",
    "requirements": "serving (default): what serving can need, first; declared: all that is listed",
    "keep_package": "distributions to ship even if serving is not known to need them",
    "trace": "false: do not slim by what the function is seen to use",
    "optimize": "Python's -O for bytecode: 0 (default), 1 or 2",
    "allow_network": "true to let the model's code reach the network while it is proven",
    "allow_unproven": "true to deploy even if nothing can be replayed",
    "tracking_uri": "MLflow tracking server; default: MLFLOW_TRACKING_URI",
    "registry_uri": "model registry, if it is another server",
    "trust_model_index": "true to also install packages from indexes that only the model names",
    "upgrade_pins": "true to take newer patch releases of pins without a wheel, if proven equal",
    "arm64_python": "folder with the files of an arm64 system, whose Python boots the function "
    "under QEMU on x86_64",
    "facts_dir": "folder of TOML files that override the built-in facts",
    "audit": "true to ask OSV for known vulnerabilities of what ships, and refuse those that count",
    "require_audit": "as audit, and deploy nothing without an answer",
    "audit_severity": "least severity that counts: low (default), medium, high or critical",
    "ignore_vulnerability": "vulnerabilities to go on with: ID=REASON, without commas in it",
    "vulnerable_code": "modules that vulnerabilities are in: ID=package.module",
    "deny_license": "SPDX licences that nothing which ships may be under: GPL-3.0*,AGPL*",
    "osv_url": "service to ask, if it is a mirror of OSV's own",
    "refresh_audit": "true to ask again instead of taking answers of the last 24 hours",
}
LOCAL_OPTIONS: Final = {
    "port": "port to listen on; default: 8080; 0 takes a free one",
    "host": "address to listen on; default: 127.0.0.1",
}


def parse(
    config: Mapping[str, object] | None, target_uri: str = "aws-lambda", *, of_any: bool = False
) -> Settings:
    """Read settings; `of_any` takes a parameter's value that some machines of Lambda's take.

    Raises DeploymentError for a name that is not known or a value that cannot be meant.
    """
    given = {**_of_address(target_uri), **(config or {})}
    tags = given.pop("tags", {})
    values = {name: _text(name, value) for name, value in given.items() if value is not None}
    parameters = {_NAMED[name]: values.pop(name) for name in tuple(values) if name in _NAMED}
    compute = values.get("compute")
    known = known_parameters(compute, of_any=of_any and compute is None)
    parameters |= {name: values.pop(name) for name in tuple(values) if name in known}
    check_values(parameters, known)
    build = {
        _BUILD[name][0]: _read(name, values.pop(name), _BUILD[name][1])
        for name in tuple(values)
        if name in _BUILD
    }
    others = {
        name: _read(name, values.pop(name), read)
        for name, read in {**_LISTENING, **_DEMANDS, **_MOVES}.items()
        if name in values
    }
    rest = {name: values.pop(name, None) for name in ("bucket", "prefix", "role")}
    account = Account(
        region=values.pop("region", None) or os.environ.get("AWS_REGION") or None,
        profile=values.pop("profile", None),
        endpoint=values.pop("endpoint", None),
    )
    out = values.pop("out", None)
    if values:
        raise _refuse_unknown(next(iter(values)), known)
    return Settings(
        account=account,
        bucket=_bucket(rest["bucket"]),
        prefix=rest["prefix"],
        role=rest["role"],
        tags=_read_tags(tags),
        parameters=parameters,
        build=build,
        out=None if out is None else Path(out),
        **others,
    )


def _of_address(target_uri: str) -> dict[str, str]:
    """`aws-lambda:/REGION?profile=NAME&endpoint=URL`: all of it may be left out."""
    parts = urlsplit(target_uri)
    if not parts.scheme:
        return {}
    found = dict(parse_qsl(parts.query))
    if wrong := sorted(set(found) - {"profile", "endpoint", "region"}):
        raise wrong_setting(
            f"The target's address {target_uri!r} does not take {wrong[0]}. It takes region, "
            f"profile and endpoint: set {wrong[0]} with -C."
        )
    if region := (parts.netloc or parts.path.strip("/")):
        found["region"] = region
    return found


def _text(name: str, value: object) -> str:
    """A value as `-C` would have it: from Python it may be a number, a bool, a path, a list."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    if isinstance(value, Mapping):
        raise wrong_setting(f"{name} takes one value, not a mapping. Set it with -C {name}=VALUE.")
    return str(value)


def _read(name: str, text: str, read: Callable[[str], object]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        why = str(error)
        end = "" if why.endswith("?") else "."
        raise wrong_setting(f"{name}={text} cannot be used: {why}{end}") from error


def _read_tags(given: object) -> dict[str, str]:
    if isinstance(given, Mapping):
        found = {str(key): str(value) for key, value in given.items()}
    else:
        pairs = [part.partition("=") for part in _read_list(str(given or ""))]
        if any(not separator for _, separator, _ in pairs):
            raise wrong_setting(
                f"tags={given} cannot be read. Write -C tags=NAME=VALUE,NAME=VALUE."
            )
        found = {key.strip(): value.strip() for key, _, value in pairs}
    for key, value in found.items():
        _check_tag(key, value)
    return found


def _check_tag(key: str, value: str) -> None:
    """Raises DeploymentError for a tag that AWS does not take, or that the plugin sets."""
    fits = 0 < len(key) <= 128 and len(value) <= 256 and not key.lower().startswith("aws:")
    if not fits or not _TAG.fullmatch(key + value):
        raise wrong_setting(
            f"AWS does not take the tag {key}={value}. A name has 1 to 128 characters and a "
            "value 256 at most: letters, digits, spaces and _.:/=+@-. No name starts with aws:."
        )
    if key.startswith(("mlflow:", "packager:")):
        raise wrong_setting(
            f"The tag {key} cannot be set: the plugin sets those that start with mlflow: and "
            "packager:. Give it another name."
        )


def _bucket(text: str | None) -> str | None:
    if text is None:
        return None
    name = text.removeprefix("s3://").rstrip("/")
    if "/" in name:
        raise wrong_setting(f"bucket={text} names a folder too: say that with prefix=.")
    return name


def _refuse_unknown(name: str, parameters: Iterable[str]) -> DeploymentError:
    if name == "weights":
        return wrong_setting(f"weights cannot be set: nothing here pushes them. {BUILD_WEIGHTS}")
    known = [*AWS_OPTIONS, *BUILD_OPTIONS, *LOCAL_OPTIONS, *parameters]
    return wrong_setting(
        f"There is no setting {name!r}.{suggest_name(name, known)} "
        "`mlflow deployments help -t aws-lambda` lists all of them."
    )
