#!/bin/sh
# rollout.sh ARTIFACT IMAGE@sha256:DIGEST PERCENT: start a version beside the one that serves, ask it the
# recorded requests of its proof by a Job, and send it PERCENT of the requests if it passes.
# NAMESPACE (models) is where kubernetes/server.yaml and route.yaml were applied. Needs kubectl.
set -eu
. "$(dirname "$0")/../replay/check-arguments.sh"
namespace=${NAMESPACE:-models}
here=$(dirname "$0")
divide() {
  kubectl -n "$namespace" patch httproute model --type json -p "[
    {\"op\":\"replace\",\"path\":\"/spec/rules/0/backendRefs/0/weight\",\"value\":$((100 - $1))},
    {\"op\":\"replace\",\"path\":\"/spec/rules/0/backendRefs/1/weight\",\"value\":$1}]"
}

# an earlier candidate may have traffic, which must not meet a version that was not asked
left="An earlier candidate may have lost its share of the requests. Nothing else was changed. To see the weights:
  kubectl -n $namespace get httproute model -o yaml"
divide 0
left="The new version gets no traffic. To remove it:
  kubectl -n $namespace scale deployment/model-candidate --replicas 0"
sed -e "s|image: .*|image: $image|" "$here/candidate.yaml" | kubectl -n "$namespace" apply -f -
kubectl -n "$namespace" rollout status deployment/model-candidate --timeout 660s
sh "$here/../replay/replay-job.sh" "$artifact" "$image" "http://model-candidate"
left="The new version passed its check, and may get $percent % of the requests. To see the weights, and to take its share away:
  kubectl -n $namespace get httproute model -o yaml
  kubectl -n $namespace patch httproute model --type json -p '[{\"op\":\"replace\",\"path\":\"/spec/rules/0/backendRefs/0/weight\",\"value\":100},{\"op\":\"replace\",\"path\":\"/spec/rules/0/backendRefs/1/weight\",\"value\":0}]'"
divide "$percent"
