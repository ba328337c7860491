#!/bin/sh
# replay-job.sh ARTIFACT IMAGE ADDRESS: ask the version at ADDRESS the recorded requests of ARTIFACT's
# proof, by a Job in NAMESPACE (models). Ends with 0 only if every answer is as the proof asks.
# SERVICE (model) is in the Job's name. REPLAY_TOKEN is a token for a server that asks for one.
set -eu
artifact=$1 image=$2 address=$3
namespace=${NAMESPACE:-models}
here=$(dirname "$0")
# rollouts of a namespace must not meet: each version at each address has a Job of its own
name=model-replay-$(printf '%.30s' "${SERVICE:-model}")-$(printf '%s %s' "$address" "$image" | cksum | cut -d ' ' -f 1)
apply() {
  kubectl -n "$namespace" apply --server-side --force-conflicts -f -
}
remove_inputs() {
  kubectl -n "$namespace" delete configmap,secret "$name" --ignore-not-found --wait=false >/dev/null ||
    echo "Remove what is left: kubectl -n $namespace delete configmap,secret $name" >&2
}
begun=
tidy() {
  ended=$?
  trap '' HUP INT TERM
  remove_inputs
  [ "$ended" -eq 0 ] || [ -z "$begun" ] ||
    echo "The Job $name stays, and ends by itself. To remove it: kubectl -n $namespace delete job $name" >&2
}
trap tidy EXIT
trap 'exit 1' HUP INT TERM

kubectl -n "$namespace" create configmap "$name" --from-file="$artifact/replay" --dry-run=client -o yaml | apply
header=
if [ -n "${REPLAY_TOKEN:-}" ]; then
  # by a Secret: no argument has the token, here or in the cluster
  printf 'Bearer %s' "${REPLAY_TOKEN#Bearer }" |
    kubectl -n "$namespace" create secret generic "$name" --from-file=token=/dev/stdin --dry-run=client -o yaml | apply
  header=" --header, authorization=REPLAY_TOKEN,"
fi
kubectl -n "$namespace" delete job "$name" --ignore-not-found --wait
begun=yes
sed -e "s|image: .*|image: $image|" -e "s|name: model-replay\$|name: $name|" -e "s|name: model-replay\([,}]\)|name: $name\1|" \
  -e "s|\"http://model-candidate\",|\"$address\",$header|" "$here/replay-job.yaml" |
  kubectl -n "$namespace" apply -f -

waited=0
while [ "$waited" -lt "${JOB_SECONDS:-1260}" ]; do
  # a read that fails says nothing about the Job
  ended=$(kubectl -n "$namespace" get job "$name" \
    -o 'jsonpath={.status.conditions[?(@.status=="True")].type}') || ended=
  case "$ended" in
    *Failed*)
      kubectl -n "$namespace" logs "job/$name" || true
      echo "The version does not answer as the registered model does, or could not be asked." >&2
      exit 1
      ;;
    *Complete*) kubectl -n "$namespace" logs "job/$name" || true; exit 0 ;;
  esac
  sleep "${POLL_SECONDS:-3}"
  waited=$((waited + ${POLL_SECONDS:-3}))
done
echo "The Job $name did not end: kubectl -n $namespace describe job $name" >&2
exit 1
