#!/bin/sh
# rollout.sh ARTIFACT IMAGE@sha256:DIGEST PERCENT: deploy a version without traffic, ask it the recorded
# requests of its proof at the address of its tag, and send it PERCENT of the requests if it passes.
# SERVICE (model) and REGION name the service. Needs gcloud and python3, and the role Cloud Run Invoker.
# REPLAY_TOKEN is a token for a server that asks for one.
set -eu
. "$(dirname "$0")/../replay/check-arguments.sh"
service=${SERVICE:-model}
region=${REGION:?set REGION to the region of the service, as europe-west1}
# read_traffic share|address|split: of the tag `candidate` its part of the requests or its address; or
# who has the requests, as REVISION=PERCENT,...
read_traffic() {
  described=$(gcloud run services describe "$service" --region "$region" --format json) || return 1
  printf '%s' "$described" | python3 -c '
import json, sys
shares, tagged = {}, {}
for each in json.load(sys.stdin)["status"]["traffic"]:
    name = each.get("revisionName", "LATEST")
    shares[name] = shares.get(name, 0) + (each.get("percent") or 0)
    if each.get("tag") == "candidate":
        tagged = each
if sys.argv[1] == "share":
    print(shares.get(tagged.get("revisionName"), 0))
elif sys.argv[1] == "address":
    print(tagged.get("url") or sys.exit("The service has no tag candidate."))
else:
    print(",".join("%s=%d" % each for each in shares.items() if each[1]))' "$1"
}

# a deployment moves the tag alone: the share of an earlier candidate would stay, with no name any more.
# A candidate that has all requests is the version that serves.
share=$(read_traffic share)
if [ "$share" -gt 0 ] && [ "$share" -lt 100 ]; then
  gcloud run services update-traffic "$service" --region "$region" --to-tags candidate=0 --quiet
fi
split=$(read_traffic split)
gcloud run deploy "$service" --region "$region" --image "$image" --no-traffic --tag candidate --quiet

# x-serverless-authorization is for Cloud Run alone: authorization stays free for the server's own token
set -- --header x-serverless-authorization=REPLAY_INVOKER
if [ -n "${REPLAY_TOKEN:-}" ]; then
  REPLAY_TOKEN="Bearer ${REPLAY_TOKEN#Bearer }"
  export REPLAY_TOKEN
  set -- "$@" --header authorization=REPLAY_TOKEN
fi
if ! address=$(read_traffic address) || ! identity=$(gcloud auth print-identity-token) ||
  ! REPLAY_INVOKER="Bearer $identity" python3 "$artifact/replay/replay_check.py" "$address" \
    --settle 60 --timeout 900 "$@"; then
  echo "The new version gets no traffic. It stays at its tag; to remove that:" >&2
  echo "  gcloud run services update-traffic $service --region $region --remove-tags candidate" >&2
  exit 1
fi

gcloud run services update-traffic "$service" --region "$region" --to-tags "candidate=$percent" --quiet
echo "All:  gcloud run services update-traffic $service --region $region --to-tags candidate=100"
# by their names: Cloud Run refuses to take the last requests from a version without saying who gets them
echo "Back: gcloud run services update-traffic $service --region $region --to-revisions $split"
