"""Ask a deployed app what the registered model answered: `python3 replay_check.py URL`.

It needs Python 3.8 and nothing else. It prints one line of JSON, which has no value of a request
or an answer. The exit code is 0 where every answer is as the proof asks, 1 where one differs or the
app cannot be asked, and 2 where an argument cannot be used. `packager replay` does the same.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import answer_comparison
import over_http
import recorded_requests

REPLAY = Path(__file__).with_name("replay.jsonl")


def read_arguments(argv):
    parser = argparse.ArgumentParser(
        description="Ask a deployed app the recorded requests of its proof, and compare."
    )
    parser.add_argument("url", help="address of the app, as https://APP.azurewebsites.net")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME=VARIABLE",
        help="header to send, and the environment variable that has its value. Repeatable",
    )
    parser.add_argument(
        "--timeout", type=float, default=600, metavar="SECONDS", help="for all of it (600)"
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=0,
        metavar="SECONDS",
        help="of these, in which an app that is not found is asked again (0)",
    )
    return parser.parse_args(argv)


def main(argv):
    given = read_arguments(argv)
    try:
        headers = over_http.read_headers(given.header, os.environ)
        endpoint = over_http.Endpoint(given.url, headers, given.timeout, given.settle)
    except over_http.UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    result = {"check": "replay", "url": endpoint.url, "passed": False}
    try:
        result.update(
            recorded_requests.ask_again(
                REPLAY, endpoint, answer_comparison.split_differences, has_time=endpoint.has_time
            )
        )
    except (OSError, ValueError, over_http.EndpointError) as error:
        result["problem"] = str(error)
    sys.stdout.write(f"{json.dumps(result)}\n")
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
