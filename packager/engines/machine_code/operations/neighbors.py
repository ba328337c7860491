"""Nearest points of a row: among all, or as a tree of them is walked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from packager.engines.machine_code.form import Step
from packager.engines.machine_code.operations.interface import (
    Operation,
    Scratch,
    block,
    check_array,
    check_inputs,
    check_range,
    check_whole,
    constant,
)

_DOUBLE: Final = frozenset({"double"})
_METRICS: Final[Mapping[str, int]] = {"squared": 0, "manhattan": 1, "chebyshev": 2}
APART: Final[Mapping[str, tuple[str, str]]] = {
    "distance": ("+= {}", "0"),
    "connectivity": ("+= 1", "0"),
    "reach": ("= {}", "INFINITY"),
}
"""What makes a near point's column, and what stands for another point.

One that a search names twice counts twice, as in a sparse matrix.
"""
HEAP: Final = """\
/* A heap of the least: the greatest of them is first, and leaves for one that is less, or NaN. */
__attribute__((unused))
static void keep_near(double *far, int64_t *near, int64_t count, double distance, int64_t point) {
  if (distance >= far[0]) return;
  int64_t at = 0;
  for (;;) {
    int64_t child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && !(far[child] >= far[child + 1])) child++;
    if (!(far[child] > distance)) break;
    far[at] = far[child];
    near[at] = near[child];
    at = child;
  }
  far[at] = distance;
  near[at] = point;
}
"""
_WALK: Final = """\
struct cloud {
  const double *points, *bounds;
  const int32_t *starts, *ends;
  const uint8_t *leaf;
  int64_t columns, nodes, metric, count;
};

static double add_distance(double sum, double apart, int64_t metric) {
  if (metric == 0) return sum + apart * apart;
  if (metric == 1) return sum + fabs(apart);
  return fmax(sum, fabs(apart));
}

/* How near a point of the node's box can be. */
static double bound_node(const struct cloud *cloud, int64_t node, const double *x) {
  const double *const low = cloud->bounds + node * cloud->columns;
  const double *const high = low + cloud->nodes * cloud->columns;
  double sum = 0;
  for (int64_t i = 0; i < cloud->columns; i++) {
    const double below = low[i] - x[i], above = x[i] - high[i];
    sum = add_distance(sum, 0.5 * ((below + fabs(below)) + (above + fabs(above))), cloud->metric);
  }
  return sum;
}

static void walk_cloud(const struct cloud *cloud, int64_t node, double bound, const double *x,
                       double *far, int64_t *near) {
  if (bound > far[0]) return;
  if (cloud->leaf[node]) {
    for (int64_t at = cloud->starts[node]; at < cloud->ends[node]; at++) {
      const double *const point = cloud->points + at * cloud->columns;
      double sum = 0;
      for (int64_t i = 0; i < cloud->columns; i++)
        sum = add_distance(sum, x[i] - point[i], cloud->metric);
      keep_near(far, near, cloud->count, sum, at);
    }
    return;
  }
  int64_t one = 2 * node + 1, other = one + 1;
  double first = bound_node(cloud, one, x), second = bound_node(cloud, other, x);
  if (!(first <= second)) {
    const double kept = first;
    first = second, second = kept;
    one++, other--;
  }
  walk_cloud(cloud, one, first, x, far, near);
  walk_cloud(cloud, other, second, x, far, near);
}
"""


def _check_answers(step: Step, points: int) -> None:
    check_inputs(step, 1, _DOUBLE)
    check_whole(step, "count", 1, points + 1)
    check_whole(step, "first", 0, points)
    flags = (step.parameters["closer"], step.parameters["refuses"])
    if step.kind != "double" or not all(isinstance(each, bool) for each in flags):
        raise step.fail("neighbours of another form")
    if not step.parameters["apart"]:
        check_array(step, "values", points * step.width, "<f8")
        return
    check_apart(step)
    check_array(step, "places", points, "<i4")
    check_range(step, "places", 0, step.width)


def check_apart(step: Step) -> None:
    """Raises FormError where `apart` does not say what stands for a point."""
    if step.parameters["apart"] not in APART:
        raise step.fail("an answer that is not known")


def _check_nearest(step: Step) -> None:
    _check_answers(step, step.inputs[0].width)


def _write_nearest(step: Step) -> Iterable[str]:
    yield from _begin(step, "DBL_MAX")
    yield f"for (int64_t p = 0; p < {step.inputs[0].width}; p++)"
    yield f"  keep_near(far, near, count, {block(step.inputs[0])}[p], p);"
    yield from _finish(step, "far[n]")


def _check_walk(step: Step) -> None:
    check_inputs(step, 1, _DOUBLE)
    if step.parameters["metric"] not in _METRICS:
        raise step.fail("a metric that is not known")
    columns = step.inputs[0].width
    points, rest = divmod(len(step.array("points")), columns)
    nodes = len(step.array("leaf"))
    if rest or not nodes:
        raise step.fail("points of another width")
    _check_answers(step, points)
    check_array(step, "points", points * columns, "<f8")
    check_array(step, "bounds", 2 * nodes * columns, "<f8")
    check_array(step, "leaf", nodes, "|u1")
    for name in ("starts", "ends"):
        check_array(step, name, nodes, "<i4")
        check_range(step, name, 0, points + 1)
    inner = [node for node, leaf in enumerate(step.array("leaf").tolist()) if not leaf]
    if inner and 2 * inner[-1] + 2 >= nodes:
        raise step.fail("a node whose children are not there")


def _write_walk(step: Step) -> Iterable[str]:
    yield from _begin(step, "INFINITY")
    yield "const struct cloud cloud = {"
    for name in ("points", "bounds", "starts", "ends", "leaf"):
        yield f"  .{name} = {constant(step, name)},"
    yield f"  .columns = {step.inputs[0].width}, .nodes = {len(step.array('leaf'))},"
    yield f"  .metric = {_METRICS[step.parameters['metric']]}, .count = count,"
    yield "};"
    yield f"const double *const x = {block(step.inputs[0])};"
    yield "walk_cloud(&cloud, 0, bound_node(&cloud, 0, x), x, far, near);"
    root = step.parameters["metric"] == "squared"
    yield from _finish(step, "sqrt(far[n])" if root else "far[n]")


def list_near(step: Step) -> Iterable[Scratch]:
    """Distances of the nearest, and which points they are."""
    if step.parameters["count"]:
        yield Scratch("double", "far", step.parameters["count"])
        yield Scratch("int64_t", "near", step.parameters["count"])


def _begin(step: Step, farthest: str) -> Iterable[str]:
    """Nothing is near yet: the model's first point stands for what is missing."""
    count = step.parameters["count"]
    yield f"enum {{ count = {count} }};"
    yield "for (int64_t n = 0; n < count; n++) {"
    yield f"  far[n] = {farthest}, near[n] = {step.parameters['first']};"
    yield "}"


def _finish(step: Step, distance: str) -> Iterable[str]:
    """Means of the nearest points' values, each alike or by its distance's reciprocal.

    Where `apart` is said a column for each point instead: how far it is, or 1.
    """
    if apart := step.parameters["apart"]:
        near, other = APART[apart]
        yield f"for (int64_t k = 0; k < {step.width}; k++) {block(step)}[k] = {other};"
        yield "for (int64_t n = 0; n < count; n++)"
        yield f"  {block(step)}[{constant(step, 'places')}[near[n]]] {near.format(distance)};"
        return
    yield "double total = 0;"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {block(step)}[k] = 0;"
    closer = step.parameters["closer"]
    if closer:
        yield "int touching = 0;"
        yield "for (int64_t n = 0; n < count; n++) touching |= far[n] == 0;"
    yield "for (int64_t n = 0; n < count; n++) {"
    yield f"  const double by = {f'touching ? far[n] == 0 : 1 / {distance}' if closer else '1'};"
    yield f"  const double *const value = {constant(step, 'values')} + near[n] * {step.width};"
    yield "  total += by;"
    yield f"  for (int64_t k = 0; k < {step.width}; k++) {block(step)}[k] += by * value[k];"
    yield "}"
    if step.parameters["refuses"]:
        yield "if (total == 0) return 1;"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {block(step)}[k] /= total;"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "nearest": Operation(_check_nearest, _write_nearest, (HEAP,), list_near),
    "walk": Operation(_check_walk, _write_walk, (HEAP, _WALK), list_near),
}
