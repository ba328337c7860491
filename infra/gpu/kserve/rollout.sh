#!/bin/sh
# rollout.sh ARTIFACT IMAGE@sha256:DIGEST PERCENT: start a version without traffic, ask it the recorded
# requests of its proof by a Job, and send it PERCENT of the requests if it passes. The image that is
# there already keeps its share until it has passed: so a canary goes from 10 to 100.
# NAMESPACE (models) and SERVICE (model) name the InferenceService. Needs kubectl, and KServe on Knative.
# REPLAY_TOKEN is a token for a server that asks for one.
set -eu
. "$(dirname "$0")/../replay/check-arguments.sh"
namespace=${NAMESPACE:-models}
service=${SERVICE:-model}
image_path=/spec/predictor/containers/0/image
share_path=/spec/predictor/canaryTrafficPercent
read_field() {
  kubectl -n "$namespace" get inferenceservice "$service" -o "jsonpath={$1}"
}
read_revision() {
  read_field ".status.components.predictor.$1"
}
patch() {
  kubectl -n "$namespace" patch inferenceservice "$service" --type json -p "$1"
}
# until then the tag `latest` is the version that has the traffic; a read that fails says nothing
is_ready() {
  created=$(read_revision latestCreatedRevision) || return 1
  ready=$(read_revision latestReadyRevision) || return 1
  [ -n "$created" ] && [ "$created" != "$before" ] && [ "$ready" = "$created" ]
}

take_away="kubectl -n $namespace patch inferenceservice $service --type json -p '[{\"op\":\"add\",\"path\":\"$share_path\",\"value\":0}]'"
present=$(read_field '.spec.predictor.containers[0].image')
if [ "$present" = "$image" ]; then
  before=
  left="Nothing was changed: the version keeps the share that it has. To take that away:
  $take_away"
else
  before=$(read_revision latestCreatedRevision)
  left="The new version gets no traffic. To go back, set the image of the revision that serves, which this names:
  kubectl -n $namespace get inferenceservice $service -o 'jsonpath={.status.components.predictor.latestRolledoutRevision}'"
  patch "[{\"op\":\"add\",\"path\":\"$share_path\",\"value\":0},
    {\"op\":\"replace\",\"path\":\"$image_path\",\"value\":\"$image\"}]"
fi

waited=0
until is_ready; do
  if [ "$waited" -ge "${WAIT_SECONDS:-660}" ]; then
    echo "The revision of this image did not become ready: it does not start, or the cluster did not say so." >&2
    echo "  kubectl -n $namespace get revisions -l serving.kserve.io/inferenceservice=$service" >&2
    exit 1
  fi
  sleep "${POLL_SECONDS:-3}"
  waited=$((waited + ${POLL_SECONDS:-3}))
done

SERVICE="$service" sh "$(dirname "$0")/../replay/replay-job.sh" "$artifact" "$image" \
  "http://latest-$service-predictor.$namespace.svc.cluster.local"

left="The version passed its check, and may get $percent % of the requests. To see its share, and to take it away:
  kubectl -n $namespace get inferenceservice $service -o yaml
  $take_away"
# the image is tested in the same patch: nobody's other version gets this share
same="{\"op\":\"test\",\"path\":\"$image_path\",\"value\":\"$image\"}"
if [ "$percent" = 100 ]; then
  # what is not there cannot be removed
  patch "[$same,{\"op\":\"add\",\"path\":\"$share_path\",\"value\":100},{\"op\":\"remove\",\"path\":\"$share_path\"}]"
else
  patch "[$same,{\"op\":\"add\",\"path\":\"$share_path\",\"value\":$percent}]"
fi
