"""Every line that a page has its readers type is read by the program that it starts.

test_readme.py parses packager's own lines, and tests/integration/test_guides.py types them. Those
of other programs are parsed here: by the program's own parser where it is in Python, by its own
--help where it is installed. NOT_PARSED has the rest, each with its reason.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import pytest
import typer
from mlflow.exceptions import MlflowException

from packager.deployments._parameters import (
    instance_parameters,
    source_parameters,
    template_parameters,
)
from packager.deployments._settings import parse
from packager.environments import uv_command
from tests import bicep
from tests.shell_lines import (
    PAGES,
    ROOT,
    Command,
    list_blocks,
    list_commands,
    list_lines,
    list_spans,
    split_line,
)
from tests.unit.test_readme import parse as parse_packager
from tools.reference.pages import read_variables

NOT_PARSED: Final = {
    "apt-get": "installs a package of Debian, as root",
    "az": "Azure's command asks an account; infra/ is read by test_infra_azure.py",
    "azd": "Azure's developer command asks an account; test_app.py does what it does",
    "func": "Azure's tool needs Node; test_worker.py boots the app that it would publish",
    "npx": "fetches CDK from npm; tests of the emitted app are in tests/unit/pipeline/emit",
    "nvidia-smi": "needs a GPU",
    "serve": "Ray's command; test_infra_ray.py reads the script that it starts",
    "spark-submit": "needs Spark and Java; test_batch_engines.py starts the script that it names",
    ".ci/run": "runs these tests",
}
"""Programs that no test starts or reads the help of, and what stands in their place."""
IN_A_SHELL: Final = {"cd", "cp", "echo", "export", "mkdir", "sed", "tar", "test"}
OF_OTHER_TESTS: Final = {
    "make": "test_readme.py",
    "packager": "test_readme.py and tests/integration/test_guides.py",
    "sam": "tests/integration/aws/test_typed_sam.py asks SAM's own parser",
}
OF_AWS: Final = {
    ("cloudformation", "deploy"): {
        *("--template-file", "--stack-name", "--capabilities", "--parameter-overrides"),
        *("--s3-bucket", "--role-arn", "--no-fail-on-empty-changeset"),
    },
    ("s3", "rm"): {"--recursive"},
    ("s3", "cp"): {"--recursive"},
}
"""Commands that AWS's command line has beside the operations of its services."""
OF_READERS: Final = {"FUNCTION_KEY": "docs/guides/rollout.md"}
"""Variables that a page has its readers set for its own next line."""


def read_help(*argv: str) -> str:
    """Return what a program says of its options; skips the test where it is not installed."""
    program = shutil.which(argv[0])
    if program is None:
        pytest.skip(f"{argv[0]} is not installed")
    return _read_help(program, *argv[1:])


@functools.cache
def _read_help(*argv: str) -> str:
    # one of a version manager's that is not there for this Python says so, and ends with an error
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def assert_options(command: Command, words: tuple[str, ...], known: str) -> None:
    for word in words:
        if re.match("--?[A-Za-z]", word):
            option = word.partition("=")[0]
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known), (option, command)


def check_docker(command: Command) -> None:
    words = command.words[1:]
    if words[0] == "run":
        flags = {"--rm", "--read-only", "--no-healthcheck", "--privileged", "-d", "-i", "-t"}
        at = 1
        while words[at:] and words[at].startswith("-"):
            at += 1 if words[at] in flags or "=" in words[at] else 2
        image, *rest = words[at:] or ("",)
        if image == "packager" and rest:
            parse_packager(rest[0], rest[1:])
        words = words[:at]
    assert_options(command, words, read_help("docker", words[0], "--help"))


def check_mlflow(command: Command) -> None:
    """Read a line as MLflow does, and its settings as the plugin does."""
    group, *words = command.words[1:]
    if group == "server":  # the whole command line takes seconds to import
        return
    module = importlib.import_module({"db": "mlflow.db"}.get(group, f"mlflow.{group}.cli"))
    found = module.commands
    if isinstance(found, click.Group) and words and words[0][0].isalpha():
        name, *words = words
        found = found.commands[name]
    if group != "deployments" or not command.is_whole:
        assert_options(command, tuple(words), " ".join(o for p in found.params for o in p.opts))
        return
    context = found.make_context(group, list(words))
    settings = dict(each.split("=", 1) for each in context.params.get("config") or ())
    # keys that a page names are not here
    settings.pop("require_signed_by", None)
    parse(settings, "aws-lambda")


def check_aws(command: Command) -> None:
    service, operation, *words = command.words[1:]
    options = {word for word in words if word.startswith("--")}
    if (service, operation) in OF_AWS:
        assert options <= OF_AWS[service, operation] | {"--region"}, command
        return
    from botocore.session import get_session

    service = {"deploy": "codedeploy", "s3api": "s3"}.get(service, service)
    model = get_session().get_service_model(service)
    names = {_hyphenate(each): each for each in model.operation_names}
    assert operation in names, command
    shape = model.operation_model(names[operation]).input_shape
    assert shape is not None, command
    known = {f"--{_hyphenate(each)}" for each in shape.members}
    known |= {f"--no-{each[2:]}" for each in known}
    general = {"--query", "--output", "--cli-input-json", "--region"}
    assert options <= known | general, command
    if command.is_whole and "--cli-input-json" not in options:
        assert {f"--{_hyphenate(each)}" for each in shape.required_members} <= options, command


def _hyphenate(name: str) -> str:
    from botocore import xform_name

    return str(xform_name(name, "-"))


def check_kubectl(command: Command) -> None:
    words = command.words[1:]
    if words[0] == "-n":
        words = words[2:]
    general = read_help("kubectl", "options")
    assert_options(command, words, read_help("kubectl", words[0], "--help") + general)


def check_terraform(command: Command) -> None:
    assert_options(command, command.words[2:], read_help("terraform", command.words[1], "-help"))


def check_openssl(command: Command) -> None:
    known = read_help("openssl", command.words[1], "-help")
    assert_options(command, command.words[2:], known)


def check_curl(command: Command) -> None:
    assert_options(command, command.words[1:], read_help("curl", "--help", "all"))


def check_uv(command: Command) -> None:
    words = command.words[1:]
    names = 2 if words[0] in {"tool", "python", "pip"} else 1
    uv = str(uv_command.path())
    # what follows the script's name is not uv's
    assert_options(command, words[names:], _read_help(uv, *words[:names], "--help"))
    named = [each for each in words[names:] if each.startswith((".", "serverless-model-packager"))]
    for extra in (each for one in named for each in re.findall(r"\[([\w,-]+)\]", one)):
        assert {*extra.split(",")} <= {*list_extras()}, command


def check_pip(command: Command) -> None:
    program = [sys.executable, "-m", "pip", command.words[1], "--help"]
    assert_options(command, command.words[2:], _read_help(*program))


def check_python(command: Command) -> None:
    _, script, *words = command.words
    if script == "-m":
        assert importlib.util.find_spec(words[0]), command
        return
    path = Path(script)
    found = sorted((ROOT / "templates").rglob(path.name)) or [ROOT / path]
    assert found[0].is_file() or path.name == script, command
    if found[0].name == "replay_check.py":
        answer = found[0].read_text(encoding="utf-8")
        assert_options(command, tuple(words), answer)


def check_script(command: Command) -> None:
    """A script of the checkout takes the arguments and the variables that the line has."""
    script = ROOT / command.program.removeprefix("CHECKOUT/")
    assert os.access(script, os.X_OK), command
    text = script.read_text(encoding="utf-8")
    usage = text.splitlines()[1].partition(": ")[0].split()[1:]
    assert len(usage) == len(command.words), (usage, command)
    for each in command.variables:
        assert each.partition("=")[0] in text, command


def check_shell(command: Command) -> None:
    if command.program == "export":
        for each in command.words[1:]:
            name = each.partition("=")[0]
            assert name in list_variables() or OF_READERS.get(name) == command.page, command
    else:
        assert shutil.which(command.program) or command.program == "cd", command


def check_sudo(command: Command) -> None:
    assert command.words[1] in NOT_PARSED, command


CHECKS: Final[Mapping[str, Callable[[Command], None]]] = {
    "aws": check_aws,
    "curl": check_curl,
    "docker": check_docker,
    "kubectl": check_kubectl,
    "mlflow": check_mlflow,
    "openssl": check_openssl,
    "pip": check_pip,
    ".venv/bin/pip": check_pip,
    "python": check_python,
    "python3": check_python,
    "sudo": check_sudo,
    "terraform": check_terraform,
    "uv": check_uv,
    **dict.fromkeys(IN_A_SHELL, check_shell),
}
OF_SPANS: Final = frozenset({*CHECKS, *NOT_PARSED} - IN_A_SHELL - {"serve"})


@functools.cache
def list_variables() -> frozenset[str]:
    of_uv = _read_help(str(uv_command.path()), "pip", "install", "--help")
    return frozenset({*read_variables(), *re.findall(r"\bUV_[A-Z_]+", of_uv), "UV_NO_INDEX"})


@functools.cache
def list_extras() -> tuple[str, ...]:
    import tomllib

    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return tuple(table["project"]["optional-dependencies"])


def list_all() -> Iterator[Command]:
    for page in PAGES:
        yield from list_commands(page)
        yield from list_spans(page, OF_SPANS)


def is_script(command: Command) -> bool:
    return command.program.startswith("CHECKOUT/")


ALL: Final = tuple(list_all())


def test_every_line_starts_a_program_that_is_known() -> None:
    known = {*CHECKS, *NOT_PARSED, *OF_OTHER_TESTS}
    assert {
        each.words for each in ALL if each.program not in known and not is_script(each)
    } == set()
    assert len(ALL) > 300


def test_what_is_not_parsed_is_on_a_page() -> None:
    programs = {each.program for each in ALL} | {each.words[1] for each in ALL if each.words[1:]}
    assert {*NOT_PARSED, *CHECKS, *OF_OTHER_TESTS} - programs <= {"test", "pip"}


@pytest.mark.parametrize("program", [*sorted(CHECKS), "CHECKOUT"])
def test_the_lines_of_a_program_are_ones_that_it_takes(program: str) -> None:
    for each in ALL:
        if is_script(each) if program == "CHECKOUT" else each.program == program:
            (check_script if program == "CHECKOUT" else CHECKS[program])(each)


def test_no_page_of_guides_goes_without_a_line_that_is_read() -> None:
    """A page whose lines nobody reads would pass whatever it said."""
    read = {
        each.page
        for each in ALL
        if each.program not in NOT_PARSED and each.program not in IN_A_SHELL
    }
    guides = {page for page in PAGES if page.startswith("docs/guides/")}
    assert guides - read == set()


def test_a_block_has_one_language() -> None:
    """A shell's lines and Python's in one block are copied as one."""
    for page in PAGES:
        for block in list_blocks((ROOT / page).read_text(encoding="utf-8")):
            assert not re.search(
                r"(?m)^(packager|export|sam|docker) .*(\n.*)*^(import|from) ", block
            ), page


def list_overrides(program: str, option: str) -> Iterator[tuple[Command, str]]:
    for each in ALL:
        if each.program == program and option in each.words:
            for word in each.words[each.words.index(option) + 1 :]:
                if word.startswith("-"):
                    break
                yield each, word


def test_the_parameters_of_sam_are_the_templates() -> None:
    known = {*template_parameters(), *source_parameters(), *instance_parameters()}
    given = list(list_overrides("sam", "--parameter-overrides"))
    assert len(given) > 15
    for command, word in given:
        name, sign, _ = word.partition("=")
        assert not sign or name in known, command


def test_the_parameters_of_cloudformation_are_its_files() -> None:
    given = list(list_overrides("aws", "--parameter-overrides"))
    assert len(given) > 8
    for command, word in given:
        file = command.words[command.words.index("--template-file") + 1]
        text = (ROOT / command.page).with_name(file).read_text(encoding="utf-8")
        parameters = re.findall(r"(?m)^  (\w+):", text.partition("\nParameters:\n")[2])
        assert word.partition("=")[0] in parameters, command


def test_the_parameters_of_bicep_are_its_files() -> None:
    declared = bicep.read(ROOT / "infra" / "gpu" / "container-app.bicep")["parameters"]
    given = [each for each in list_overrides("az", "-p") if "=" in each[1]]
    assert len(given) > 2
    assert {word.partition("=")[0] for _, word in given} <= {*declared}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("docker run --remove churn", "docker"),
        ("docker run --rm packager build models:/m/1 --engine onxn", "docker"),
        (
            "mlflow deployments create -t aws-lambda --name churn -m models:/m/1 -C memroy=1",
            "mlflow",
        ),
        ("mlflow deployments make -t aws-lambda", "mlflow"),
        ("aws lambda delete-function --qualifier 3", "aws"),
        ("aws cloudformation describe-stacks --stack churn", "aws"),
        ("kubectl apply --file a.yaml --name models", "kubectl"),
        ("terraform apply -vars a=1", "terraform"),
        ("curl --heading a https://a", "curl"),
        ("uv tool install --with-all mlflow serverless-model-packager", "uv"),
        ("uv tool install 'serverless-model-packager[azure]'", "uv"),
        ("export PACKAGER_CASHE=1", "export"),
        ("CHECKOUT/infra/gpu/kserve/rollout.sh dist/churn", "CHECKOUT"),
    ],
)
def test_a_line_that_no_program_takes_is_noticed(line: str, kind: str) -> None:
    (command,) = split_line("page", line)
    check: Any = check_script if kind == "CHECKOUT" else CHECKS[kind]
    wrong = (AssertionError, KeyError, click.ClickException, typer.BadParameter, MlflowException)
    with pytest.raises(wrong):
        check(command)


def test_lines_are_read_as_a_shell_reads_them() -> None:
    typed = "    (cd a && sam deploy \\\n      -g) > b  # c\n    X=1 run '&&'\n"
    text = f"You type:\n\n{typed}\n    import a\n"
    (block,) = list_blocks(text)
    assert block.startswith("(cd a")
    lines = list(list_lines(text.replace("\n    import a\n", "\nThen:\n\n    import a\n")))
    assert lines == ["(cd a && sam deploy -g) > b  # c", "X=1 run '&&'"]
