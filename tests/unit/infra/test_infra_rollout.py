"""Rollouts of containers and of Azure apps: the check comes first, and traffic moves only after it.

The scripts run as they are. Programs of the same names stand for kubectl, gcloud and az; each
writes down what it was asked.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from packager.system import resources
from tests.unit.infra.test_infra_gpu import SERVER, inference_service, validate

GPU = resources.INFRA / "gpu"
IMAGE = f"registry.example.org/churn@sha256:{'ab' * 32}"
START = """#!/bin/sh
exec {python} -IS {program} "$0" "$@"
"""
"""A path with a space in it cannot stand after `#!`."""
STAND_IN = """import json, os, signal, sys
home = os.environ["HOME_OF_TEST"]
name, arguments = os.path.basename(sys.argv[1]), sys.argv[2:]
text = sys.stdin.read() if arguments[-2:] == ["-f", "-"] else ""
if "replace" in arguments:
    text = open(arguments[arguments.index("replace") + 1]).read()
first, last = map(int, os.environ["FAILS"].split("-"))
path = f"{home}/asked.jsonl"
number = len(open(path).readlines()) + 1 if os.path.exists(path) else 1
fails = first <= number <= last or (arguments[-2:] == ["-f", "-"] and not text)
with open(path, "a") as file:
    asked = {"name": name, "arguments": arguments, "text": text, "fails": fails}
    file.write(json.dumps(asked) + "\\n")
if fails and os.environ.get("INTERRUPTS"):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.killpg(0, signal.SIGINT)
    sys.exit(130)
if fails:
    sys.exit(f"{name}: the connection was lost")
answers = json.load(open(f"{home}/answers.json"))
line = " ".join([name, *arguments])
if "--dry-run=client" in line:
    print("kind: Dry")
for number, (part, given) in enumerate(answers):
    if part in line:
        # each answer but the last is given once
        print(given[0])
        answers[number][1] = given[1:] or given
        with open(f"{home}/answers.json", "w") as file:
            json.dump(answers, file)
        break
"""
CHECK = """import json, os, sys
names = ("REPLAY_INVOKER", "REPLAY_TOKEN")
print(json.dumps({"argv": sys.argv[1:], "secrets": [os.environ.get(name) for name in names]}))
sys.exit(int(os.environ["CHECK_ENDS_WITH"]))
"""


class _Shell:
    """A script of infra/ with stand-ins on its PATH, and an artifact that has recorded requests."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.artifact = home / "artifact with a blank"
        (self.artifact / "replay").mkdir(parents=True)
        (self.artifact / "replay" / "replay.jsonl").write_text("{}\n")
        (self.artifact / "replay" / "replay_check.py").write_text(CHECK)
        (home / "bin").mkdir()
        program = home / "stand_in.py"
        program.write_text(STAND_IN)
        for name in ("kubectl", "gcloud", "az"):
            path = home / "bin" / name
            words = {"python": shlex.quote(sys.executable), "program": shlex.quote(str(program))}
            path.write_text(START.format(**words))
            path.chmod(0o755)
        # one that a manager of versions puts first on PATH is a shell script of its own
        python = home / "bin" / "python3"
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -ES "$@"\n')
        python.chmod(0o755)

    def run(
        self,
        script: Path,
        *words: str,
        answers: dict[str, list[str]] | None = None,
        passes: bool = True,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        (self.home / "answers.json").write_text(json.dumps([*(answers or {}).items()]))
        given = {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "HOME_OF_TEST": str(self.home),
            "POLL_SECONDS": "0",
            "CHECK_ENDS_WITH": "0" if passes else "1",
            "FAILS": "0-0",
        }
        return subprocess.run(
            ["sh", script, *words],
            env={**given, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=True,
        )

    @property
    def asked(self) -> list[dict[str, Any]]:
        path = self.home / "asked.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def list_lines(self, *words: str) -> list[str]:
        """Lines that were asked, of those that have all these words."""
        lines = [" ".join([each["name"], *each["arguments"]]) for each in self.asked]
        return [line for line in lines if all(word in line for word in words)]


@pytest.fixture
def shell(tmp_path: Path) -> _Shell:
    return _Shell(tmp_path)


ROLLOUTS = {
    name: GPU / name / "rollout.sh" for name in ("cloud-run", "kserve", "gateway", "container-apps")
}
MOVES = {
    "container-apps": "model--2=10",
    "cloud-run": "update-traffic",
    "kserve": 'canaryTrafficPercent","value":10',
    "gateway": '/backendRefs/1/weight","value":10',
}
TRAFFIC = [
    {"revisionName": "model-1", "percent": 100, "url": "https://model.run.app"},
    {"revisionName": "model-2", "tag": "candidate", "url": "https://candidate---model.run.app"},
]


def _describe_app(newest: str, traffic: list[dict[str, Any]]) -> str:
    ingress = {"fqdn": "model.calm.swedencentral.azurecontainerapps.io", "traffic": traffic}
    properties = {"latestRevisionName": newest, "configuration": {"ingress": ingress}}
    return json.dumps({"name": "model", "properties": properties})


APP = [
    *[_describe_app("model--1", [{"latestRevision": True, "weight": 100}])] * 2,
    _describe_app("model--2", [{"revisionName": "model--1", "weight": 100}]),
]
CREATED = "jsonpath={.status.components.predictor.latestCreatedRevision}"
READY = "jsonpath={.status.components.predictor.latestReadyRevision}"
ANSWERS = {
    CREATED: [
        "model-1",
        "model-1",
        "model-2",
    ],
    READY: ["model-1", "model-2"],
    "get job model-replay": ["", "Complete"],
    "run services describe": [json.dumps({"status": {"traffic": TRAFFIC}})],
    "print-identity-token": ["identity"],
    "containerapp show": APP,
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ROLLOUTS)
def test_a_version_that_passes_gets_its_share_last(name: str, shell: _Shell) -> None:
    done = shell.run(
        ROLLOUTS[name], str(shell.artifact), IMAGE, "10", answers=ANSWERS, REGION="r", GROUP="g"
    )

    assert done.returncode == 0, done.stderr
    lines = shell.list_lines()
    moved = shell.list_lines(MOVES[name])
    assert moved == lines[-1:]
    assert "10" in moved[0]


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ROLLOUTS)
def test_a_version_that_fails_gets_no_traffic(name: str, shell: _Shell) -> None:
    answers = {**ANSWERS, "get job model-replay": ["", "FailureTarget Failed"]}

    done = shell.run(
        ROLLOUTS[name],
        str(shell.artifact),
        IMAGE,
        "10",
        answers=answers,
        passes=False,
        REGION="r",
        GROUP="g",
    )

    assert done.returncode == 1
    assert shell.list_lines(MOVES[name]) == []
    assert "The new version gets no traffic." in done.stderr


@pytest.mark.parametrize("name", ["kserve", "gateway"])
def test_an_earlier_candidate_loses_its_traffic_before_it_is_replaced(
    name: str, shell: _Shell
) -> None:
    shell.run(ROLLOUTS[name], str(shell.artifact), IMAGE, "10", answers=ANSWERS)

    changes = shell.list_lines(" patch ") + shell.list_lines("apply -f -")
    first = shell.list_lines(" patch ")[0]
    assert changes[0] == first
    assert '"value":0' in first
    assert '"value":100' in first or name == "kserve"


@pytest.mark.parametrize("name", ROLLOUTS)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "there are 0"),
        (("{artifact}", IMAGE), "there are 2"),
        (("{home}", IMAGE, "10"), "has no recorded requests"),
        (("{artifact}", "churn:latest", "10"), "no image by its digest"),
        (("{artifact}", f"{IMAGE}; id", "10"), "no image by its digest"),
        (("{artifact}", f"x\n{IMAGE}\n", "10"), "no image by its digest"),
        (("{artifact}", IMAGE, "101"), "no percentage"),
        (("{artifact}", IMAGE, "-1"), "no percentage"),
        (("{artifact}", IMAGE, "1.5"), "no percentage"),
        (("{artifact}", IMAGE, "ten"), "no percentage"),
        (("{artifact}", IMAGE, "010"), "no percentage"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_asked(
    name: str, words: tuple[str, ...], said: str, shell: _Shell
) -> None:
    given = [each.format(artifact=shell.artifact, home=shell.home) for each in words]

    done = shell.run(ROLLOUTS[name], *given, REGION="r", GROUP="g")

    assert done.returncode == 2
    assert said in done.stderr
    assert "usage: rollout.sh" in done.stderr
    assert shell.asked == []


def test_the_job_asks_the_version_by_its_own_image(shell: _Shell) -> None:
    shell.run(ROLLOUTS["gateway"], str(shell.artifact), IMAGE, "10", answers=ANSWERS)

    texts = [each["text"] for each in shell.asked if each["arguments"][-2:] == ["-f", "-"]]
    made = {each["kind"]: each for text in texts for each in yaml.safe_load_all(text) if each}
    (asks,) = made["Job"]["spec"]["template"]["spec"]["containers"]
    (serves,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert asks["image"] == serves["image"] == IMAGE
    assert asks["command"][:3] == ["python3", "/replay/replay_check.py", "http://model-candidate"]
    (configured,) = shell.list_lines("create configmap")
    assert f"--from-file={shell.artifact}/replay" in configured


def test_the_job_of_kserve_asks_the_tag_and_waits_for_the_new_revision(shell: _Shell) -> None:
    shell.run(ROLLOUTS["kserve"], str(shell.artifact), IMAGE, "10", answers=ANSWERS)

    (text,) = [each["text"] for each in shell.asked if "kind: Job" in each["text"]]
    assert '"http://latest-model-predictor.models.svc.cluster.local"' in text
    assert len(shell.list_lines("latestReadyRevision")) == 2


def test_kserve_without_a_new_revision_asks_nothing(shell: _Shell) -> None:
    answers = {**ANSWERS, CREATED: ["model-1"]}

    done = shell.run(
        ROLLOUTS["kserve"], str(shell.artifact), IMAGE, "10", answers=answers, WAIT_SECONDS="0"
    )

    assert done.returncode == 1
    assert "did not become ready" in done.stderr
    assert "The new version gets no traffic." in done.stderr
    assert shell.list_lines("Job") == []
    assert shell.list_lines(MOVES["kserve"]) == []


STAYS = {
    "container-apps": (
        "The app may hold several revisions now", "revision deactivate",
        "ingress traffic set -n model -g g --revision-weight model--2=0 model--1=100",
    ),
    "cloud-run": ("Nothing was changed.", "--remove-tags candidate", "--to-revisions model-1=100"),
    "kserve": (
        "Nothing was changed", "latestRolledoutRevision", '"path":"/spec/predictor/canary',
    ),
    "gateway": ("An earlier candidate may have", "--replicas 0", "backendRefs/1/weight"),
}  # fmt: skip
"""What each script says of what stays: before the new version, with it, and while traffic moves."""


def _check_what_stays(name: str, said: str, *, first: bool, last: bool) -> None:
    """Hold a message to what the script says by itself, with a command to run."""
    before, new, moving = STAYS[name]
    own = [text for text in ("Nothing was changed", before, new, moving) if text in said]
    assert own, said
    if first:
        assert before in said or "Nothing was changed" in said, said
    if last:
        assert "passed its check, and may get 10 %" in said, said
        assert moving in said, said


@pytest.mark.slow
@pytest.mark.parametrize("name", ROLLOUTS)
@pytest.mark.parametrize("often", ["once", "from then on", "interrupted"])
def test_a_call_that_fails_moves_no_traffic_to_what_was_not_asked_and_says_what_stays(
    name: str, often: str, tmp_path: Path
) -> None:
    def roll_out(home: Path, fails: str) -> tuple[_Shell, subprocess.CompletedProcess[str]]:
        home.mkdir()
        shell = _Shell(home)
        words = [str(shell.artifact), IMAGE, "10"]
        answers = {
            **ANSWERS,
            CREATED: ["model-1", "model-2"],
            READY: ["model-2"],
            "get job model-replay": ["Complete"],
        }
        (home / "bin" / "sleep").symlink_to("/bin/true")
        return shell, shell.run(
            ROLLOUTS[name],
            *words,
            answers=answers,
            FAILS=fails,
            REGION="r",
            GROUP="g",
            WAIT_SECONDS="3",
            JOB_SECONDS="3",
            POLL_SECONDS="1",
            INTERRUPTS="yes" if often == "interrupted" else "",
        )

    whole, done = roll_out(tmp_path / "whole", "0-0")
    assert done.returncode == 0, done.stderr
    # by the calls' own numbers: each may be the one that fails
    for number in range(1, len(whole.asked) + 1):
        last = 1000 if often == "from then on" else number
        shell, done = roll_out(tmp_path / str(number), f"{number}-{last}")

        moved = [
            each
            for each in shell.asked
            if MOVES[name] in " ".join(each["arguments"]) and not each["fails"]
        ]
        assert bool(moved) == (done.returncode == 0), (number, done.stderr)
        if moved:
            assert moved == shell.asked[-1:]
            assert done.stdout.count('"argv"') + len(shell.list_lines("logs job/")) == 1
        else:
            is_last = number == len(whole.asked)
            _check_what_stays(name, done.stderr, first=number == 1, last=is_last)


@pytest.mark.few(2)
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_call_that_fails_is_no_new_revision(number: int, shell: _Shell) -> None:
    done = shell.run(
        ROLLOUTS["kserve"],
        *(str(shell.artifact), IMAGE, "10"),
        answers={**ANSWERS, CREATED: ["model-1"]},
        FAILS=f"{number}-{number}",
        WAIT_SECONDS="0",
    )

    assert done.returncode == 1
    assert shell.list_lines("Job") == []
    assert shell.list_lines(MOVES["kserve"]) == []


PRESENT = {
    "predictor.containers[0].image}": [IMAGE],
    CREATED: ["model-2"],
    READY: ["model-2"],
    "get job model-replay": ["Complete"],
}


@pytest.mark.parametrize("percent", ["50", "100"])
def test_a_canary_in_kserve_keeps_its_share_until_it_gets_more(percent: str, shell: _Shell) -> None:
    done = shell.run(
        ROLLOUTS["kserve"],
        *(str(shell.artifact), IMAGE, percent),
        answers=PRESENT,
        WAIT_SECONDS="0",
    )

    assert done.returncode == 0, done.stderr
    (patched,) = shell.list_lines(" patch ")
    assert f'canaryTrafficPercent","value":{percent}' in patched
    assert patched.endswith('"remove","path":"/spec/predictor/canaryTrafficPercent"}]') == (
        percent == "100"
    )


def test_a_canary_in_kserve_that_fails_its_check_is_left_and_the_way_out_is_said(
    shell: _Shell,
) -> None:
    answers = {**PRESENT, "get job model-replay": ["Failed"]}

    done = shell.run(ROLLOUTS["kserve"], str(shell.artifact), IMAGE, "50", answers=answers)

    assert done.returncode == 1
    assert shell.list_lines(" patch ") == []
    assert "keeps the share that it has" in done.stderr
    assert "gets no traffic" not in done.stderr
    assert '"path":"/spec/predictor/canaryTrafficPercent","value":0' in done.stderr


def test_the_share_goes_to_the_image_that_was_asked_alone(shell: _Shell) -> None:
    shell.run(ROLLOUTS["kserve"], str(shell.artifact), IMAGE, "10", answers=ANSWERS)

    test = f'"op":"test","path":"/spec/predictor/containers/0/image","value":"{IMAGE}"'
    assert test in shell.list_lines(" patch ")[-1]


def test_all_traffic_takes_the_canary_away_in_kserve(shell: _Shell) -> None:
    shell.run(ROLLOUTS["kserve"], str(shell.artifact), IMAGE, "100", answers=ANSWERS)

    assert '"op":"remove","path":"/spec/predictor/canaryTrafficPercent"' in shell.list_lines()[-1]


def test_cloud_run_is_asked_at_its_tag_with_a_token_that_no_argument_has(shell: _Shell) -> None:
    done = shell.run(
        ROLLOUTS["cloud-run"],
        str(shell.artifact),
        IMAGE,
        "10",
        answers=ANSWERS,
        REGION="r",
        GROUP="g",
    )

    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert told["argv"][0] == "https://candidate---model.run.app"
    assert told["secrets"] == ["Bearer identity", None]
    assert "identity" not in " ".join(told["argv"])
    (deployed,) = shell.list_lines("run deploy")
    assert "--no-traffic" in deployed
    assert "--tag candidate" in deployed


def _describe(**shares: int) -> str:
    """Write the traffic as gcloud does: a tag is a target of its own, without a share."""
    named = [{"revisionName": name, "percent": share} for name, share in shares.items()]
    tagged = {"revisionName": "two", "tag": "candidate", "url": "https://candidate---model.run.app"}
    return json.dumps({"status": {"url": "https://model.run.app", "traffic": [*named, tagged]}})


def test_an_earlier_candidate_of_cloud_run_loses_its_share_before_its_tag(shell: _Shell) -> None:
    described = [_describe(one=90, two=10), _describe(one=100), _describe(one=100)]
    answers = {**ANSWERS, "run services describe": described}

    done = shell.run(
        ROLLOUTS["cloud-run"],
        str(shell.artifact),
        IMAGE,
        "10",
        answers=answers,
        REGION="r",
        GROUP="g",
    )

    assert done.returncode == 0, done.stderr
    lines = shell.list_lines()
    (cleared,) = shell.list_lines("--to-tags candidate=0")
    (deployed,) = shell.list_lines("run deploy")
    assert lines.index(cleared) < lines.index(deployed)
    assert "--to-revisions one=100" in done.stdout


def test_the_way_back_in_cloud_run_names_what_serves(shell: _Shell) -> None:
    answers = {**ANSWERS, "run services describe": [_describe(two=100)]}

    done = shell.run(
        ROLLOUTS["cloud-run"],
        str(shell.artifact),
        IMAGE,
        "10",
        answers=answers,
        REGION="r",
        GROUP="g",
    )

    # a candidate with all requests is the version that serves: it keeps them
    assert shell.list_lines("--to-tags candidate=0") == []
    assert (
        "Back: gcloud run services update-traffic model --region r --to-revisions two=100"
        in done.stdout
    )


def test_cloud_run_is_asked_with_the_server_s_own_token_too(shell: _Shell) -> None:
    done = shell.run(
        ROLLOUTS["cloud-run"],
        *(str(shell.artifact), IMAGE, "10"),
        answers=ANSWERS,
        REGION="r",
        GROUP="g",
        REPLAY_TOKEN="s3cr3t",
    )

    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert "authorization=REPLAY_TOKEN" in told["argv"]
    assert told["secrets"] == ["Bearer identity", "Bearer s3cr3t"]
    assert "s3cr3t" not in " ".join([*told["argv"], *shell.list_lines()])


def _run_job(shell: _Shell, **more: str) -> subprocess.CompletedProcess[str]:
    words = [str(shell.artifact), IMAGE, "10"]
    answers = {**ANSWERS, "run services describe": [_describe(one=100)]}
    given: dict[str, Any] = {"REGION": "r", "REPLAY_BUCKET": "replays", **more}
    return shell.run(ROLLOUTS["cloud-run"], *words, answers=answers, **given)


@pytest.mark.parametrize("secret", ["", "churn-token"])
@pytest.mark.parametrize("account", ["", "asker@project.iam.gserviceaccount.com"])
def test_a_job_of_cloud_run_asks_before_traffic_moves(
    secret: str, account: str, shell: _Shell
) -> None:
    done = _run_job(shell, REPLAY_TOKEN_SECRET=secret, REPLAY_ACCOUNT=account)

    assert done.returncode == 0, done.stderr
    (text,) = [each["text"] for each in shell.asked if "replace" in each["arguments"]]
    job = yaml.safe_load(text)
    named = job["metadata"]["name"]
    assert (job["apiVersion"], job["kind"]) == ("run.googleapis.com/v1", "Job")
    task = job["spec"]["template"]["spec"]["template"]["spec"]
    (container,), (volume,) = task["containers"], task["volumes"]
    assert container["image"] == IMAGE
    assert container["command"][:4] == [
        "python3", f"/replay/{named}/ask_with_identity.py",
        "https://model.run.app", "https://candidate---model.run.app",
    ]  # fmt: skip
    assert ("authorization=REPLAY_TOKEN" in container["command"]) == bool(secret)
    assert bool(container.get("env")) == bool(secret)
    assert task.get("serviceAccountName", "") == account
    assert (task["maxRetries"], volume["csi"]["readOnly"]) == (0, True)
    assert volume["csi"]["volumeAttributes"] == {"bucketName": "replays"}
    assert [volume["name"]] == [each["name"] for each in container["volumeMounts"]]
    order = [
        shell.list_lines().index(shell.list_lines(*words)[0])
        for words in (
            ("run deploy", "--no-traffic"), ("storage cp", f"gs://replays/{named}/"),
            ("run jobs replace",), (f"run jobs execute {named}", "--wait"),
            (f"run jobs delete {named}",), ("storage rm", f"gs://replays/{named}"),
            ("update-traffic", "candidate=10"),
        )
    ]  # fmt: skip
    assert order == sorted(order)
    assert not shell.list_lines("print-identity-token")


@pytest.mark.parametrize("broken", ["storage cp", "run jobs replace", "run jobs execute"])
def test_a_job_that_fails_moves_no_traffic_and_leaves_nothing(broken: str, shell: _Shell) -> None:
    _run_job(shell)
    number = 1 + shell.list_lines().index(shell.list_lines(broken)[0])
    (shell.home / "asked.jsonl").unlink()

    done = _run_job(shell, FAILS=f"{number}-{number}")
    assert done.returncode == 1
    assert "The new version gets no traffic" in done.stderr
    assert not shell.list_lines("update-traffic", "candidate=10")
    assert shell.list_lines("run jobs delete")
    assert shell.list_lines("storage rm")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("REPLAY_BUCKET", "gs://replays", "write it without gs://"),
        ("REPLAY_BUCKET", "a|b", "no bucket's name"),
        ("REPLAY_TOKEN", "s3cr3t", "name the secret in REPLAY_TOKEN_SECRET"),
        ("REPLAY_TOKEN_SECRET", "a}]", "no name that Google Cloud takes"),
        ("REPLAY_ACCOUNT", "a b", "no name that Google Cloud takes"),
    ],
)
def test_what_a_job_cannot_have_is_refused_before_anything(
    variable: str, value: str, said: str, shell: _Shell
) -> None:
    done = _run_job(shell, **{variable: value})

    assert done.returncode == 2
    assert said in done.stderr
    assert "s3cr3t" not in done.stderr
    assert shell.asked == []


def test_the_job_s_program_asks_with_the_token_of_its_account(tmp_path: Path) -> None:
    """The metadata server of Cloud Run is stood in for."""
    asked: list[tuple[str, str | None]] = []

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("metadata-flavor")))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"t0ken")

        def log_message(self, *_: object) -> None:
            pass

    program = shutil.copy(GPU / "cloud-run" / "ask_with_identity.py", tmp_path)
    (tmp_path / "replay_check.py").write_text(CHECK)
    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        argv = [sys.executable, program, "https://model.run.app", "https://c---model.run.app"]
        env = {"GCE_METADATA_HOST": f"127.0.0.1:{server.server_port}", "CHECK_ENDS_WITH": "7"}
        done = subprocess.run(
            [*argv, "--timeout", "900"], env=env, capture_output=True, text=True, check=False
        )
        server.shutdown()

    assert done.returncode == 7, done.stderr
    told = json.loads(done.stdout)
    assert told["secrets"][0] == "Bearer t0ken"
    assert told["argv"][:3] == ["https://c---model.run.app", "--timeout", "900"]
    assert told["argv"][3:] == ["--header", "x-serverless-authorization=REPLAY_INVOKER"]
    (path, flavor) = asked[0]
    assert flavor == "Google"
    assert path.endswith("identity?audience=https%3A%2F%2Fmodel.run.app")


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["kserve", "gateway"])
@pytest.mark.parametrize("token", ["", "s3cr3t"])
def test_the_job_gets_a_token_by_a_secret(name: str, token: str, shell: _Shell) -> None:
    words = [str(shell.artifact), IMAGE, "10"]
    done = shell.run(ROLLOUTS[name], *words, answers=ANSWERS, REPLAY_TOKEN=token)

    assert done.returncode == 0, done.stderr
    (text,) = [each["text"] for each in shell.asked if "kind: Job" in each["text"]]
    job = yaml.safe_load(text)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert ("authorization=REPLAY_TOKEN" in container["command"]) == bool(token)
    assert container["command"][-2:] == ["--timeout", "900"]
    (variable,) = container["env"]
    named = job["metadata"]["name"]
    assert variable["valueFrom"]["secretKeyRef"]["name"] == named
    assert len(shell.list_lines(f"create secret generic {named}")) == bool(token)
    assert "s3cr3t" not in " ".join([*shell.list_lines(), text])
    (removed,) = shell.list_lines("delete configmap,secret", named)
    assert shell.list_lines().index(removed) > shell.list_lines().index(
        shell.list_lines("logs job/")[0]
    )
    assert validate(job)


@pytest.mark.few(0)
def test_rollouts_of_a_namespace_have_jobs_of_their_own(shell: _Shell) -> None:
    other = IMAGE.replace("ab", "cd")
    for service, image in (("churn", IMAGE), ("churn", other), ("fraud", IMAGE), ("a" * 63, IMAGE)):
        words = [str(shell.artifact), image, "10"]
        # each answer is given once
        shell.run(ROLLOUTS["kserve"], *words, answers=ANSWERS, SERVICE=service)

    jobs = [yaml.safe_load(each["text"]) for each in shell.asked if "kind: Job" in each["text"]]
    names = [job["metadata"]["name"] for job in jobs]
    assert len(set(names)) == 4
    assert all(len(name) <= 63 for name in names)
    for job, name in zip(jobs, names, strict=True):
        (volume,) = job["spec"]["template"]["spec"]["volumes"]
        assert volume["configMap"]["name"] == name
        assert len(shell.list_lines(f"create configmap {name} ")) == 1


def test_a_region_that_is_not_set_is_asked_for(shell: _Shell) -> None:
    done = shell.run(ROLLOUTS["cloud-run"], str(shell.artifact), IMAGE, "10")

    assert done.returncode != 0
    assert "set REGION" in done.stderr
    assert shell.asked == []


# --- what they apply


def _read(name: str) -> list[dict[str, Any]]:
    text = (GPU / name).read_text(encoding="utf-8")
    return [each for each in yaml.safe_load_all(text) if each]


CANDIDATE = {each["kind"]: each for each in _read("gateway/candidate.yaml")}


@pytest.mark.parametrize("manifest", [*CANDIDATE.values(), *_read("replay/replay-job.yaml")])
def test_kubernetes_own_schema_takes_it(manifest: dict[str, Any]) -> None:
    assert validate(manifest)


def test_the_candidate_is_what_serves_but_for_its_name() -> None:
    def normalise(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("model-candidate", "model"))

    for kind in ("Service", "NetworkPolicy"):
        assert normalise(CANDIDATE[kind]) == SERVER[kind]
    ours = normalise(CANDIDATE["Deployment"])
    assert ours["spec"].pop("replicas") == 1
    ours["spec"]["template"]["spec"]["containers"][0]["image"] = "model"
    assert ours == SERVER["Deployment"]


def test_the_job_has_no_rights_and_is_not_repeated() -> None:
    (job,) = _read("replay/replay-job.yaml")
    pod = job["spec"]["template"]["spec"]
    (asks,) = pod["containers"]
    (serves,) = SERVER["Deployment"]["spec"]["template"]["spec"]["containers"]

    assert job["spec"]["backoffLimit"] == 0
    assert (
        pod["securityContext"]
        == SERVER["Deployment"]["spec"]["template"]["spec"]["securityContext"]
    )
    assert asks["securityContext"] == serves["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert "nvidia.com/gpu" not in str(asks["resources"])
    # the program ends by itself before the Job is ended
    assert float(asks["command"][-1]) < job["spec"]["activeDeadlineSeconds"]


# https://gateway-api.sigs.k8s.io/reference/spec/: HTTPRouteSpec, HTTPRouteRule, HTTPBackendRef
ROUTE = {"parentRefs", "hostnames", "rules", "useDefaultGateways"}
RULE = {"name", "matches", "filters", "backendRefs", "timeouts", "retry", "sessionPersistence"}
BACKEND = {"name", "namespace", "group", "kind", "port", "weight", "filters"}


def test_the_route_divides_between_the_two_services() -> None:
    (route,) = _read("gateway/route.yaml")
    (rule,) = route["spec"]["rules"]
    first, second = rule["backendRefs"]

    assert (route["apiVersion"], route["kind"]) == ("gateway.networking.k8s.io/v1", "HTTPRoute")
    assert set(route["spec"]) <= ROUTE
    assert set(rule) <= RULE
    assert set(first) | set(second) <= BACKEND
    assert (first["name"], first["weight"]) == (SERVER["Service"]["metadata"]["name"], 100)
    assert (second["name"], second["weight"]) == (CANDIDATE["Service"]["metadata"]["name"], 0)
    for backend, service in ((first, SERVER["Service"]), (second, CANDIDATE["Service"])):
        assert backend["port"] == service["spec"]["ports"][0]["port"]


def test_the_inference_service_has_an_address_of_a_new_version() -> None:
    annotations = inference_service()["metadata"]["annotations"]
    assert annotations["serving.kserve.io/enable-tag-routing"] == "true"


# beside a pod's own: https://cloud.google.com/run/docs/reference/yaml/v1
REVISION = {"containerConcurrency", "timeoutSeconds"}
TARGET = {"latestRevision", "revisionName", "percent", "tag"}


def test_the_service_of_cloud_run_is_a_pod_and_divides_its_traffic() -> None:
    (service,) = _read("cloud-run/service.yaml")
    revision = service["spec"]["template"]["spec"]
    pod = {name: value for name, value in revision.items() if name not in REVISION}
    (container,) = pod["containers"]

    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    assert set(service["spec"]) == {"template", "traffic"}
    assert validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "m"}, "spec": pod})
    assert all(set(each) <= TARGET for each in service["spec"]["traffic"])
    assert sum(each["percent"] for each in service["spec"]["traffic"]) == 100
    probe = container["startupProbe"]
    assert probe["httpGet"]["path"] == "/v2/health/ready"
    # https://cloud.google.com/run/docs/configuring/healthchecks: 240 seconds at most
    assert probe["periodSeconds"] * probe["failureThreshold"] <= 240


# --- Azure


def _deploy_azure(shell: _Shell, **variables: str) -> subprocess.CompletedProcess[str]:
    infra = shell.artifact / "infra"
    infra.mkdir(exist_ok=True)
    script = Path(shutil.copy(resources.INFRA / "azure" / "replay.sh", infra))
    given = {
        "RESOURCE_GROUP": "rg-churn",
        "FUNCTION_APP_NAME": "func-churn",
        "FUNCTION_APP_URL": "https://func-churn.azurewebsites.net",
        "ENTRA_AUDIENCE": "api://client",
        "HTTP_AUTH": "key",
        **variables,
    }
    passes = given.pop("PASSES", "yes") == "yes"
    answers = {"keys list": ["secret key"], "get-access-token": ["secret token"]}
    return shell.run(script, answers=answers, passes=passes, **given)


@pytest.mark.parametrize(
    ("auth", "headers", "asked"),
    [
        ("key", ["x-functions-key=REPLAY_KEY"], ["keys list"]),
        ("entra", ["authorization=REPLAY_TOKEN"], ["get-access-token --resource api://client"]),
        (
            "key-and-entra",
            ["x-functions-key=REPLAY_KEY", "authorization=REPLAY_TOKEN"],
            ["keys list", "get-access-token"],
        ),
    ],
)
def test_the_app_is_asked_with_what_it_asks_for(
    shell: _Shell, auth: str, headers: list[str], asked: list[str]
) -> None:
    done = _deploy_azure(shell, HTTP_AUTH=auth)

    assert done.returncode == 0, done.stderr
    argv = json.loads(done.stdout)["argv"]
    assert argv[0] == "https://func-churn.azurewebsites.net"
    assert [argv[at + 1] for at, each in enumerate(argv) if each == "--header"] == headers
    assert "secret" not in " ".join(argv)
    assert [len(shell.list_lines(each)) for each in asked] == [1] * len(asked)
    assert len(shell.asked) == len(asked)


def test_an_app_that_answers_otherwise_fails_the_deployment_and_the_way_back_is_said(
    shell: _Shell,
) -> None:
    done = _deploy_azure(shell, PASSES="no")

    assert done.returncode == 1
    assert "was not shown to answer as the registered model does" in done.stderr
    assert "azd deploy" in done.stderr
    assert "Event Grid" not in done.stderr


@pytest.mark.parametrize("interrupts", ["", "yes"])
@pytest.mark.parametrize("auth", ["key", "entra"])
def test_an_app_that_could_not_be_asked_is_deployed_and_that_is_said(
    auth: str, interrupts: str, shell: _Shell
) -> None:
    (shell.artifact / "azure.yaml").write_text("run: sh infra/replay.sh && sh infra/subscribe.sh")

    done = _deploy_azure(shell, HTTP_AUTH=auth, FAILS="1-1", INTERRUPTS=interrupts)

    assert done.returncode != 0
    assert "func-churn is deployed and answers callers" in done.stderr
    for words in ("'azd deploy'", "'azd down'", "azd env set REPLAY off", "Event Grid was not"):
        assert words in done.stderr


@pytest.mark.parametrize("interrupts", ["", "yes"])
@pytest.mark.parametrize("number", range(1, 6))
def test_a_subscription_that_was_not_made_is_said(
    number: int, interrupts: str, shell: _Shell
) -> None:
    given: dict[str, Any] = {
        "RESOURCE_GROUP": "rg", "FUNCTION_APP_NAME": "func-churn", "BLOB_TOPIC_NAME": "blobs",
        "GRID_TOPIC_NAME": "grid", "FUNCTION_APP_URL": "https://func-churn.azurewebsites.net",
    }  # fmt: skip
    script = resources.INFRA / "azure" / "subscribe.sh"

    done = shell.run(script, FAILS=f"{number}-{number}", INTERRUPTS=interrupts, **given)

    assert done.returncode != 0
    assert "func-churn is deployed, and Event Grid may not send it" in done.stderr
    assert "azd hooks run postdeploy" in done.stderr


def test_an_app_that_asks_for_tokens_names_the_client_that_it_has_to_allow(shell: _Shell) -> None:
    refused = _deploy_azure(shell, HTTP_AUTH="entra", PASSES="no")
    (shell.home / "bin" / "az").write_text("#!/bin/sh\nexit 1\n")
    untold = _deploy_azure(shell, HTTP_AUTH="entra")
    keyed = _deploy_azure(shell, HTTP_AUTH="key")

    assert [each.returncode for each in (refused, untold, keyed)] == [1, 1, 1]
    assert "entraAllowedClients has to name" in refused.stderr
    assert "No token for api://client" in untold.stderr
    assert "REPLAY off" in untold.stderr
    for said in (refused.stderr, untold.stderr):
        assert "04b07795-8ddb-461a-bbee-02f9e1bf7b46" in said
    assert "04b07795" not in keyed.stderr
    # a token that was not given is not asked with
    assert untold.stdout == ""


def test_a_machine_without_a_program_is_told_which_it_needs(shell: _Shell) -> None:
    (shell.home / "bin" / "az").unlink()
    (shell.home / "bin" / "sh").symlink_to("/bin/sh")
    (shell.home / "bin" / "dirname").symlink_to(shutil.which("dirname") or "dirname")

    done = _deploy_azure(shell, PATH=str(shell.home / "bin"))

    assert done.returncode == 1
    assert "needs az." in done.stderr
    assert "REPLAY off" in done.stderr


def test_the_check_is_left_out_by_name_alone(shell: _Shell) -> None:
    done = _deploy_azure(shell, REPLAY="off", PASSES="no")

    assert done.returncode == 0
    assert "was not asked" in done.stderr
    assert shell.asked == []


# --- what the pages say

PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (
        *resources.INFRA.glob("*/README.md"),
        resources.INFRA.parent / "docs" / "guides" / "rollout.md",
    )
}


def _list_commands(word: str) -> list[str]:
    return [
        line
        for text in PAGES.values()
        for line in text.splitlines()
        if line.startswith("    ") and word in line
    ]


def test_a_deployment_to_live_runs_only_after_the_check() -> None:
    lines = _list_commands("azd deploy")

    assert len(lines) == 2
    assert all("-e check" in line.split(" && azd deploy")[0] for line in lines)


def test_a_rollout_is_called_by_a_path_that_is_there() -> None:
    lines = _list_commands("rollout.sh ")

    assert len(lines) == 9
    for line in lines:
        (script,) = [word for word in line.split() if word.endswith("rollout.sh")]
        assert script.startswith("CHECKOUT/infra/")
        assert (resources.INFRA / script.removeprefix("CHECKOUT/infra/")).exists()


def test_a_container_app_is_asked_at_its_label_and_the_others_keep_their_parts(
    shell: _Shell,
) -> None:
    traffic: list[dict[str, Any]] = [
        {"revisionName": "model--1", "weight": 60},
        {"revisionName": "model--0", "weight": 30},
        {"revisionName": "model--c", "weight": 10, "label": "candidate"},
    ]
    described = [*[_describe_app("model--c", traffic)] * 2, _describe_app("model--2", traffic)]

    done = shell.run(
        ROLLOUTS["container-apps"],
        *(str(shell.artifact), IMAGE, "10"),
        answers={"containerapp show": described},
        GROUP="g",
    )

    assert done.returncode == 0, done.stderr
    address = "https://model---candidate.calm.swedencentral.azurecontainerapps.io"
    assert address in json.loads(done.stdout.splitlines()[0])["argv"]
    held, moved = shell.list_lines("ingress traffic set")
    # an earlier candidate loses its share before the new revision is made
    assert "--revision-weight model--1=70 model--0=30 " in held
    assert "--revision-weight model--1=63 model--0=27 model--2=10 " in moved
    assert "--revision-weight model--2=0 model--1=70 model--0=30" in done.stdout


@pytest.mark.few(1)
@pytest.mark.parametrize("number", [1, 4, 5, 6, 7])
def test_what_stays_in_a_container_app_is_said(number: int, shell: _Shell) -> None:
    done = shell.run(
        ROLLOUTS["container-apps"],
        *(str(shell.artifact), IMAGE, "10"),
        answers=ANSWERS,
        GROUP="g",
        FAILS=f"{number}-{number}",
    )

    assert done.returncode == 1
    assert shell.list_lines("model--2=10") == []
    assert ("revision deactivate" in done.stderr) == (number > 4)


def test_the_image_that_a_container_app_has_is_no_new_revision(shell: _Shell) -> None:
    done = shell.run(
        ROLLOUTS["container-apps"],
        *(str(shell.artifact), IMAGE, "10"),
        answers={"containerapp show": [APP[0]]},
        GROUP="g",
    )

    assert done.returncode == 1
    assert "model--1 has this image already" in done.stderr
    assert "revision deactivate" not in done.stderr
