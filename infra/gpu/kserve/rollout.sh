#!/bin/sh
# rollout.sh ARTIFACT IMAGE@sha256:DIGEST PERCENT: start a version without traffic, ask it the recorded
# requests of its proof by a Job, and send it PERCENT of the requests if it passes.
# NAMESPACE (models) and SERVICE (model) name the InferenceService. Needs kubectl, and KServe on Knative.
set -eu
. "$(dirname "$0")/../replay/check-arguments.sh"
namespace=${NAMESPACE:-models}
service=${SERVICE:-model}
read_revision() {
  kubectl -n "$namespace" get inferenceservice "$service" -o "jsonpath={.status.components.predictor.$1}"
}
patch() {
  kubectl -n "$namespace" patch inferenceservice "$service" --type json -p "$1"
}

before=$(read_revision latestCreatedRevision)
patch "[{\"op\":\"add\",\"path\":\"/spec/predictor/canaryTrafficPercent\",\"value\":0},
  {\"op\":\"replace\",\"path\":\"/spec/predictor/containers/0/image\",\"value\":\"$image\"}]"

# until then the tag `latest` is the version that has the traffic
waited=0
while created=$(read_revision latestCreatedRevision) &&
  { [ "$created" = "$before" ] || [ "$(read_revision latestReadyRevision)" != "$created" ]; }; do
  if [ "$waited" -ge "${WAIT_SECONDS:-660}" ]; then
    echo "No new revision became ready: the image is the one that runs already, or it does not start." >&2
    echo "  kubectl -n $namespace get revisions -l serving.kserve.io/inferenceservice=$service" >&2
    exit 1
  fi
  sleep "${POLL_SECONDS:-3}"
  waited=$((waited + ${POLL_SECONDS:-3}))
done

if ! sh "$(dirname "$0")/../replay/replay-job.sh" "$artifact" "$image" \
  "http://latest-$service-predictor.$namespace.svc.cluster.local"; then
  echo "The new version gets no traffic. To go back, set the image that served before: its revision is" >&2
  echo "  $(read_revision latestRolledoutRevision)" >&2
  exit 1
fi

if [ "$percent" = 100 ]; then
  patch '[{"op":"remove","path":"/spec/predictor/canaryTrafficPercent"}]'
else
  patch "[{\"op\":\"replace\",\"path\":\"/spec/predictor/canaryTrafficPercent\",\"value\":$percent}]"
fi
