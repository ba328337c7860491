"""docs/zoo.md: a table of every model, made of the last result of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from tests.zoo.results import count_runs, find_run

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
_HEAD: Final = """\
# Models that were tried

This project's tests have tiny, tidy models. Yours are not like that. So there is a second set,
called the zoo: models as people have them. Some were logged in a project of a hundred packages,
some by older versions of MLflow. Some have column names in other scripts, code of their author's,
or imports that the example does not reach. Look here for one that is like yours.

`make zoo` logs each model in its author's environment, and builds it for Lambda. It then asks the
built function 1,000 fresh rows, and what lies beyond the example: categories never seen, gaps,
branches that import late. It compares the answers with those of MLflow's own scoring in the
author's environment.

- `declared` counts the requirements that the model lists, `shipped` the packages of which
  anything is in the artifact.
- `difference` is the largest between two numbers. 0 is equal to the last bit.
- The tier and the frame are those of [Flavors](flavors.md#measured).

`bench/results/zoo.json` has the last result of each.
"""


class Model(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def about(self) -> str: ...


def write_page(models: Sequence[Model], results: Mapping[str, Mapping[str, Any]]) -> None:
    PAGE.write_text(render_page(models, results), encoding="utf-8")


def render_page(models: Sequence[Model], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Render the counts, the models that were built, those that were refused and the rest."""
    results = _mark_others(
        {each.name: results[each.name] for each in models if each.name in results}
    )
    by_outcome = {
        outcome: [each for each in models if results.get(each.name, {}).get("outcome") == outcome]
        for outcome in ("built", "wrong", "refused", "planned")
    }
    rest = [each.name for each in models if each.name not in results]
    rows = sum(results[each.name]["rows"] for each in by_outcome["built"])
    others = (("planned", "planned and not built yet"), ("rest", "not run"))
    left = {"planned": len(by_outcome["planned"]), "rest": len(rest)}
    counts = (
        f"Of {len(models)} models, {len(by_outcome['built'])} were built and answered {rows:,} rows"
        f" as MLflow does. {len(by_outcome['wrong'])} were built and answered otherwise."
        f" {len(by_outcome['refused'])} were refused."
    )
    counts += "".join(f" {left[kind]} were {words}." for kind, words in others if left[kind])
    parts = [_HEAD, counts + "\n", *_tell_run(results), *_tell_uv(results)]
    if both := [*by_outcome["built"], *by_outcome["wrong"]]:
        parts += ["## Built\n", _BUILT_HEAD]
        parts += [_render_built(each, results[each.name]) for each in both]
    if by_outcome["refused"]:
        parts += [_REFUSED_HEAD]
        parts += [_render_refused(each, results[each.name]) for each in by_outcome["refused"]]
        offered = [row for each in by_outcome["refused"] for row in _list_offered(each, results)]
        parts += [_OFFERED_HEAD, *offered] if offered else []
    if by_outcome["planned"]:
        parts += ["\n## Planned, not built yet\n", _PLANNED_HEAD]
        parts += [_render_planned(each, results[each.name]) for each in by_outcome["planned"]]
    if rest:
        parts.append(f"\n## Not run\n\n{', '.join(rest)}.")
    return "\n".join(parts) + "\n"


_BUILT_HEAD: Final = """\
| model | what it is | target, tier | declared, shipped | MB unzipped, zipped | rows | difference |
|---|---|---|---|---|---|---|"""


_PLANNED_HEAD: Final = """\
| model | what it is | first attempt | declared, shipped |
|---|---|---|---|"""


_REFUSED_HEAD: Final = """
## Refused

Each with the sentence that you get.
"""


_OFFERED_HEAD: Final = """
## Refused, then built as the sentence offers

| model | what was done | target, tier | MB unzipped, zipped | rows | difference |
|---|---|---|---|---|---|"""


_LOGGED_AGAIN: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "code_path_missing": (("logged with code_paths", "code_path_with_data"),),
    "draws_at_random": (("logged with a fixed seed", "seeded_each_time"),),
    "goes_on_drawing": (("logged with a fixed seed", "seeded_each_time"),),
    "calls_a_service": (("logged with its file (artifacts=)", "reads_json"),),
    "logs_to_a_file": (("written in tempfile.gettempdir()", "logs_to_tmp"),),
    "module_forgotten": (("logged with code_paths", "nested_code_paths"),),
}
"""What a refusal offers beside options, done: another model of the zoo, logged as it says."""


def _mark(model: Model, result: Mapping[str, Any]) -> str:
    return f"{model.name} †" if result.get("is_of_another_run") else model.name


def _render_built(model: Model, result: Mapping[str, Any]) -> str:
    about = f"{model.environment}: {model.about}"
    sizes = f"{result['unzipped_bytes'] / 1e6:.0f}, {result['size_bytes'] / 1e6:.0f}"
    counts = f"{result['declared']}, {result['shipped']}"
    if result.get("added"):
        counts += f" ({', '.join(result['added'])} after a miss)"
    tier = f"{result['target']}, {_name_way(result)}"
    cells = (
        _mark(model, result),
        about,
        tier,
        counts,
        sizes,
        f"{result['rows']:,}",
        _tell_difference(result),
    )
    return "| " + " | ".join(_cell(each) for each in cells) + " |"


def _name_way(result: Mapping[str, Any]) -> str:
    """Name how the model runs: by its framework, at a tier and with a frame, or compiled."""
    if result.get("engine", "native") != "native":
        return str(result["engine"])
    return f"{result['tier']} {result['frame']}"


def _render_planned(model: Model, result: Mapping[str, Any]) -> str:
    cells = (
        model.name,
        f"{model.environment}: {model.about}",
        f"{result['target']}, {_name_way(result)}",
        f"{result['declared']}, {result['shipped']}",
    )
    return "| " + " | ".join(_cell(each) for each in cells) + " |"


def _render_refused(model: Model, result: Mapping[str, Any]) -> str:
    return f"- **{_mark(model, result)}** ({model.about}): {_cell(str(result['sentence']))}"


def _list_offered(model: Model, results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """List what became of a refused model by each of the ways that its refusal offers."""
    result = results[model.name]
    for way, tried in result.get("ways", {}).items():
        yield _render_offered(model, result, way, tried)
    for done, name in _LOGGED_AGAIN.get(model.name, ()):
        if name in results and results[name]["outcome"] != "planned":
            yield _render_offered(model, results[name], f"{done}: {name}", results[name])


def _render_offered(
    model: Model, result: Mapping[str, Any], way: str, tried: Mapping[str, Any]
) -> str:
    cells: tuple[str, ...]
    if tried["outcome"] == "refused":
        cells = (_mark(model, result), way, "refused too", "", "", str(tried["sentence"]))
    else:
        told = [f"{tried['target']}, {_name_way(tried)}"] if "target" in tried else ["not built"]
        sizes = ", ".join(
            f"{tried[each] / 1e6:.1f}" for each in ("unzipped_bytes", "size_bytes") if each in tried
        )
        cells = (
            _mark(model, result), way, *told, sizes, f"{tried['rows']:,}", _tell_difference(tried)
        )  # fmt: skip
    return "| " + " | ".join(_cell(each) for each in cells) + " |"


def _tell_difference(result: Mapping[str, Any]) -> str:
    if result["wrong"]:
        return "; ".join(result["wrong"])
    return f"{result['largest']:.0e}" if result["largest"] else "0"


def _mark_others(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mark what is of another commit or day than most results."""
    most = [(commit, day) for _, day, commit in count_runs(results.values())[:1]]
    return {
        name: {**each, "is_of_another_run": find_run(each) not in most}
        for name, each in results.items()
    }


def _tell_run(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Tell which version most results are of, and of which the others."""
    runs = count_runs(results.values())
    told = [f"{count} of {commit} ({day})" for count, day, commit in runs if commit]
    if not told:
        return []
    more = "" if len(runs) == 1 else " Those that are not of the first are marked †."
    return [f"The commit of packager that built them: {', '.join(told)}.{more}\n"]


def _tell_uv(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Tell how far a uv project's model is from the same with the lines that it needs."""
    whole, few = (results.get(name, {}) for name in ("uv_three_columns", "five_lines"))
    if whole.get("outcome") != "built" or few.get("outcome") != "built":
        return []
    share = whole["unzipped_bytes"] / few["unzipped_bytes"] - 1
    sizes = [f"{each['unzipped_bytes'] / 1e6:.1f} MB" for each in (whole, few)]
    zipped = [f"{each['size_bytes'] / 1e6:.1f} MB" for each in (whole, few)]
    sentence = (
        f"A model that lists {whole['declared']} requirements is {sizes[0]} ({zipped[0]} zipped)."
        f" The same model with the {few['declared']} that it needs is {sizes[1]} ({zipped[1]}):"
        f" {share:+.1%}.\n"
    )
    return [sentence]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
