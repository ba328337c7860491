#!/bin/sh
# rollout.sh ARTIFACT IMAGE@sha256:DIGEST PERCENT: deploy a version without traffic, ask it the recorded
# requests of its proof at the address of its tag, and send it PERCENT of the requests if it passes.
# SERVICE (model) and REGION name the service. Needs gcloud and python3.
# With REPLAY_BUCKET, a bucket of Cloud Storage, a Cloud Run job asks them: replay-job.yaml. The project's
# default service account, or the one that REPLAY_ACCOUNT names, needs the role Cloud Run Invoker, and
# Storage Object Viewer on the bucket. REPLAY_TOKEN_SECRET names a secret of Secret Manager with the token
# of a server that asks for one.
# Without it this machine asks, by your own login: you need the role. REPLAY_TOKEN is such a token.
set -eu
here=$(dirname "$0")
. "$(dirname "$0")/../replay/check-arguments.sh"
service=${SERVICE:-model}
region=${REGION:?set REGION to the region of the service, as europe-west1}
bucket=${REPLAY_BUCKET:-}
[ -z "$bucket" ] || printf '%s\n' "$bucket" | grep -Eqx '[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]' ||
  refuse "REPLAY_BUCKET=$bucket is no bucket's name: write it without gs://."
[ -z "$bucket" ] || [ -z "${REPLAY_TOKEN:-}" ] ||
  refuse "A job gets its token from Secret Manager: name the secret in REPLAY_TOKEN_SECRET, and leave REPLAY_TOKEN out."
for word in "${REPLAY_TOKEN_SECRET:-}" "${REPLAY_ACCOUNT:-}" "$service"; do
  case "$word" in
    *[!A-Za-z0-9@._-]*) refuse "$word is no name that Google Cloud takes." ;;
  esac
done
# read_traffic share|address|audience|split: of the tag `candidate` its part of the requests or its
# address; the service's own address; or who has the requests, as REVISION=PERCENT,...
read_traffic() {
  described=$(gcloud run services describe "$service" --region "$region" --format json) || return 1
  printf '%s' "$described" | python3 -c '
import json, sys
shares, tagged = {}, {}
status = json.load(sys.stdin)["status"]
for each in status["traffic"]:
    name = each.get("revisionName", "LATEST")
    shares[name] = shares.get(name, 0) + (each.get("percent") or 0)
    if each.get("tag") == "candidate":
        tagged = each
if sys.argv[1] == "share":
    print(shares.get(tagged.get("revisionName"), 0))
elif sys.argv[1] == "audience":
    print(status.get("url") or sys.exit("The service has no address."))
elif sys.argv[1] == "address":
    print(tagged.get("url") or sys.exit("The service has no tag candidate."))
else:
    print(",".join("%s=%d" % each for each in shares.items() if each[1]))' "$1"
}

# a deployment moves the tag alone: the share of an earlier candidate would stay, with no name any more.
# A candidate that has all requests is the version that serves.
share=$(read_traffic share)
split=$(read_traffic split)
back="gcloud run services update-traffic $service --region $region --to-revisions $split"
if [ "$share" -gt 0 ] && [ "$share" -lt 100 ]; then
  left="The earlier candidate may have lost its share of the requests. Nothing else was changed. To give it back:
  $back"
  gcloud run services update-traffic "$service" --region "$region" --to-tags candidate=0 --quiet
  split=$(read_traffic split)
  back="gcloud run services update-traffic $service --region $region --to-revisions $split"
fi
left="The new version gets no traffic. It stays at its tag; to remove that:
  gcloud run services update-traffic $service --region $region --remove-tags candidate"
gcloud run deploy "$service" --region "$region" --image "$image" --no-traffic --tag candidate --quiet

# x-serverless-authorization is for Cloud Run alone: authorization stays free for the server's own token
ask_from_here() {
  address=$(read_traffic address) || return 1
  identity=$(gcloud auth print-identity-token) || return 1
  set -- --header x-serverless-authorization=REPLAY_INVOKER
  if [ -n "${REPLAY_TOKEN:-}" ]; then
    REPLAY_TOKEN="Bearer ${REPLAY_TOKEN#Bearer }"
    export REPLAY_TOKEN
    set -- "$@" --header authorization=REPLAY_TOKEN
  fi
  REPLAY_INVOKER="Bearer $identity" python3 "$artifact/replay/replay_check.py" "$address" \
    --settle 60 --timeout 900 "$@"
}

# each service and image has a job of its own: rollouts of a project must not meet
job=model-replay-$(printf '%.30s' "$service")-$(printf '%s %s' "$service" "$image" | cksum | cut -d ' ' -f 1)
ask_by_job() {
  address=$(read_traffic address) || return 1
  audience=$(read_traffic audience) || return 1
  header= variable= account=
  if [ -n "${REPLAY_TOKEN_SECRET:-}" ]; then
    header=', --header, authorization=REPLAY_TOKEN'
    variable="env: [{name: REPLAY_TOKEN, valueFrom: {secretKeyRef: {name: $REPLAY_TOKEN_SECRET, key: latest}}}]"
  fi
  [ -z "${REPLAY_ACCOUNT:-}" ] || account="serviceAccountName: $REPLAY_ACCOUNT"
  manifest=$(mktemp) || return 1
  sed -e "s|image: .*|image: $image|" -e "s|model-replay|$job|" -e "s|BUCKET|$bucket|" \
    -e "s|\"AUDIENCE\", \"ADDRESS\"|\"$audience\", \"$address\"|" -e "s|\"900\"]|\"900\"$header]|" \
    -e "s|^\( *\)resources:|\1$variable\n&|" -e "s|^\( *\)maxRetries:|\1$account\n&|" \
    "$here/replay-job.yaml" > "$manifest"
  passed=1
  begun=yes
  if gcloud storage cp "$artifact"/replay/* "$here/ask_with_identity.py" "gs://$bucket/$job/" &&
    gcloud run jobs replace "$manifest" --region "$region" --quiet; then
    # ends with 0 only if the job did
    gcloud run jobs execute "$job" --region "$region" --wait --quiet && passed=0
    gcloud logging read "resource.type=cloud_run_job AND resource.labels.job_name=$job" \
      --freshness 1h --limit 20 --order asc --format 'value(textPayload,jsonPayload)' || true
  fi
  tidy
  return "$passed"
}
begun= manifest=
# an interrupt leaves no job and no copy of the requests either
tidy() {
  [ -n "$begun" ] || return 0
  begun=
  rm -f "$manifest"
  gcloud run jobs delete "$job" --region "$region" --quiet ||
    echo "Remove what is left: gcloud run jobs delete $job --region $region" >&2
  gcloud storage rm --recursive "gs://$bucket/$job" ||
    echo "Remove what is left: gcloud storage rm --recursive gs://$bucket/$job" >&2
}

if [ -n "$bucket" ]; then how=ask_by_job; else how=ask_from_here; fi
"$how" || exit 1

left="The new version passed its check, and may get $percent % of the requests. To see who has them, and to go back:
  gcloud run services describe $service --region $region
  $back"
gcloud run services update-traffic "$service" --region "$region" --to-tags "candidate=$percent" --quiet
echo "All:  gcloud run services update-traffic $service --region $region --to-tags candidate=100"
# by their names: Cloud Run refuses to take the last requests from a version without saying who gets them
echo "Back: $back"
