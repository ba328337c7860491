#!/bin/sh
# Ask the deployed app the recorded requests of the proof, and compare its answers. `azd` runs this
# after each deployment, with the outputs of main.bicep as variables; a difference fails `azd deploy`.
# Needs python3 and `az`. REPLAY=off (`azd env set REPLAY off`) leaves it out.
set -eu
cd "$(dirname "$0")/.."

if [ "${REPLAY:-on}" = off ]; then
  echo "REPLAY=off: the deployed app was not asked." >&2
  exit 0
fi

auth=${HTTP_AUTH:-key}
# however it ends: the app has been replaced already
say_what_stays() {
  ended=$?
  [ "$ended" -ne 0 ] || return 0
  echo "$FUNCTION_APP_NAME is deployed and answers callers, and it was not shown to answer as the registered model does: see above." >&2
  echo "To go back, run 'azd deploy' in the folder of the artifact that was deployed before. If there was none, 'azd down' removes the app." >&2
  echo "To check it again, run 'azd deploy' here. To leave the check out: azd env set REPLAY off" >&2
  if grep -q subscribe.sh azure.yaml 2>/dev/null; then
    echo "Event Grid was not pointed at this deployment: infra/subscribe.sh runs only after the check. A first one gets no events yet." >&2
  fi
}
trap say_what_stays EXIT
trap 'exit 1' HUP INT TERM

for program in python3 az; do
  command -v "$program" >/dev/null || {
    echo "The check of the deployed app needs $program. Install it, or leave the check out: azd env set REPLAY off" >&2
    exit 1
  }
done

# by which users come; a pipeline comes by its service principal
cli=04b07795-8ddb-461a-bbee-02f9e1bf7b46
if [ "$auth" != entra ]; then
  REPLAY_KEY=$(az functionapp keys list --resource-group "$RESOURCE_GROUP" --name "$FUNCTION_APP_NAME" \
    --query functionKeys.default --output tsv)
  export REPLAY_KEY
  set -- "$@" --header x-functions-key=REPLAY_KEY
fi
if [ "$auth" != key ]; then
  token=$(az account get-access-token --resource "$ENTRA_AUDIENCE" --query accessToken --output tsv) || {
    echo "No token for $ENTRA_AUDIENCE, which the check of the deployed app brings. For a user, the app registration has to" >&2
    echo "authorize the Azure CLI, client $cli (Expose an API). To leave the check out: azd env set REPLAY off" >&2
    exit 1
  }
  REPLAY_TOKEN="Bearer $token"
  export REPLAY_TOKEN
  set -- "$@" --header authorization=REPLAY_TOKEN
fi

# functions and keys of a new app are known everywhere after a minute or so
if ! python3 replay/replay_check.py "$FUNCTION_APP_URL" --settle 120 "$@"; then
  if [ "$auth" != key ]; then
    echo "If it answered 401 or 403: entraAllowedClients has to name the client that asked, $cli (Azure CLI) for a user." >&2
  fi
  exit 1
fi
