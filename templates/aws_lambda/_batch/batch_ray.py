"""Scores a table with Ray Data.

    python batch_ray.py IN OUT [--actors 2] [--rows 1000]

IN is a file or folder, or an address that Ray reads (s3://...), of Parquet, CSV or JSON Lines, by
its name's end (Parquet where it has none); OUT becomes a folder of Parquet files: the table with
the columns `prediction`, as JSON, and `error`.
"""

from __future__ import annotations

import argparse

import ray
from batch_predictor import FUNCTION, Predictor, scored


class Score:
    """One process of the function's in each actor."""

    def __init__(self, folder: str) -> None:
        self._predictor = Predictor(folder)

    def __call__(self, frame):
        return scored(self._predictor, frame)


def read(path: str):
    if path.endswith(".csv"):
        return ray.data.read_csv(path)
    return ray.data.read_json(path) if path.endswith("l") else ray.data.read_parquet(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--actors", type=int, default=2, help="at most, over all nodes")
    parser.add_argument("--rows", type=int, default=1000, help="of one call")
    parser.add_argument("--function", default=FUNCTION, help="its folder, on every node")
    given = parser.parse_args()
    read(given.input).map_batches(
        Score,
        fn_constructor_args=(given.function,),
        batch_size=given.rows,
        batch_format="pandas",
        # one is enough to begin with, and half a CPU each: reading needs some of the same CPUs
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=given.actors),
        num_cpus=0.5,
    ).write_parquet(given.output)


if __name__ == "__main__":
    main()
