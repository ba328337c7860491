"""`nox` runs what CI runs, in environments of their own; `nox -s tests -- -k name` one thing."""

import nox

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "typing", "tests", "handlers"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
OLD_PYTHONS = ["3.8", "3.9"]
"""Images alone have them, for models that were logged under them."""


def sync(session: nox.Session, *groups: str) -> None:
    """Install exactly what uv.lock names."""
    args = [arg for group in groups for arg in ("--group", group)]
    session.run_install(
        "uv",
        "sync",
        "--frozen",
        "--no-default-groups",
        *args,
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
    )


@nox.session
def lint(session: nox.Session) -> None:
    sync(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("python", "tools/house.py")


@nox.session
def typing(session: nox.Session) -> None:
    sync(session, "typing", "test")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    sync(session, "test")
    how = ("-n", "auto", "--dist", "loadfile", "-m", "not slow or few")
    session.run("pytest", *how, *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    sync(session, "test")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def handlers(session: nox.Session) -> None:
    """Only what ships is installed, so that a stray import fails here."""
    session.run_install(
        "uv",
        "sync",
        "--frozen",
        "--no-install-project",
        "--only-group=handlers-aws",
        "--only-group=handlers-azure",
        "--only-group=handlers-container",
        "--only-group=test-core",
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
    )
    session.run("pytest", "tests/handlers", "-m", "not slow or few", env={"PYTHONPATH": "."})


@nox.session(python=OLD_PYTHONS)
def handlers_old(session: nox.Session) -> None:
    """What ships, on Pythons that the packager itself does not run on."""
    session.install("-r", "tests/handlers/old_pythons.txt")
    # Azure has no such Python
    azure = ("tests/handlers/test_azure_functions.py", "tests/handlers/events/test_batches.py")
    left_out = [f"--ignore={each}" for each in azure]
    how = ("-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", "-m", "not slow or few")
    session.run("pytest", "tests/handlers", *how, *left_out, env={"PYTHONPATH": "."})


@nox.session
def mutation(session: nox.Session) -> None:
    """An hour and more; a part with `-- --sample 20 packager/pipeline/answers/spread.py`."""
    sync(session, "test")
    session.run("python", "bench/mutation.py", *session.posargs, env={"PYTHONPATH": "."})
