#!/bin/sh
# rollout.sh ARTIFACT IMAGE@sha256:DIGEST PERCENT: start a revision without traffic, ask it the recorded
# requests of its proof at the address of its label, and send it PERCENT of the requests if it passes.
# APP (model) and GROUP name the container app and its resource group. Needs az, python3, and a way to
# the app. REPLAY_TOKEN is a token for a server that asks for one.
set -eu
. "$(dirname "$0")/../replay/check-arguments.sh"
app=${APP:-model}
group=${GROUP:?set GROUP to the resource group of the app}
# read_app split|address|newest: who has the requests, as REVISION=PERCENT, without a candidate before this
# one; the address of the label `candidate`; or the revision that was made last
read_app() {
  described=$(az containerapp show --name "$app" --resource-group "$group" --output json) || return 1
  printf '%s' "$described" | python3 -c '
import json, sys
found = json.load(sys.stdin)
properties, name = found["properties"], found["name"]
ingress = properties["configuration"].get("ingress") or sys.exit("The app has no ingress.")
if sys.argv[1] == "newest":
    print(properties["latestRevisionName"])
elif sys.argv[1] == "address":
    host = ingress["fqdn"]
    print("https://" + host.replace(name, name + "---candidate", 1))
else:
    shares, candidate = {}, None
    for each in ingress.get("traffic") or [{"latestRevision": True, "weight": 100}]:
        latest = properties.get("latestReadyRevisionName") or properties["latestRevisionName"]
        revision = latest if each.get("latestRevision") else each["revisionName"]
        shares[revision] = shares.get(revision, 0) + (each.get("weight") or 0)
        if each.get("label") == "candidate":
            candidate = revision
    # a candidate that has all requests is the revision that serves
    if candidate and 0 < shares.get(candidate, 0) < 100:
        shares.pop(candidate)
        most = max(shares, key=shares.get, default="") or sys.exit("No revision serves.")
        shares[most] += 100 - sum(shares.values())
    print(" ".join("%s=%d" % each for each in shares.items() if each[1]))' "$1"
}
set_traffic() {
  az containerapp ingress traffic set --name "$app" --resource-group "$group" --revision-weight "$@" --output none
}

# revisions beside each other; those that serve are held by their names, so that a new one gets nothing
split=$(read_app split)
left="The app may hold several revisions now (--mode multiple), and an earlier candidate may have lost its share of the
requests. Nothing else was changed. To see who has them:
  az containerapp ingress traffic show -n $app -g $group"
az containerapp revision set-mode --name "$app" --resource-group "$group" --mode multiple --output none
# shellcheck disable=SC2086 # one word a revision
set_traffic $split
before=$(read_app newest)
name_new() {
  new=$1
  left="The new version gets no traffic. To remove its revision (az containerapp revision list -n $app -g $group):
  az containerapp revision deactivate -n $app -g $group --revision $new"
}
name_new NAME
az containerapp update --name "$app" --resource-group "$group" --image "$image" --output none
newest=$(read_app newest)
if [ "$newest" = "$before" ]; then
  left="$before has this image already. The app now holds several revisions (--mode multiple), each with the share
that it had by its name; nothing else was changed. To move a share:
  az containerapp ingress traffic set -n $app -g $group --revision-weight $before=PERCENT ..."
  exit 1
fi
name_new "$newest"
az containerapp revision label add --name "$app" --resource-group "$group" --label candidate --revision "$new" \
  --no-prompt --output none

set --
if [ -n "${REPLAY_TOKEN:-}" ]; then
  REPLAY_TOKEN="Bearer ${REPLAY_TOKEN#Bearer }"
  export REPLAY_TOKEN
  set -- --header authorization=REPLAY_TOKEN
fi
address=$(read_app address)
python3 "$artifact/replay/replay_check.py" "$address" --settle 60 --timeout 900 "$@" || exit 1

# what the others have is what is left, each by its part
shares=$(printf '%s' "$split" | python3 -c '
import sys
new, percent = sys.argv[1], int(sys.argv[2])
had = dict(each.split("=") for each in sys.stdin.read().split())
left, shares = 100 - percent, {}
for name, share in had.items():
    shares[name] = int(share) * left // 100
shares[max(had, key=lambda name: int(had[name]))] += left - sum(shares.values())
print(" ".join("%s=%d" % each for each in [*shares.items(), (new, percent)]))' "$new" "$percent")
left="The new version passed its check, and may get $percent % of the requests. To see who has them, and to go back:
  az containerapp ingress traffic show -n $app -g $group
  az containerapp ingress traffic set -n $app -g $group --revision-weight $new=0 $split"
# shellcheck disable=SC2086
set_traffic $shares
others=$(printf '%s' "$split" | tr ' ' '\n' | sed 's/=.*/=0/' | tr '\n' ' ')
echo "All:  az containerapp ingress traffic set -n $app -g $group --revision-weight $new=100 $others"
echo "Back: az containerapp ingress traffic set -n $app -g $group --revision-weight $new=0 $split"
