"""Azure Functions on the Flex Consumption plan, as a folder that is deployed without a build."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from handlers.events import azure_triggers
from packager import facts
from packager.types import (
    Deployment,
    EventSupport,
    HostKind,
    HttpAuth,
    Program,
    Target,
    Telemetry,
    Tree,
    Weights,
)

NAME: Final = "azure-functions"
_DISTRO: Final = Telemetry(
    requires=("azure-monitor-opentelemetry>=1.8,<2",),
    keep=(
        *("opentelemetry*", "azure_*", "msal*", "msrest*", "cryptography*", "_cffi_backend*"),
        *("cffi*", "jwt*", "pyjwt*", "requests*", "urllib3*", "certifi*", "charset_normalizer*"),
        *("idna*", "oauthlib*", "isodate*", "psutil*", "packaging*", "wrapt*", "asgiref*"),
        "typing_extensions*",
    ),
    trial={
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey="
        "00000000-0000-4000-8000-000000000000;IngestionEndpoint=http://127.0.0.1:9/",
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "PYTHON_ENABLE_OPENTELEMETRY": "true",
    },
)
"""https://learn.microsoft.com/en-us/azure/azure-functions/opentelemetry-howto"""


def target(facts_dir: Path | None = None) -> Target:
    """From Python 3.13 on, the worker's library ships too: the platform runs what the app brings.

    https://learn.microsoft.com/en-us/azure/azure-functions/functions-reference-python
    """
    return Target(
        name=NAME,
        way_out="gpu-container",
        doors=("http",),
        limits=facts.limits(NAME, facts_dir),
        runtimes=facts.runtimes(NAME, facts_dir),
        program=Program(
            host=HostKind.WORKER,
            entrypoint="handlers.azure_functions.app",
            requires=(
                "azure-functions>=1.26",
                "azure-functions-runtime>=1.3; python_version >= '3.13'",
                "msgspec>=0.20",
                "pysimdjson>=7; python_version < '3.14'",
            ),
            handlers=("azure_functions.py", "http/router.py"),
            keep=("azure", "azurefunctions", "azure_functions_runtime", "markupsafe", "werkzeug"),
            telemetry=_DISTRO,
        ),
        deployment=Deployment(
            templates="azure_functions",
            deploy="azd up",
            unattended=("azd up --no-prompt",),
            infra="azure",
            replays=True,
            callers=(HttpAuth.JWT, HttpAuth.API_KEY),
            scripts={"subscribe.sh": frozenset({"blob", "eventgrid"})},
            compared_by_hand=(
                "Azure states no digest of what an app runs: name released-package.zip of the "
                "app's deployment container with --package and its resource id with --app, and "
                "leave --deployed out."
            ),
        ),
        tree=Tree(
            root=PurePosixPath("/home/site/wwwroot"),
            home=PurePosixPath(".python_packages/lib/site-packages"),
            library_path=(),
            reserved=("function_app", "function_app.py"),
            shadows=facts.shadows(NAME, facts_dir),
        ),
        events=EventSupport(
            sources=(*azure_triggers.TRIGGERS, azure_triggers.BATCHES),
            source_modules=PurePosixPath("events/azure_triggers"),
            answering=frozenset({azure_triggers.BATCHES}),
            needs={azure_triggers.BATCHES: ("azure-functions-durable>=1.7,<2",)},
            outputs=azure_triggers.OUTPUTS,
        ),
        weights=facts.weights(
            NAME,
            (Weights.MOUNT,),
            tuple(f"loaders/weights/{name}.py" for name in ("__init__", "download", "mounted")),
            facts_dir,
        ),
    )
