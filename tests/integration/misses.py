"""Run in a function's folder: three answers, and after the first an import nobody foresaw."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from handlers.aws_lambda import handler

event = json.loads(Path("model/serving_input_example.json").read_text(encoding="utf-8"))
context = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb="1024",
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:function",
    aws_request_id="00000000-0000-4000-8000-000000000000",
)
handler(event, context)

import scipy.signal  # noqa: E402 - in the middle is what is shown

handler(event, context)
handler(event, context)
filtered = scipy.signal.medfilt([1.0, 2.0, 3.0], 1).tolist()
where = sys.modules["scipy.signal._sigtools"].__file__ or ""
place = where.partition("/cold-store-")[2].partition("/")[2].partition(".")[0]
source = Path(scipy.signal.__file__)  # in the store, and told of as if it lay there
sys.stdout.write(f"{filtered} {place} {source.exists()}\n")
