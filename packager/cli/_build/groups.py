"""The options of `packager build`, in the groups that a request has and --help shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from packager.cli import _options as opt
from packager.cli._build import supply_chain_options as so
from packager.cli import _target_options as to
from packager.cli._groups import OptionGroup
from packager.types import (
    BATCH_SOURCES,
    Compute,
    OSV,
    Device,
    Engine,
    EngineOptions,
    EventOptions,
    Front,
    HttpAuth,
    HttpOptions,
    InfrastructureTool,
    ModelOptions,
    OutputOptions,
    ProofOptions,
    Rollout,
    Severity,
    Shipped,
    SlimmingOptions,
    SupplyChainOptions,
    TargetOptions,
    Weights,
)


def read_model(
    *,
    model_uri: opt.Model,
    tracking_uri: opt.TrackingUri = None,
    registry_uri: opt.RegistryUri = None,
    trust_model_index: opt.TrustModelIndex = False,
    upgrade_pins: opt.UpgradePins = False,
    allow_network: opt.AllowNetwork = False,
) -> ModelOptions:
    return ModelOptions(
        uri=model_uri,
        tracking_uri=tracking_uri,
        registry_uri=registry_uri,
        trust_model_index=trust_model_index,
        upgrade_pins=upgrade_pins,
        allow_network=allow_network,
    )


def _read_target(
    *,
    target: to.Target = "aws-lambda",
    python_minor: to.Python = None,
    architecture: to.Arch = "x86_64",
    arm64_python: to.Arm64Python = None,
    memory_mb: to.Memory = None,
    timeout_seconds: to.Timeout = None,
    compute: to.Compute = Compute.ON_DEMAND,
    base_image: to.BaseImage = None,
    device: to.Device = None,
    driver: to.Driver = None,
    rollout: to.Rollout = None,
    emit: to.Emit = None,
    weights: to.Weights = Weights.PACKAGE,
    facts_dir: to.FactsDir = None,
) -> TargetOptions:
    return TargetOptions(
        name=target,
        architecture=architecture,
        arm64_python=arm64_python,
        python_minor=python_minor,
        memory_mb=memory_mb,
        timeout_seconds=timeout_seconds,
        compute=compute,
        base_image=base_image,
        device=None if device is None else Device(device),
        driver=driver,
        rollout=None if rollout is None else Rollout(rollout),
        emit=tuple(InfrastructureTool(each) for each in dict.fromkeys(emit or ())),
        weights=weights,
        facts_dir=facts_dir,
    )


def _read_engine(
    *,
    engine: to.Engine = "auto",
    tier: to.Tier = None,
    rtol: to.Rtol = None,
    atol: to.Atol = None,
) -> EngineOptions:
    kind = None if engine == "auto" else Engine(engine)
    return EngineOptions(kind=kind, tier=tier, rtol=rtol, atol=atol)


def _read_http(
    *,
    front: to.Front = Front.HTTP_API,
    auth: to.Auth = HttpAuth.IAM,
    opentelemetry: to.OpenTelemetry = False,
) -> HttpOptions:
    return HttpOptions(front=front, auth=auth, opentelemetry=opentelemetry)


def _read_events(
    *,
    events: to.Events = None,
    output_to: to.OutputTo = None,
    once: to.Once = False,
    batch: to.Batch = False,
    baseline: to.Baseline = None,
) -> EventOptions:
    """Read each source once, with those that a batch needs."""
    sources = dict.fromkeys([*(events or ()), *(BATCH_SOURCES if batch else ())])
    return EventOptions(
        sources=tuple(sources), output_to=output_to, once=once, batch=batch, baseline=baseline
    )


def _read_proof(
    *,
    example: opt.Example = None,
    rows: opt.Rows = 1000,
    seed: opt.Seed = 0,
    allow_unproven: opt.AllowUnproven = False,
) -> ProofOptions:
    return ProofOptions(example=example, rows=rows, seed=seed, allow_unproven=allow_unproven)


def _read_slimming(
    *,
    passes: opt.Passes = None,
    keep: opt.Keep = None,
    requirements: opt.Requirements = Shipped.SERVING,
    keep_packages: opt.KeepPackage = None,
    trace: opt.Trace = True,
    optimize: opt.Optimize = 0,
) -> SlimmingOptions:
    return SlimmingOptions(
        passes=None if passes is None else _split_names(passes),
        keep=tuple(keep or ()),
        requirements=requirements,
        keep_packages=tuple(keep_packages or ()),
        trace=trace,
        optimize=optimize,
    )


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(stripped for name in text.split(",") if (stripped := name.strip()))


def _read_supply_chain(
    *,
    audit: so.Audit = False,
    require_audit: so.RequireAudit = False,
    audit_severity: so.AuditSeverity = None,
    ignore_vulnerabilities: so.IgnoreVulnerability = None,
    vulnerable_code: so.VulnerableCode = None,
    deny_licenses: so.DenyLicense = None,
    osv_url: so.OsvUrl = None,
    refresh_audit: so.RefreshAudit = False,
) -> SupplyChainOptions:
    return SupplyChainOptions(
        audit=audit,
        require_audit=require_audit,
        audit_severity=None if audit_severity is None else Severity(audit_severity),
        ignore_vulnerabilities=tuple(ignore_vulnerabilities or ()),
        vulnerable_code=tuple(vulnerable_code or ()),
        deny_licenses=tuple(deny_licenses or ()),
        osv_url=osv_url or OSV,
        refresh_audit=refresh_audit,
    )


def _read_output(
    *, out_dir: opt.OutDir = Path("dist"), reuse: opt.Reuse = True, refresh: opt.Refresh = False
) -> OutputOptions:
    return OutputOptions(folder=out_dir, reuse=reuse, refresh=refresh)


Model: TypeAlias = Annotated[ModelOptions, OptionGroup(read_model)]
Target: TypeAlias = Annotated[TargetOptions, OptionGroup(_read_target)]
Compiler: TypeAlias = Annotated[EngineOptions, OptionGroup(_read_engine)]
Http: TypeAlias = Annotated[HttpOptions, OptionGroup(_read_http)]
Events: TypeAlias = Annotated[EventOptions, OptionGroup(_read_events)]
Proof: TypeAlias = Annotated[ProofOptions, OptionGroup(_read_proof)]
Slimming: TypeAlias = Annotated[SlimmingOptions, OptionGroup(_read_slimming)]
SupplyChain: TypeAlias = Annotated[SupplyChainOptions, OptionGroup(_read_supply_chain)]
Output: TypeAlias = Annotated[OutputOptions, OptionGroup(_read_output)]
