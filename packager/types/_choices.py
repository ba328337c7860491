"""Choices, in words that the command line and the files share."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

BATCH_SOURCES = ("files", "stepfunctions")
"""What the function of a batch must take: files by name, and items of a map."""
Architecture: TypeAlias = Literal["x86_64", "arm64"]
BESIDE: Final = "beside"
"""Begins the name of a thread whose work is not the present stage's."""
Door: TypeAlias = Literal["direct", "http"]
"""How a function is asked: with a request as its event, or over HTTP."""
Json: TypeAlias = Any
"""A JSON value: dict, list, str, int, float, bool or None."""


class PassName(StrEnum):
    """Slimming passes, in the order in which they run."""

    WEIGHTS = "weights"
    LIBRARIES = "libraries"
    PRUNE = "prune"
    COMPACT = "compact"
    BYTECODE = "bytecode"
    TRACE = "trace"
    CUT = "cut"
    DEFER = "defer"
    COLD = "cold"
    ARCHIVE = "archive"


class Stage(StrEnum):
    """Stages of a build, in the order in which they run; another attempt begins again at `ask`."""

    RESOLVE = "resolve"
    PLAN = "plan"
    ASK = "ask"
    SLIM = "slim"
    VERIFY = "verify"
    PACKAGE = "package"
    EMIT = "emit"


class Engine(StrEnum):
    """Way in which a model runs in the artifact."""

    NATIVE = "native"
    """By its own framework, or by MLflow."""
    ONNX = "onnx"
    """Compiled to a graph; its framework is not installed."""
    MACHINE_CODE = "machine-code"
    """Compiled to a library; its framework is not installed."""


class Compute(StrEnum):
    """Machines that a Lambda function runs on."""

    ON_DEMAND = "on-demand"
    """AWS's own: an environment has one request at a time."""
    MANAGED_INSTANCES = "managed-instances"
    """EC2 instances of the account that AWS runs: an environment has several requests at once."""


class Tier(StrEnum):
    """Share of MLflow that the artifact carries; tried in this order."""

    NATIVE = "native"
    """Our loader alone; nothing named mlflow is importable."""
    STUB = "stub"
    """Our stand-in for the few mlflow names that a user's class needs."""
    SKINNY = "skinny"
    """mlflow-skinny at the model's own version, loading through mlflow.pyfunc."""


class Shipped(StrEnum):
    """The part of the author's requirements that is installed; tried in this order."""

    SERVING = "serving"
    """The part that serving can need, before all of it."""
    DECLARED = "declared"
    """All of it."""


class Frame(StrEnum):
    """Form in which a model is handed a column-based request."""

    PLAIN = "plain"
    """A dict of column name to an array of our own; neither numpy nor pandas is installed."""
    NUMPY = "numpy"
    """A dict of column name to one-dimensional array; pandas is not installed for it."""
    PANDAS = "pandas"


class Device(StrEnum):
    """Device that a model runs on."""

    CPU = "cpu"
    CUDA = "cuda"


class Weights(StrEnum):
    """Place of the model's large data files."""

    PACKAGE = "package"
    """In what is deployed, as all else."""
    FETCH = "fetch"
    """In object storage, from which each start fetches them."""
    MOUNT = "mount"
    """On a file system that the function mounts."""
    AUTO = "auto"
    """In what is deployed where they fit, else in object storage."""


class Rollout(StrEnum):
    """Way in which a new version takes over the requests of the one before."""

    ALL_AT_ONCE = "all-at-once"
    """Every request at once, after the check."""
    CANARY = "canary"
    """A tenth of the requests, then all."""
    LINEAR = "linear"
    """A tenth of the requests more each minute."""


class InfrastructureTool(StrEnum):
    """Tool that can deploy an artifact in the place of its target's own."""

    TERRAFORM = "terraform"
    CDK = "cdk"


class HostKind(StrEnum):
    """Program that runs a function on its platform, and calls its entry point."""

    LAMBDA = "lambda"
    """AWS's runtime client: an event and a context."""
    WORKER = "azure-worker"
    """Azure's worker library: a function app."""
    SERVER = "server"
    """A server of ours, in a container."""


class Check(StrEnum):
    """Check that a finding is of."""

    BOOT = "boot"
    """The function does not start."""
    BUDGET = "budget"
    CUDA = "cuda"
    ENGINE = "engine"
    """A compiled model does not answer as the registered one."""
    FIT = "fit"
    LINKAGE = "linkage"
    MEMORY = "memory"
    PACKAGE = "package"
    PLATFORM = "platform"
    """The target would refuse the model the same."""
    READ_ONLY = "read-only"
    REPLAY = "replay"
    """The function ends, or answers otherwise than the registered model."""
    SANDBOX = "sandbox"
    """Only this machine's sandbox refused something: nothing is known of the model then."""
    SHADOWING = "shadowing"
    TRIED_BEFORE = "tried before"
    """What an earlier attempt failed on."""

    @property
    def retryable(self) -> bool:
        """True where another attempt could pass: none is allowed more, or links otherwise."""
        return self in {Check.ENGINE, Check.REPLAY, Check.BOOT}

    @property
    def about_size(self) -> bool:
        """True where a larger target may pass it; the model's answers are not in question."""
        return self in {Check.BUDGET, Check.MEMORY, Check.PACKAGE}


class Front(StrEnum):
    """The HTTP front of a function."""

    HTTP_API = "http-api"
    FUNCTION_URL = "function-url"
    REST_API = "rest-api"
    NONE = "none"


class HttpAuth(StrEnum):
    """Proof of identity that an HTTP caller has to bring."""

    IAM = "iam"
    """A request signed with AWS credentials."""
    JWT = "jwt"
    """A token that an issuer of the deployer's choice signed."""
    API_KEY = "api-key"
    """A key of the API's usage plan, in the header `x-api-key`."""
    NONE = "none"
    """Nothing: anyone may call."""

    @property
    def parameter(self) -> str:
        """Return the value of the template's parameter `HttpAuth`."""
        return "AWS_IAM" if self is HttpAuth.IAM else self.name
