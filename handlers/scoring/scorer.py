"""MLflow's scoring protocol over a loaded model: bytes in, bytes out, no web framework."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from functools import cached_property

from handlers.manifest import Manifest
from handlers.scoring import fast_json, request_parsing
from handlers.scoring.errors import NO_FRAME, SchemaError, ScoringError, TooLargeError
from handlers.scoring.predictor import Predictor
from handlers.scoring.responses import encode, row_count
from handlers.scoring.schema import PLAIN
from handlers.scoring.schema.columns import Table
from handlers.scoring.schema.model_spec import Model
from handlers.scoring.settings import FIXED, Settings
from handlers.values import dataclass, remove_prefix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from handlers.scoring.fast_tables import Reader
    from handlers.scoring.plain.rows import RowReader

_LOG = logging.getLogger(__name__)
_ROW_BYTES = 2048
"""From here on a library's own reading of rows is looked for."""
_REFUSED = "Failed to predict data. \n"
"""How the text of what the model itself refuses begins; MLflow has the data in it."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    rows: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    """Beside the content's type and length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A request that fits the signature, as the model will be handed it."""

    data: Any
    params: dict[str, object] | None
    given: Any
    """`params` as they were sent."""
    unwrapped: bool
    """The answer is written without `predictions`."""
    raw: bool
    """The model checks its own input."""
    sent: Any = None
    """The data before it was held to the signature; kept where errors tell of it."""


class Scorer:
    """One model behind MLflow's four routes; holds no state between requests."""

    def __init__(
        self, manifest: Manifest, predictor: Predictor, settings: Settings | None = None
    ) -> None:
        """Raises KeyError or TypeError where the manifest's signature is none of MLflow's."""
        self.manifest = manifest
        self.settings = settings or Settings.read(manifest)
        self._predictor = predictor
        self._model = Model.read(
            manifest,
            fixed=self.settings.protocol == FIXED,
            keeps_unknown=self.settings.error_details,
        )

    @property
    def head(self) -> bool:
        """True where HEAD is answered where GET is."""
        return self._model.quirks.head

    def ping(self) -> Answer:
        return Answer(200, request_parsing.JSON, b"\n")

    def version(self) -> Answer:
        """Answer as the MLflow that logged the model: its version."""
        return Answer(
            200, request_parsing.JSON, (self.manifest.mlflow_version or "unknown").encode()
        )

    def invocations(self, body: bytes, content_type: str | None) -> Answer:
        """Answer one request; whatever is wrong with it becomes an answer too."""
        try:
            checked = self.read(body, content_type)
            return self.write(self._predict_checked(checked), checked)
        except ScoringError as error:
            return self.refusal(error)
        except RecursionError:
            return self.refusal(ScoringError("The input is nested too deeply."))

    def read(self, body: bytes, content_type: str | None) -> Checked:
        """A body of any of MLflow's content types, held to the signature. Raises ScoringError."""
        try:
            with fast_json.collector_paused(when=len(body) >= fast_json.MANY_BYTES):
                return self.enforce_request(self._parse_body(body, content_type))
        except RecursionError as error:
            raise ScoringError("The input is nested too deeply.") from error

    def write(self, prediction: object, checked: Checked) -> Answer:
        """Raises ScoringError for a prediction that cannot be answered with."""
        encoded = self._encode_prediction(prediction, wrapped=not checked.unwrapped)
        return Answer(200, request_parsing.JSON, encoded, row_count(prediction))

    def enforce_request(self, request: request_parsing.Request) -> Checked:
        """Hold what was parsed to the signature. Raises ScoringError."""
        data, params = self._enforce_signature(request)
        return Checked(
            data=data,
            params=params,
            given=request.params,
            unwrapped=request.unwrapped,
            raw=self._model.untyped,
            sent=request.data if self.settings.error_details else None,
        )

    def refusal(self, error: ScoringError) -> Answer:
        body = error.body(
            details=self.settings.error_details, classified=self._model.quirks.classified
        )
        return Answer(error.status, error.content_type, body)

    def invoke(self, payload: object) -> dict[str, Any]:
        """A direct invoke: decoded JSON in, `{"predictions": ...}` out, ready for JSON.

        An OpenAI-style payload is answered with the model's own object, as over HTTP. Raises
        ScoringError.
        """
        checked = self.check(payload)
        prediction = self.predict(checked.data, checked.params)
        encoded = self._encode_prediction(prediction, wrapped=not checked.unwrapped)
        decoded = json.loads(encoded.decode("ascii"))
        return decoded if isinstance(decoded, dict) else {"predictions": decoded}

    def check(self, payload: object) -> Checked:
        """Decoded JSON of MLflow's forms, held to the signature. Raises ScoringError."""
        try:
            return self.enforce_request(
                request_parsing.parse_json(request_parsing.check_object(payload), self._model)
            )
        except RecursionError as error:
            raise ScoringError("The input is nested too deeply.") from error

    def row(self, value: dict[str, object]) -> dict[str, Any]:
        """The request for one row that is given as an object of column to value."""
        return self.wrap_rows([value])

    def wrap_rows(self, values: Sequence[Mapping[str, object]]) -> dict[str, Any]:
        """The request for rows as objects; their text stands for a name that is a number."""
        if self._model.untyped:
            return {"inputs": values}
        names = {} if self._model.inputs is None else self._model.inputs.numbered
        if names:
            values = [{names.get(name, name): row[name] for name in row} for row in values]
        return {"dataframe_records": values}

    def _parse_body(self, body: bytes, content_type: str | None) -> request_parsing.Request:
        self.check_size(len(body))
        media_type = request_parsing.media_type(content_type, self._model.quirks)
        if media_type == request_parsing.CSV:
            return request_parsing.parse_csv_body(body, self._model, self._reader)
        if media_type == request_parsing.PARQUET:
            return request_parsing.parse_parquet_body(body, self._model)
        if len(body) >= _ROW_BYTES and self._row_reader is not None:
            found = self._row_reader.json(body)
            if found is not None:
                return request_parsing.Request(*found)
        large = len(body) >= fast_json.LARGE_BYTES
        return request_parsing.parse_json_body(body, self._model, self._reader if large else None)

    @cached_property
    def _row_reader(self) -> RowReader | None:
        """None where the model's library reads no rows, or messages would quote what was sent."""
        library = getattr(self._predictor, "row_library", None) if PLAIN else None
        inputs, model = self._model.inputs, self._model
        if library is None or inputs is None or model.untyped or model.keeps_unknown:
            return None
        from handlers.scoring.plain.rows import RowReader

        return RowReader(inputs, library)

    @cached_property
    def _reader(self) -> Reader:
        """Imported for the first body that it may be for."""
        if PLAIN:
            from handlers.scoring.plain.reader import PlainReader

            return PlainReader(self._model.inputs)
        from handlers.scoring.fast_tables import Reader

        return Reader(self._model.inputs)

    def check_size(self, size_bytes: int) -> None:
        """Raises TooLargeError for a request that the platform would not carry."""
        limit = self.settings.request_bytes
        if size_bytes > limit:
            raise TooLargeError(
                f"The request is {size_bytes} bytes and the limit is {limit}. "
                "Send fewer rows a request."
            )

    def _encode_prediction(self, prediction: object, *, wrapped: bool) -> bytes:
        encoded = encode(prediction, wrapped=wrapped, bare_nan=self._model.quirks.bare_nan)
        limit = self.settings.response_bytes
        if len(encoded) > limit:
            raise TooLargeError(
                f"The answer is {len(encoded)} bytes and the limit is {limit}. "
                "Send fewer rows a request."
            )
        return encoded

    def predict(self, data: Any, params: dict[str, object] | None) -> Any:
        """The model's own answer. Raises ScoringError for whatever it raises."""
        try:
            return self._predictor.predict(data, params)
        except ScoringError:
            raise
        except Exception as error:  # the model's own code may raise anything
            raise self._make_failure(error) from error

    def _predict_checked(self, checked: Checked) -> object:
        try:
            return self.predict(checked.data, checked.params)
        except ScoringError as error:
            raise self.quote_request(error, checked) from error

    def quote_request(self, error: ScoringError, checked: Checked) -> ScoringError:
        """Add what was sent to the model's own refusal, as MLflow does, where details are told."""
        if not self.settings.error_details or error.whole is not None:
            return error
        if not error.message.startswith(_REFUSED):
            return error
        from handlers.scoring.schema.enforcement import quote_data

        said = remove_prefix(error.get_whole()(), _REFUSED)
        return ScoringError(
            error.message,
            error_code=error.error_code,
            error_class=error.error_class,
            whole=lambda: f"Failed to predict data{quote_data(checked.sent)}. \n{said}",
            stack_trace=error.stack_trace,
            status=error.status,
        )

    def _enforce_signature(
        self, request: request_parsing.Request
    ) -> tuple[object, dict[str, object] | None]:
        model, data = self._model, request.data
        try:
            if not model.untyped and model.inputs is not None:
                from handlers.scoring.schema.enforcement import enforce

                data = enforce(
                    data, model.inputs, model.quirks, schema_details=self.settings.schema_details
                )
            params: dict[str, object] | None = request.params
            if params is not None or model.params is not None:
                from handlers.scoring.schema.parameters import enforce_params

                params = enforce_params(request.params, model.params, model.quirks)
        except ScoringError as error:
            from handlers.scoring.schema.enforcement import quote_data

            whole, sent = error.get_whole(), request.data
            error.message = f"Failed to predict data. \nError: {error.message}"
            error.whole = lambda: f"Failed to predict data{quote_data(sent)}. \nError: {whole()}"
            raise
        if isinstance(data, Table):
            from handlers.scoring.schema.frames import to_arrays, to_dataframe

            try:
                data = to_dataframe(data) if model.pandas else to_arrays(data)
            except (ValueError, TypeError) as error:  # a lone surrogate is no text of pyarrow's
                raise SchemaError(
                    "Failed to predict data. \nError: Failed to enforce schema of data with schema "
                    f"'{model.inputs}'. Error: {NO_FRAME}",
                    detail=str(error),
                ) from error
        return data, params

    def _make_failure(self, error: Exception) -> ScoringError:
        """The model's exception as an answer; its text, which may hold data, is not logged."""
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        _LOG.error(
            "The model raised %s at %s:%s", type(error).__name__, frame.f_code.co_filename, line
        )
        code, message = getattr(error, "error_code", None), getattr(error, "message", None)
        if isinstance(code, str) and isinstance(message, str):  # an MlflowException, or its like
            error_class = getattr(error, "error_class", None)
            return ScoringError(
                f"{_REFUSED}Error: {message}",
                error_code=code,
                error_class=error_class and str(getattr(error_class, "value", error_class)),
            )
        return ScoringError(
            "Encountered an unexpected error while evaluating the model. Verify that the "
            "serialized input Dataframe is compatible with the model for inference.",
            stack_trace=lambda: "".join(
                traceback.format_exception(type(error), error, error.__traceback__)
            ),
        )
