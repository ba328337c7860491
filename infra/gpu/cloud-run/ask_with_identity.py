"""Run replay_check.py with an identity token of the service account that this runs as.

`ask_with_identity.py AUDIENCE ADDRESS ...`: the audience is the address of the service itself, even
where one of its tags is asked. Cloud Run's metadata server makes the token; no argument has it.
"""

import os
import sys
import urllib.parse
import urllib.request
from pathlib import Path

_WAIT_SECONDS = 30


def fetch_token(audience: str) -> str:
    """Raises OSError where there is no metadata server."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    path = "computeMetadata/v1/instance/service-accounts/default/identity"
    query = urllib.parse.urlencode({"audience": audience})
    request = urllib.request.Request(
        f"http://{host}/{path}?{query}", headers={"Metadata-Flavor": "Google"}
    )
    with urllib.request.urlopen(request, timeout=_WAIT_SECONDS) as answer:  # noqa: S310 - http
        token: str = answer.read().decode()
    return token


def main(audience: str, *words: str) -> None:
    """Become the check, whose exit code is the job's."""
    check = str(Path(__file__).with_name("replay_check.py"))
    header = ["--header", "x-serverless-authorization=REPLAY_INVOKER"]
    token = fetch_token(audience)
    environment = {**os.environ, "REPLAY_INVOKER": f"Bearer {token}"}
    os.execve(sys.executable, [sys.executable, check, *words, *header], environment)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
