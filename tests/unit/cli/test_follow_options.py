"""Options of `packager follow` that cannot be meant are refused before anything is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager import cli
from packager.errors import ConfigurationError

RUN = CliRunner()
MODEL = "models:/churn@champion"


def follow(*words: str, out: Path) -> tuple[int, str]:
    done = RUN.invoke(cli.app, ["follow", *words, "-o", str(out / "followed")])
    if isinstance(done.exception, ConfigurationError):
        return done.exception.exit_code, str(done.exception)
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("models:/churn/3", "--deploy-command", "true"), "names no alias"),
        ((MODEL,), "Say what deploys"),
        ((MODEL, "--deploy-command", "true", "--interval", "0"), "0 is not between 1 and 86,400"),
        ((MODEL, "--deploy-command", "true", "--interval", "nan"), "nan is not between"),
        ((MODEL, "--deploy-command", "true", "--listen", "80"), "write HOST:PORT"),
        (
            (MODEL, "--deploy-command", "true", "--run-once", "--listen", "127.0.0.1:0"),
            "waits for no delivery",
        ),
        ((MODEL, "--deploy-command", "true", "--target", "auto"), "Name one target"),
        ((MODEL, "--deploy-command", "true", "--target", "azur"), "Did you mean"),
        ((MODEL, "--deploy-command", "true", "--tag", "a b"), "is no name of a place"),
        (
            (MODEL, "--deploy-command", "true", "--require-signed-by", "a.pub"),
            "Name the private key with --sign-key",
        ),
        ((MODEL, "--deploy-command", "true", "--sign-key", "none.pem"), "none.pem cannot be read"),
        ((MODEL, "--deploy-command", "true", "--min-rows", "9"), "--min-rows has no effect"),
        (
            (MODEL, "--deploy-command", "true", "--require-equivalence", "-1"),
            "neither bit-equal nor the largest difference",
        ),
        (
            (MODEL, "--deploy-command", "true", "--listen", "127.0.0.1:0"),
            "Set PACKAGER_WEBHOOK_SECRET",
        ),
    ],
)
def test_it_is_refused_with_what_to_do(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PACKAGER_WEBHOOK_SECRET", raising=False)
    code, text = follow(*words, out=tmp_path)

    assert code == 2
    assert said in text
    assert not (tmp_path / "followed").exists()


def test_each_step_is_a_line_of_json(tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path}/none.db"
    words = [*("follow", MODEL, "--deploy-command", "true", "--run-once", "--json")]
    done = RUN.invoke(
        cli.app, [*words, "--tracking-uri", nowhere, "-o", str(tmp_path / "followed")]
    )
    started, failed = map(json.loads, done.stdout.splitlines())

    assert done.exit_code == 4
    assert (started["event"], started["deploys"]) == ("started", "true")
    assert (failed["event"], failed["stage"], failed["exit_code"]) == ("failed", "registry", 4)
    assert "There is no registry" in failed["message"]
