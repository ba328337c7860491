#!/bin/sh
# rollout.sh ARTIFACT IMAGE@sha256:DIGEST PERCENT: deploy a version without traffic, ask it the recorded
# requests of its proof at the address of its tag, and send it PERCENT of the requests if it passes.
# SERVICE (model) and REGION name the service. Needs gcloud and python3, and the role Cloud Run Invoker.
set -eu
. "$(dirname "$0")/../replay/check-arguments.sh"
service=${SERVICE:-model}
region=${REGION:?set REGION to the region of the service, as europe-west1}
address() {
  gcloud run services describe "$service" --region "$region" --format json | python3 -c '
import json, sys
traffic = json.load(sys.stdin)["status"]["traffic"]
print(next(each["url"] for each in traffic if each.get("tag") == "candidate"))'
}

# an earlier candidate may have traffic: the tag moves, and its share must not move along
gcloud run deploy "$service" --region "$region" --image "$image" --no-traffic --tag candidate --quiet

# this header is for Cloud Run alone: authorization stays free for a token that the server asks for
REPLAY_INVOKER="Bearer $(gcloud auth print-identity-token)"
export REPLAY_INVOKER
if ! python3 "$artifact/replay/replay_check.py" "$(address)" --settle 60 --timeout 900 \
  --header x-serverless-authorization=REPLAY_INVOKER; then
  echo "The new version gets no traffic. It stays at its tag; to remove that:" >&2
  echo "  gcloud run services update-traffic $service --region $region --remove-tags candidate" >&2
  exit 1
fi

gcloud run services update-traffic "$service" --region "$region" --to-tags "candidate=$percent" --quiet
echo "All:  gcloud run services update-traffic $service --region $region --to-tags candidate=100"
echo "Back: gcloud run services update-traffic $service --region $region --to-tags candidate=0"
