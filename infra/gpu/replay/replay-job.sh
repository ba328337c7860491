#!/bin/sh
# replay-job.sh ARTIFACT IMAGE ADDRESS: ask the version at ADDRESS the recorded requests of ARTIFACT's
# proof, by a Job in NAMESPACE (models). Ends with 0 only if every answer is as the proof asks.
set -eu
artifact=$1 image=$2 address=$3
namespace=${NAMESPACE:-models}
here=$(dirname "$0")

kubectl -n "$namespace" create configmap model-replay --from-file="$artifact/replay" \
  --dry-run=client -o yaml | kubectl -n "$namespace" apply --server-side --force-conflicts -f -
kubectl -n "$namespace" delete job model-replay --ignore-not-found --wait
sed -e "s|image: .*|image: $image|" -e "s|\"http://model-candidate\"|\"$address\"|" "$here/replay-job.yaml" |
  kubectl -n "$namespace" apply -f -

waited=0
while [ "$waited" -lt 1260 ]; do
  ended=$(kubectl -n "$namespace" get job model-replay \
    -o 'jsonpath={.status.conditions[?(@.status=="True")].type}')
  case "$ended" in
    *Complete*) kubectl -n "$namespace" logs job/model-replay; exit 0 ;;
    *Failed*)
      kubectl -n "$namespace" logs job/model-replay || true
      echo "The version does not answer as the registered model does, or could not be asked." >&2
      exit 1
      ;;
  esac
  sleep "${POLL_SECONDS:-3}"
  waited=$((waited + ${POLL_SECONDS:-3}))
done
echo "The Job model-replay did not end: kubectl -n $namespace describe job model-replay" >&2
exit 1
