"""Registries as MLflow of several versions wrote them, unpacked where a test wants one."""

from __future__ import annotations

import lzma
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests import models

MADE: Final = Path(__file__).parent / "made"
VERSIONS: Final = tuple(
    sorted(path.name.removesuffix(".db.xz").removeprefix("mlflow-") for path in MADE.glob("*.xz"))
)
MODEL: Final = "xgboost_booster"
"""The folder of tests/models that each of them says is the model churn."""
_PLACES: Final = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    path: Path
    run_id: str

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.path}"


def unpack(version: str, folder: Path) -> Written:
    """The registry of MLflow `version` in `folder`/db, its artifacts in `folder`/store."""
    store = folder / "store"
    path = folder / "db" / "mlflow.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(lzma.decompress((MADE / f"mlflow-{version}.db.xz").read_bytes()))
    with closing(sqlite3.connect(path)) as db:
        for table, columns in _PLACES.items():
            known = {row[1] for row in db.execute(f"pragma table_info({table})")}
            for column in known.intersection(columns):
                db.execute(
                    f"update {table} set {column} = replace({column}, ?, ?)",  # noqa: S608
                    ("file:///STORE", store.as_uri()),
                )
        db.commit()
        run_id = str(db.execute("select run_uuid from runs").fetchone()[0])
    shutil.copytree(models.folder(MODEL), store / run_id / "artifacts" / "model")
    return Written(path=path, run_id=run_id)
