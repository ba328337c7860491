"""A follower ends with what the alias names, deploys nothing twice, and knows where it ended."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from packager.commands.cloud.follow import follower as follower_module
from packager.commands.cloud.follow.deploy_command import DeployCommand
from packager.commands.cloud.follow.deploy_failure import (
    DeploymentFailedError,
    DeploymentNotBegunError,
)
from packager.commands.cloud.follow.follower import Actions, Follower, digest_settings
from packager.commands.cloud.follow.run import parse_alias
from packager.commands.cloud.follow.state import Deployed, State, StateFolder
from packager.errors import (
    AttestationError,
    AuditUnavailableError,
    ConfigurationError,
    IndexUnavailableError,
    ModelNotFoundError,
    PackagerError,
    PlanError,
    RegistryUnavailableError,
    StorageError,
    VerificationError,
)
from packager.models.model_uri import Registered
from packager.models.registry_tags import DeployedTag
from packager.types import FollowEvent, change_request, make_request

MODEL = Registered(name="churn", alias="champion")
OPTIONS = "0123456789abcdef"


class Interrupted(BaseException):
    """Ends a loop that nothing else ends."""


@dataclass
class World:
    """A registry, a cloud and a clock, each of which can be told to fail."""

    root: Path
    named: str = "1"
    at: float = 1_800_000_000.0
    built: list[str] = field(default_factory=list)
    deployed: list[str] = field(default_factory=list)
    events: list[FollowEvent] = field(default_factory=list)
    tags: dict[str, DeployedTag] = field(default_factory=dict)
    while_building: Callable[[], None] = lambda: None
    while_deploying: Callable[[], None] = lambda: None
    build_error: PackagerError | None = None
    deploy_error: BaseException | None = None
    read_error: PackagerError | None = None
    tag_error: PackagerError | None = None
    vouch_error: PackagerError | None = None
    vouched: list[str] = field(default_factory=list)
    keeps_earlier: bool = True
    serving: list[str | None] = field(default_factory=list)
    """The version that was deployed last, as each deployment was told."""

    def read_alias(self, model: Registered) -> str:
        assert model == MODEL
        if self.read_error:
            raise self.read_error
        return self.named

    def build(self, version: str, artifact: Path) -> str:
        self.built.append(version)
        self.while_building()
        if self.build_error:
            raise self.build_error
        artifact.mkdir(exist_ok=True)
        return f"sha of {version}"

    def vouch(self, artifact: Path) -> None:
        if self.vouch_error:
            raise self.vouch_error
        self.vouched.append(artifact.name)

    def deploy(self, version: str, artifact: Path, serving: str | None) -> None:
        assert artifact.is_dir()
        assert self.vouched[-1] == version
        self.serving.append(serving)
        if self.deploy_error:
            raise self.deploy_error
        self.deployed.append(version)
        self.while_deploying()

    def find(self) -> DeployedTag | None:
        if self.tag_error:
            raise self.tag_error
        return max(self.tags.values(), key=lambda each: each.at, default=None)

    def write(self, tag: DeployedTag) -> None:
        if self.tag_error:
            raise self.tag_error
        self.tags = {tag.version: tag}

    def start(self, *, tagged: bool = False, settings: str = OPTIONS) -> Follower:
        """A new process on the same folder."""
        folder = StateFolder(self.root, MODEL)
        self.root.mkdir(exist_ok=True)
        return Follower(
            model=MODEL,
            settings=settings,
            folder=folder,
            registry=self,
            actions=Actions(
                build=self.build,
                deploy=self.deploy,
                tell=self.events.append,
                vouch=self.vouch,
                keeps_earlier=self.keeps_earlier,
            ),
            tags=self if tagged else None,
            now=lambda: self.at,
            state=folder.read(),
        )

    def run(self, *, tagged: bool = False, retry: bool = False, settings: str = OPTIONS) -> int:
        return self.start(tagged=tagged, settings=settings).follow_once(retry=retry)

    def list_events(self) -> list[str]:
        return [each["event"] for each in self.events]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "followed")


def test_what_the_alias_names_is_built_and_deployed_once(world: World) -> None:
    assert [world.run(), world.run(), world.run()] == [0, 0, 0]

    assert (world.built, world.deployed) == (["1"], ["1"])
    assert world.list_events() == ["building", "deploying", "deployed", "unchanged", "unchanged"]
    assert (world.root / "current").readlink() == Path("1")


def test_an_alias_that_moves_during_a_build_ends_with_the_last_one(world: World) -> None:
    moves = iter("2345")

    def move() -> None:
        world.named = next(moves, world.named)

    world.while_building = move

    assert world.run() == 0
    assert world.built == ["1", "2", "3", "4", "5"]
    assert world.deployed == ["5"]
    assert world.list_events().count("superseded") == 4


def test_an_alias_that_moves_back_and_forth_deploys_nothing_twice(world: World) -> None:
    assert world.run() == 0
    moves = iter("21")

    def move() -> None:
        world.named = next(moves, world.named)

    world.while_building = move
    world.named = "3"

    assert world.run() == 0
    assert (world.built, world.deployed) == (["1", "3", "2"], ["1"])


@pytest.mark.parametrize(
    "error",
    [PlanError("no wheels"), VerificationError(()), ConfigurationError("an option")],
    ids=lambda error: type(error).__name__,
)
def test_a_build_that_fails_is_tried_again_for_another_version_alone(
    error: PackagerError, world: World
) -> None:
    world.run()
    world.named, world.build_error = "2", error

    assert [world.run(), world.run()] == [error.exit_code] * 2
    assert world.built == ["1", "2"]
    assert world.events[-1]["event"] == "skipped"
    world.named, world.build_error = "3", None
    assert world.run() == 0
    assert world.deployed == ["1", "3"]


def test_it_is_tried_again_if_asked_for_or_if_the_options_change(world: World) -> None:
    world.build_error = PlanError("no wheels")
    world.run()
    world.run(retry=True)
    world.run(settings="f" * 16)

    assert world.built == ["1", "1", "1"]


def test_a_version_is_deployed_anew_by_other_options(world: World) -> None:
    world.run()
    world.run(settings="f" * 16)

    assert world.deployed == ["1", "1"]


def test_a_failed_build_goes_away_once_the_alias_is_back(world: World) -> None:
    world.run()
    world.named, world.build_error = "2", PlanError("no wheels")
    world.run()
    world.named = "1"

    assert world.run() == 0
    assert world.deployed == ["1"]
    assert world.events[-1]["event"] == "unchanged"


def test_a_deployment_that_fails_leaves_the_earlier_version_and_says_so(world: World) -> None:
    world.run()
    world.named, world.deploy_error = "2", DeploymentFailedError("`sam deploy` ended with 1")

    assert [world.run(), world.run()] == [11, 11]
    failed = next(each for each in world.events if each["event"] == "failed")
    assert (failed["version"], failed["stage"], failed["serving"]) == ("2", "deploy", "1")
    assert StateFolder(world.root, MODEL).read().deployed == world.start().state.deployed
    assert world.deployed == ["1"]
    assert (world.root / "current").readlink() == Path("1")


def test_a_first_deployment_that_fails_says_that_no_earlier_version_serves(world: World) -> None:
    world.deploy_error = DeploymentFailedError("`sam deploy` ended with 1")

    assert world.run() == 11
    (failed,) = (each for each in world.events if each["event"] == "failed")
    assert failed["stage"] == "deploy"
    assert "serving" not in failed
    world.deploy_error = None
    assert world.run(retry=True) == 0
    world.named = "2"
    assert world.run() == 0
    assert world.serving == [None, None, "1"]


def test_what_serves_is_not_claimed_where_an_app_is_replaced_before_its_check(
    world: World,
) -> None:
    world.keeps_earlier = False
    link = world.root / "current"
    assert world.run(tagged=True) == 0
    assert link.readlink() == Path("1")
    world.named, world.deploy_error = "2", DeploymentFailedError("`azd up` ended with 1")

    assert world.run(tagged=True) == 11

    assert "serving" not in world.events[-1]
    assert not link.is_symlink()
    state = world.start().state
    assert (state.deployed and state.deployed.version, state.deploying) == ("1", "2")
    assert world.tags["1"].deploying == "2"
    # a build that fails afterwards knows no more
    world.named, world.build_error = "3", ConfigurationError("an option is wrong")
    assert world.run(tagged=True) != 0
    assert "serving" not in world.events[-1]
    # back to the first one, which is deployed again
    world.named, world.build_error, world.deploy_error = "1", None, None
    assert world.run(tagged=True) == 0
    assert (world.deployed, link.readlink()) == (["1", "1"], Path("1"))
    assert world.tags["1"].deploying is None


def test_an_interrupted_deployment_of_an_app_leaves_no_link_either(world: World) -> None:
    world.keeps_earlier = False
    assert world.run() == 0
    world.named, world.deploy_error = "2", KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        world.run()

    assert not (world.root / "current").is_symlink()


@pytest.mark.parametrize("after_failure", ["the earlier one serves", "nobody knows"])
def test_a_program_that_could_not_be_started_is_tried_again_and_nothing_else_changed(
    after_failure: str, world: World
) -> None:
    world.keeps_earlier = after_failure == "the earlier one serves"
    assert world.run(tagged=True) == 0
    world.named, world.deploy_error = "2", DeploymentNotBegunError("it has no first line")

    assert world.run(tagged=True) == 11

    failed = world.events[-1]
    assert (failed["stage"], failed["serving"]) == ("deploy", "1")
    assert failed["retry_at"]
    assert world.start().state.deploying is None
    assert world.tags["1"].deploying is None
    assert (world.root / "current").readlink() == Path("1")
    world.deploy_error = None
    assert world.run(tagged=True) == 0
    assert world.deployed == ["1", "2"]


def test_what_is_not_as_it_is_required_is_not_deployed(world: World) -> None:
    world.run()
    world.named, world.vouch_error = "2", AttestationError("it states 20 rows")

    assert [world.run(), world.run()] == [14, 14]
    failed = next(each for each in world.events if each["event"] == "failed")
    assert (failed["version"], failed["stage"], failed["serving"]) == ("2", "verify", "1")
    assert world.deployed == ["1"]
    assert world.start().state.deploying is None
    world.vouch_error = None
    assert world.run(retry=True) == 0
    assert world.deployed == ["1", "2"]


def test_an_interrupted_deployment_is_done_again(world: World) -> None:
    """Nobody knows how it ended."""
    world.deploy_error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    world.deploy_error = None

    assert world.start().state.deploying == "1"
    assert world.run() == 0
    assert world.deployed == ["1"]


def test_after_an_interrupted_deployment_the_version_before_is_deployed_again(world: World) -> None:
    world.run()
    world.named, world.deploy_error = "2", KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    world.named, world.deploy_error = "1", None

    assert world.run() == 0
    assert world.deployed == ["1", "1"]


def test_a_build_that_fails_does_not_hide_an_interrupted_deployment(world: World) -> None:
    world.run()
    world.named, world.deploy_error = "2", KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    world.named, world.deploy_error, world.build_error = "3", None, PlanError("no wheels")
    world.run()
    world.named, world.build_error = "1", None

    assert world.run() == 0
    assert world.deployed == ["1", "1"]


def test_a_deployment_that_failed_half_way_is_undone_by_the_version_before(world: World) -> None:
    """Its first command may have replaced what served."""
    world.run()
    world.named, world.deploy_error = "2", DeploymentFailedError("the second command failed")
    assert world.run() == 11
    world.named, world.deploy_error = "1", None

    assert [world.run(), world.run()] == [0, 0]
    assert world.deployed == ["1", "1"]
    assert world.start().state.deploying is None


def test_a_machine_without_a_state_learns_of_a_deployment_whose_end_nobody_saw(
    world: World, tmp_path: Path
) -> None:
    world.run(tagged=True)
    world.named, world.deploy_error = "2", KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.run(tagged=True)
    elsewhere = World(tmp_path / "another machine", tags=world.tags, named="1")

    assert [elsewhere.run(tagged=True), elsewhere.run(tagged=True)] == [0, 0]
    assert elsewhere.deployed == ["1"]
    again = World(tmp_path / "a third one", tags=elsewhere.tags, named="1")
    assert (again.run(tagged=True), again.deployed) == (0, [])


def test_nothing_is_deployed_that_the_tag_could_not_tell_of(world: World) -> None:
    def lose_rights() -> None:
        world.tag_error = RegistryUnavailableError("read only")

    world.run(tagged=True)
    world.named, world.while_building = "2", lose_rights

    assert world.run(tagged=True) == RegistryUnavailableError.exit_code
    assert world.deployed == ["1"]
    world.tag_error, world.while_building = None, lambda: None
    assert world.run(tagged=True) == 0
    assert world.deployed == ["1", "2"]


def test_a_link_that_was_not_moved_is_moved_by_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run()
    world.named = "2"

    def stop(follower: Follower) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(Follower, "_link_current", stop)
        assert world.run() == StorageError.exit_code
    assert world.list_events()[-2:] == ["deployed", "failed"]
    assert (world.root / "current").readlink() == Path("1")

    assert world.run() == 0
    assert world.deployed == ["1", "2"]
    assert (world.root / "current").readlink() == Path("2")


def test_the_link_leads_to_nothing_where_another_machine_deployed(
    world: World, tmp_path: Path
) -> None:
    world.run(tagged=True)
    elsewhere = World(tmp_path / "another machine", tags=world.tags, named="2")
    elsewhere.run(tagged=True)
    world.named, world.tags = "2", elsewhere.tags

    assert world.run(tagged=True) == 0
    assert world.deployed == ["1"]
    assert not (world.root / "current").is_symlink()


def test_artifacts_of_what_runs_and_ran_before_are_kept(world: World) -> None:
    for version in ("1", "2", "3"):
        world.named = version
        world.run()

    assert sorted(each.name for each in world.root.iterdir() if each.name.isdigit()) == ["2", "3"]
    state = world.start().state
    assert (state.deployed and state.deployed.version) == "3"
    assert (state.previous and state.previous.version) == "2"


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a follower waits, none of which pass; the tenth wait ends it."""
    monkeypatch.setattr(follower_module, "_SETTLE_SECONDS", 0.0)
    return []


class Waits(threading.Event):
    """An event whose waits move the world's clock."""

    def __init__(self, world: World, waits: list[float], most: int) -> None:
        super().__init__()
        self._world, self._waits, self._most = world, waits, most

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._waits.append(timeout)
        self._world.at += timeout
        if len(self._waits) == self._most:
            raise Interrupted
        return False


def follow(world: World, waits: list[float], most: int = 10) -> None:
    follower = world.start()
    follower.wake = Waits(world, waits, most)
    with pytest.raises(Interrupted):
        follower.follow()


@pytest.mark.parametrize(
    "error",
    [
        IndexUnavailableError("no index"),
        StorageError("the disk is full"),
        AuditUnavailableError({"Try again.": ["Not audited."]}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_of_the_network_is_tried_again_later_and_later(
    error: PackagerError, world: World, loop: list[float]
) -> None:
    world.build_error = error
    times: list[float] = []
    world.while_building = lambda: times.append(world.at)
    follow(world, loop, most=200)

    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[:4] == [60.0, 120.0, 240.0, 480.0]
    assert max(gaps) <= 3660.0
    # whoever moves the alias need not wait for that
    assert set(loop) == {60.0}


def test_a_registry_that_does_not_answer_is_asked_less_and_less(
    world: World, loop: list[float]
) -> None:
    world.read_error = RegistryUnavailableError("nothing answers")
    follow(world, loop, most=6)

    assert loop == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    assert world.list_events() == ["failed"]


def test_an_alias_that_is_not_there_yet_is_waited_for(world: World, loop: list[float]) -> None:
    world.read_error = ModelNotFoundError("no alias")
    follow(world, loop, most=4)
    world.read_error = None
    follow(world, loop, most=5)

    assert loop == [60.0] * 5
    assert world.deployed == ["1"]


def test_an_alias_that_is_deleted_leaves_what_runs_and_is_waited_for(
    world: World, loop: list[float]
) -> None:
    world.run()
    world.read_error = ModelNotFoundError("no alias")
    assert world.run() == 3
    follow(world, loop, most=4)

    assert loop == [60.0] * 4
    assert world.deployed == ["1"]
    assert (world.root / "current").readlink() == Path("1")
    world.read_error, world.named = None, "2"
    assert world.run() == 0
    assert world.deployed == ["1", "2"]


def test_the_next_run_tries_a_fault_of_the_network_at_once(world: World) -> None:
    world.build_error = IndexUnavailableError("no index")
    assert [world.run(), world.run()] == [10, 10]
    assert world.built == ["1", "1"]


def test_a_tag_says_which_version_runs_and_no_other_has_it(world: World) -> None:
    world.run(tagged=True)
    world.named = "2"
    world.run(tagged=True)

    assert set(world.tags) == {"2"}
    assert world.tags["2"].sha256 == "sha of 2"


def test_a_machine_without_a_state_takes_the_tag_s_word(world: World, tmp_path: Path) -> None:
    world.run(tagged=True)
    elsewhere = World(tmp_path / "another machine", tags=world.tags)

    assert elsewhere.run(tagged=True) == 0
    assert (elsewhere.built, elsewhere.deployed) == ([], [])
    assert elsewhere.list_events() == ["unchanged"]


def test_a_stale_state_does_not_keep_a_version_from_being_deployed(
    world: World, tmp_path: Path
) -> None:
    world.run(tagged=True)
    elsewhere = World(tmp_path / "another machine", tags=world.tags, named="2")
    elsewhere.run(tagged=True)
    world.tags = elsewhere.tags

    assert world.run(tagged=True) == 0
    assert world.deployed == ["1", "1"]


def test_a_tag_that_cannot_be_written_is_written_later_and_nothing_is_deployed_again(
    world: World,
) -> None:
    def lose_rights() -> None:
        world.tag_error = RegistryUnavailableError("read only")

    world.while_deploying = lose_rights

    assert world.run(tagged=True) == RegistryUnavailableError.exit_code
    world.tag_error = None
    assert world.run(tagged=True) == 0
    assert world.deployed == ["1"]
    assert set(world.tags) == {"1"}


def test_a_full_disk_after_a_deployment_does_not_have_it_done_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_nothing(folder: StateFolder, state: State) -> None:
        raise StorageError("the disk is full")

    follower = world.start()
    with monkeypatch.context() as full:
        world.while_deploying = lambda: full.setattr(StateFolder, "write", write_nothing)
        assert follower.follow_once() == StorageError.exit_code

    assert follower.follow_once() == 0
    assert world.deployed == ["1"]
    assert world.start().state.deployed is not None


def test_two_followers_never_work_in_one_folder(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "out", MODEL)
    with (
        folder.hold(),
        pytest.raises(ConfigurationError, match="Another `packager follow` works in"),
        StateFolder(tmp_path / "out", MODEL).hold(),
    ):
        pass
    with folder.hold():
        pass


def test_a_command_that_outlives_its_follower_keeps_the_next_one_away(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from packager.commands.cloud.follow.deploy_command import DeployCommand, run_commands\n"
        "from packager.commands.cloud.follow.state import StateFolder\n"
        "from packager.models.model_uri import Registered\n"
        "root = Path(sys.argv[1]); words = ('sh', '-c', 'echo $$; exec sleep 60')\n"
        "folder = StateFolder(root, Registered(name='churn', alias='champion'))\n"
        "with folder.hold() as lock:\n"
        "    run_commands(DeployCommand(texts=('sh',), commands=(words,)), root,\n"
        "                 {'PATH': '/usr/bin:/bin'}, root / 'deploy.log', pass_fds=(lock,))\n"
    )
    root, log = tmp_path / "out", tmp_path / "out" / "deploy.log"
    follower = subprocess.Popen([sys.executable, "-c", code, str(root)])
    try:
        end = time.monotonic() + 30
        while not (log.exists() and log.read_text().endswith("\n")):
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        follower.kill()
        follower.wait()
    folder = StateFolder(root, MODEL)
    with pytest.raises(ConfigurationError, match="has outlived one"), folder.hold():
        pass

    os.kill(int(log.read_text()), signal.SIGKILL)
    end = time.monotonic() + 10
    while not is_free(folder):
        assert time.monotonic() < end
        time.sleep(0.02)


def is_free(folder: StateFolder) -> bool:
    try:
        with folder.hold():
            return True
    except ConfigurationError:
        return False


def test_what_a_command_left_running_keeps_nobody_away_once_the_follower_ended(
    tmp_path: Path,
) -> None:
    folder = StateFolder(tmp_path / "out", MODEL)
    with folder.hold() as lock:
        left = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    try:
        with folder.hold():
            pass
    finally:
        left.kill()
        left.wait()


def test_a_folder_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with (
        pytest.raises(ConfigurationError, match="It stays"),
        StateFolder(tmp_path, MODEL).hold(),
    ):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\0",
        "[" * 100_000,
        '{"format": 1, "model": "churn", "alias": "champion"}',
        json.dumps(
            {
                "format": 1,
                "model": "churn",
                "alias": "champion",
                "deployed": None,
                "previous": None,
                "deploying": "../../etc",
                "failed": None,
                "untagged": False,
            }
        ),
    ],
    ids=["empty", "list", "object", "NUL", "deep", "half", "path"],
)
def test_a_state_that_nobody_wrote_is_refused_with_what_to_do(text: str, tmp_path: Path) -> None:
    (tmp_path / "follow.json").write_text(text)
    with pytest.raises(ConfigurationError, match="Move it away"):
        StateFolder(tmp_path, MODEL).read()


def test_a_state_of_another_alias_is_refused(world: World) -> None:
    world.run()
    with pytest.raises(ConfigurationError, match="follows models:/churn@champion"):
        StateFolder(world.root, Registered(name="churn", alias="challenger")).read()


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, MODEL)
    deployed = Deployed(version="7", settings=OPTIONS, sha256="s", at=1.5)
    state = State(deployed=deployed, deploying="8", untagged=True)
    folder.write(state)

    assert folder.read() == state
    assert sorted(each.name for each in tmp_path.iterdir()) == ["follow.json"]


def test_a_state_has_what_a_command_printed_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    (tmp_path / ".follow.json.partial").write_text("left, and open to all")
    StateFolder(tmp_path, MODEL).write(State())

    assert stat.S_IMODE((tmp_path / "follow.json").stat().st_mode) == 0o600


def test_the_content_of_a_file_and_packager_s_version_are_options_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example := tmp_path / "row.json").write_text("[1]")
    request = make_request("models:/churn@champion", example=example)
    command = DeployCommand(texts=("true",), commands=(("true",),))
    digests = [digest_settings(request, command), digest_settings(request, command)]
    assert len({*digests}) == 1
    example.write_text("[2]")
    digests.append(digest_settings(request, command))
    monkeypatch.setattr(follower_module, "__version__", "999")
    digests.append(digest_settings(request, command))
    assert len({*digests}) == 3
    example.unlink()
    with pytest.raises(ConfigurationError, match=r"row\.json cannot be read"):
        digest_settings(request, command)


@pytest.mark.parametrize("uri", ["models:/churn/1", "models:/churn/latest", "runs:/a/b", "folder"])
def test_only_an_alias_is_followed(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="names no alias"):
        parse_alias(uri)


def test_the_options_are_told_apart_and_the_registry_s_address_is_none_of_them() -> None:
    request = make_request("models:/churn@champion")
    command = DeployCommand(texts=("sam deploy",), commands=(("sam", "deploy"),))
    other = DeployCommand(texts=("sam deploy -v",), commands=(("sam", "deploy", "-v"),))
    moved = change_request(request, tracking_uri="http://a", out_dir=Path("x"), refresh=True)

    assert digest_settings(moved, command) == digest_settings(request, command)
    digests = {
        digest_settings(request, command),
        digest_settings(request, other),
        digest_settings(change_request(request, rows=7), command),
    }
    assert len(digests) == 3
