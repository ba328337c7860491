"""The pages of docs/ that are made whole of what the code, the facts and the benchmarks say."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typer
from prometheus_client import CollectorRegistry

from handlers.container_server.metrics import Metrics
from packager import cli, targets
from packager.cli._common import join_lines
from packager.cli._configuration.options import TARGET, list_options, name_kind, takes_several
from packager.cli._configuration.starter import make_schema
from packager.cli._panels import Panel
from packager.deployments._parameters import (
    Declared,
    instance_parameters,
    source_parameters,
    template_parameters,
)
from packager.deployments._settings import AWS_OPTIONS, BUILD_OPTIONS, LOCAL_OPTIONS
from tools.reference import python_api
from tools.reference.diagrams import list_pictures
from tools.reference.exit_codes import make_exit_codes
from tools.reference.markdown import MADE, join_parts, make_table, open_page

ROOT: Final = Path(__file__).resolve().parents[2]
_HERE: Final = Path(__file__).parent


def make_command_line() -> str:
    """Every command, with its options in the panels that --help has."""
    top: Any = typer.main.get_command(cli.app)
    parts = [
        open_page(
            "Command line", "Each command with its arguments and options. `--help` shows the same."
        )
    ]
    for name, command in _list_commands(top, "packager"):
        usage = " ".join(map(_show_argument, _arguments(command)))
        parts.append(f"## {name}\n\n    {name} {usage + ' ' if usage else ''}[OPTIONS]")
        parts.append(join_lines(command.help or ""))
        parts += _list_panels(command)
    return join_parts(parts)


def make_configuration() -> str:
    """Every key that a build in packager.toml may have."""
    columns = ("key", "value", "meaning")
    rows = [("`model`", "string, required", "Address of the model, or a folder from the file.")]
    for key, option in list_options(_find_build()).items():
        kind = name_kind(option)
        rows.append(
            (
                f"`{key}`",
                f"{kind} or list" if takes_several(option, key) or key == TARGET else kind,
                option.help or "",
            )
        )
    about = "Tables of a target's own options, `[build.NAME.targets.TARGET]`: every key but `model`"
    rows.append(("`targets`", "table", f"{about} and `target`."))
    return join_parts(
        [
            open_page(
                "packager.toml",
                "Every key of `[build.NAME]`, and of `[defaults]` without `model` and `targets`. "
                "[Keep options in a file](../guides/configuration-file.md) says how you write one; "
                "[packager.schema.json](../packager.schema.json) is its JSON schema.",
            ),
            make_table(columns, rows),
        ]
    )


def make_configuration_schema() -> str:
    """The JSON schema of packager.toml."""
    return json.dumps(make_schema(_find_build()), indent=2, ensure_ascii=False) + "\n"


def _find_build() -> Any:
    top: Any = typer.main.get_command(cli.app)
    return top.get_command(typer.Context(top), "build")


def make_python_api() -> str:
    """Every name that `import packager` offers, and every setting of a request."""
    return python_api.make_page({each.name: each.help or "" for each in _find_build().params})


def make_variables() -> str:
    """Every environment variable, by where it is read."""
    parts = [
        open_page(
            "Environment variables",
            "Each variable that you can set, with its default and its unit. You need none of them.",
        )
    ]
    described = read_variables()
    for group, title in read_groups().items():
        parts.append(f"## {title}")
        parts.append(
            make_table(
                ("variable", "default", "unit", "meaning"),
                (
                    (f"`{name}`", each["default"], each["unit"], each["meaning"])
                    for name, each in described.items()
                    if each["group"] == group
                ),
            )
        )
    return join_parts(parts)


def make_parameters() -> str:
    """Every parameter of an emitted template, of AWS and of Azure."""
    columns = ("parameter", "default", "values", "meaning")
    return join_parts(
        [
            open_page(
                "Template parameters",
                "What you can set when you deploy.",
            ),
            "## AWS",
            (
                "Set them with `sam deploy --parameter-overrides NAME=VALUE`, or with "
                "`-C NAME=VALUE` in `mlflow deployments`. The build writes each default that it "
                "decides into your template."
            ),
            make_table(columns, _describe_parameters(template_parameters())),
            "### On managed instances",
            (
                "A build with `--compute managed-instances` has these. It has none of those that "
                "keep environments warm, reserve them or start them from a snapshot. An image for "
                "a GPU has `AcceleratorMemoryGb` too: 3, 6, 12, 16, 24 or 48."
            ),
            make_table(columns, _describe_parameters(instance_parameters())),
            "### With event sources",
            make_table(columns, _describe_parameters(source_parameters())),
            "## Azure",
            "Set them in `infra/main.parameters.json` of your artifact.",
            make_table(columns, _read_bicep(ROOT / "infra" / "azure" / "main.bicep")),
        ]
    )


def make_settings() -> str:
    """Every setting of `mlflow deployments`."""
    columns = ("setting", "meaning")
    return join_parts(
        [
            open_page(
                "MLflow deployments settings",
                "What you can set with `-C name=value` in `mlflow deployments`. Every "
                "[parameter of the template](template-parameters.md#aws) is a setting too.",
            ),
            "## AWS",
            make_table(columns, _describe_settings(AWS_OPTIONS)),
            "## Build",
            "These are the options of [`packager build`](command-line.md#packager-build).",
            make_table(columns, _describe_settings(BUILD_OPTIONS)),
            "## Local run",
            make_table(columns, _describe_settings(LOCAL_OPTIONS)),
        ]
    )


def make_metrics() -> str:
    """Every metric of a function and of a container."""
    described = read_metrics()
    columns = ("metric", "unit", "meaning")
    return join_parts(
        [
            open_page("Metrics", "What your artifact measures, by where you read it."),
            "## Lambda and Azure Functions",
            (
                "On Lambda each call writes one line in CloudWatch's embedded metric format. The "
                "namespace is `ModelServing`. The dimensions are `service`, `model` and `version`. "
                "On Azure, with `--opentelemetry`, the names are in lower case: `model_latency`."
            ),
            make_table(
                columns, ((f"`{name}`", *each) for name, each in described["function"].items())
            ),
            "## Drift",
            (
                "You get these if your artifact has a [baseline](../events.md#drift). The first "
                "four have the dimension `column` too."
            ),
            make_table(
                columns, ((f"`{name}`", *each) for name, each in described["drift"].items())
            ),
            "## Containers",
            "You read these in Prometheus's text format at `/metrics`.",
            make_table(("metric", "kind", "labels", "meaning"), _list_container_metrics()),
        ]
    )


def make_evidence() -> str:
    """Every field of evidence.json."""
    schema = json.loads((ROOT / "docs" / "evidence.schema.json").read_text(encoding="utf-8"))
    return join_parts(
        [
            open_page(
                "evidence.json",
                "What the build proved, field by field. "
                "[evidence.schema.json](../evidence.schema.json) is the JSON schema.",
            ),
            make_table(("field", "type", "meaning"), _list_fields(schema, schema["$defs"], "")),
        ]
    )


def make_limits() -> str:
    """Every limit of every target, with its source."""
    limits = {name: targets.load(name).limits for name in targets.TARGETS}
    rows = {
        "unpacked, most": lambda each: _show_bytes(each.unzipped_bytes),
        "request, most": lambda each: _show_bytes(each.request_bytes),
        "answer, most": lambda each: _show_bytes(each.response_bytes),
        "memory": lambda each: f"{each.memory_mb[0]:,} to {each.memory_mb[1]:,} MB",
        "one answer, longest": lambda each: f"{each.timeout_seconds:,} s",
        "start, longest": lambda each: f"{each.init_seconds:g} s",
        "source": lambda each: f"[as of {each.as_of}]({each.source})",
    }
    return join_parts(
        [
            open_page("Limits", "What your artifact must fit, and what packager does not do."),
            "## Of the platforms",
            (
                "A build checks each of these before you deploy. `--facts-dir` overrides one that "
                "has changed."
            ),
            make_table(
                ("", *limits), ([name, *map(show, limits.values())] for name, show in rows.items())
            ),
            (_HERE / "limits.md").read_text(encoding="utf-8").strip(),
        ]
    )


def make_comparisons() -> str:
    """The text of comparisons.md beside this module, with tables of the last benchmarks."""
    text = (_HERE / "comparisons.md").read_text(encoding="utf-8")

    def take(found: re.Match[str]) -> str:
        name, *columns = found[1].split("; ")
        return _take_columns(ROOT / "bench" / "results" / name, columns)

    return f"{MADE}\n\n" + re.sub(r"\{\{(.+)\}\}", take, text)


def _take_columns(path: Path, columns: Sequence[str]) -> str:
    """Return those columns of the first table in a page that has them all."""
    header: list[str] = []
    rows: list[list[str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [each.strip() for each in line.strip("|").split("|")]
        if not line.startswith("|"):
            if rows:
                break
            header = []
        elif not header:
            header = cells if {*columns} <= {*cells} else []
        elif set(line) - set("|-: "):
            rows.append([cells[header.index(each)] for each in columns])
    if not rows:
        raise LookupError(f"{path.name} has no table with {columns}: correct comparisons.md")
    return make_table(columns, rows)


def _show_bytes(count: int) -> str:
    """Platforms count in the one way or the other: whichever comes out even is theirs."""
    if count % 2**20 == 0:
        return f"{count // 2**20:,} MB"
    return f"{count / 1e9:g} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def read_variables() -> dict[str, dict[str, str]]:
    described: dict[str, dict[str, str]] = tomllib.loads(_read("variables.toml"))
    described.pop("groups")
    return described


def read_groups() -> dict[str, str]:
    groups: dict[str, str] = tomllib.loads(_read("variables.toml"))["groups"]
    return groups


def read_metrics() -> dict[str, dict[str, tuple[str, str]]]:
    described: dict[str, dict[str, tuple[str, str]]] = tomllib.loads(_read("metrics.toml"))
    return described


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _list_commands(group: Any, path: str) -> Iterable[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _list_commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _arguments(command: Any) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "argument"]


def _show_argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _list_panels(command: Any) -> Iterable[str]:
    if arguments := _arguments(command):
        rows = ((f"`{_show_argument(each)}`", _show_default(each), each.help) for each in arguments)
        yield make_table(("argument", "default", "meaning"), rows)
    options = [each for each in command.params if each.param_type_name == "option"]
    for panel in [*Panel, None]:
        shown = [
            (_show_option(each), _show_default(each), each.help)
            for each in options
            if each.rich_help_panel == panel and each.name != "help"
        ]
        if shown:
            yield make_table((str(panel or "Options"), "default", "meaning"), shown)


def _show_option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    value = option.metavar or f"<{option.type_descriptor.annotation.__name__.lower()}>"
    return f"{names} `{value}`"


def _show_default(option: Any) -> str:
    if option.required:
        return "required"
    default = option.default
    if isinstance(option.show_default, str):
        return f"`{option.show_default}`"
    if isinstance(default, bool):
        return "on" if default else "off"
    if default is None or default == []:
        return ""
    return f"`{getattr(default, 'value', default)}`"


def _describe_parameters(declared: Declared) -> Iterable[tuple[str, str, str, str]]:
    for name, spec in declared.items():
        default = "required" if "Default" not in spec else _show_value(spec["Default"])
        yield f"`{name}`", default, _show_range(spec), f"{spec['Description']}."


def _show_value(value: object) -> str:
    if value is None:
        return "*by the build*"
    return f"`{value}`" if value != "" else "empty"


def _show_range(spec: Mapping[str, Any]) -> str:
    if allowed := spec.get("AllowedValues"):
        return ", ".join(f"`{value}`" for value in allowed)
    least, most = spec.get("MinValue"), spec.get("MaxValue")
    if least is None and most is None:
        return ""
    return f"at least {least}" if most is None else f"{least} to {most}"


_FROM_FILE: Final = "from `main.parameters.json`"
_PARAMETER: Final = re.compile(
    r"@description\('(?P<meaning>[^\n]*)'\)\n(?P<rules>(?:@\w+\([^\n]*\)\n)*)"
    r"param (?P<name>\w+) \w+(?: = (?P<default>.+))?"
)


def _read_bicep(path: Path) -> Iterable[tuple[str, str, str, str]]:
    for found in _PARAMETER.finditer(path.read_text(encoding="utf-8")):
        default = found["default"]
        rules = dict(re.findall(r"@(\w+)\((.*)\)", found["rules"]))
        listed = re.finditer(r"'([^']*)'|([\w.]+)", rules.get("allowed", ""))
        allowed = [text or plain for text, plain in (each.groups() for each in listed)]
        spec = {"AllowedValues": allowed, "MinValue": rules.get("minValue")}
        spec["MaxValue"] = rules.get("maxValue")
        shown = _FROM_FILE if default is None else _show_value(default.strip("'"))
        yield f"`{found['name']}`", shown, _show_range(spec), f"{found['meaning']}."


def _describe_settings(settings: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((f"`{name}`", f"{text}.") for name, text in settings.items())


class _Named:
    """Stands for a manifest: the names alone of what is served."""

    model_name, model_version, digest = "model", "1", ""


def _list_container_metrics() -> Iterable[tuple[str, str, str, str]]:
    registry: CollectorRegistry = Metrics(_Named(), ["cpu"])._registry  # type: ignore[arg-type]  # noqa: SLF001
    for collector in registry._collector_to_names:  # noqa: SLF001 - in the order of definition
        labels = ", ".join(f"`{each}`" for each in getattr(collector, "_labelnames", ()))
        for each in getattr(collector, "describe", list)():
            suffix = {"counter": "_total", "info": "_info"}.get(each.type, "")
            yield f"`{each.name}{suffix}`", each.type, labels, f"{each.documentation}."
    source = inspect.getsource(inspect.getmodule(Metrics) or Metrics)
    for name, text in re.findall(r'GaugeMetricFamily\(\s*"(\w+)", "([^"]+)"', source):
        yield f"`{name}`", "gauge", "`gpu`", f"{text}."


def _list_fields(
    schema: Mapping[str, Any], shared: Mapping[str, Any], path: str
) -> Iterable[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        full = f"{path}{name}"
        inner, kind = _read_type(field, shared)
        optional = "" if name in schema.get("required", ()) else ", optional"
        yield f"`{full}`", f"{kind}{optional}", field.get("description", "")
        yield from _list_fields(inner, shared, f"{full}[]." if kind == "list" else f"{full}.")


def _read_type(
    field: Mapping[str, Any], shared: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str]:
    """Return what lies in a field, and its type in words."""
    if reference := field.get("$ref"):
        return _read_type(shared[reference.rpartition("/")[2]], shared)
    if "const" in field:
        return {}, f"`{field['const']}`"
    if "enum" in field:
        return {}, ", ".join(f"`{value}`" for value in field["enum"])
    if "oneOf" in field:
        kinds = [_read_type(each, shared)[1] for each in field["oneOf"]]
        return {}, " or ".join(sorted(kinds, key="null".__eq__))
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    words = {
        "array": "list",
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
    }
    inner = field.get("items", {}) if "array" in kinds else field
    return inner, " or ".join(words.get(kind, kind) for kind in kinds)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "reference/command-line.md": make_command_line,
    "reference/packager-toml.md": make_configuration,
    "packager.schema.json": make_configuration_schema,
    "reference/python-api.md": make_python_api,
    "reference/environment-variables.md": make_variables,
    "reference/template-parameters.md": make_parameters,
    "reference/deployments-settings.md": make_settings,
    "reference/metrics.md": make_metrics,
    "reference/evidence.md": make_evidence,
    "reference/exit-codes.md": make_exit_codes,
    "support/limits.md": make_limits,
    "support/comparisons.md": make_comparisons,
    **list_pictures(),
}
