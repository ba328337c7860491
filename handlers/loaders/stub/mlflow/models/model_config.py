"""ModelConfig: the configuration that was logged, or while developing the author's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_LOGGED: list[Any] = []
"""Set by the loader while the model's code runs; an empty text where none was logged."""


class ModelConfig:
    def __init__(self, *, development_config: str | dict[str, object] | None = None) -> None:
        self.config = _LOGGED[0] if _LOGGED else development_config
        missing = isinstance(self.config, str) and not Path(self.config).is_file()
        if not self.config or missing:
            msg = "Config file is not provided which is needed to load the model."
            raise FileNotFoundError(msg)

    def to_dict(self) -> dict[str, object]:
        if isinstance(self.config, dict):
            return self.config
        import yaml

        with Path(str(self.config)).open(encoding="utf-8") as file:
            return dict(yaml.safe_load(file))

    def get(self, key: str) -> Any:
        """Raises KeyError for a key that is not there."""
        return self.to_dict()[key]
