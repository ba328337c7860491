"""A model that says by type hints what it takes."""

from typing import List, Optional

import mlflow
import pydantic
from mlflow.pyfunc import PythonModel


class Customer(pydantic.BaseModel):
    age: int
    city: str
    note: Optional[str] = None


class Hinted(PythonModel):
    def predict(self, model_input: List[Customer]) -> List[str]:
        return ["%s %d %s" % (each.city, each.age // 10, each.note or "-") for each in model_input]


mlflow.models.set_model(Hinted())
