"""Scores a table with Spark.

    spark-submit --py-files batch_predictor.py batch_spark.py IN OUT

IN is a file or folder of Parquet, CSV or JSON Lines, by its name's end (Parquet where it has none);
OUT becomes a folder of Parquet files: the table with the columns `prediction`, as JSON, and
`error`. On a cluster the function's folder must be on every node: --archives function.zip#function
and --function function.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from batch_predictor import FUNCTION, Predictor, scored
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType


def read(spark: SparkSession, path: str):
    if path.endswith(".csv"):
        return spark.read.csv(path, header=True, inferSchema=True)
    return spark.read.json(path) if path.endswith("l") else spark.read.parquet(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--function", default=FUNCTION, help="its folder, on every node")
    given = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    table = read(spark, given.input)
    folder = given.function

    def score(frames: Iterator) -> Iterator:
        predictor = Predictor(folder)
        try:
            for frame in frames:
                yield scored(predictor, frame)
        finally:
            predictor.close()

    more = [StructField("prediction", StringType()), StructField("error", StringType())]
    schema = StructType([*table.schema.fields, *more])
    table.mapInPandas(score, schema).write.mode("overwrite").parquet(given.output)


if __name__ == "__main__":
    main()
