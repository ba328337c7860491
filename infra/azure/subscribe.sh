#!/bin/sh
# Point Event Grid at the functions, which are there once they are deployed. `azd` runs this after
# each deployment and sets the variables from the outputs of main.bicep; doing it again changes nothing.
set -eu
say_what_stays() {
  ended=$?
  [ "$ended" -ne 0 ] || return 0
  echo "$FUNCTION_APP_NAME is deployed, and Event Grid may not send it all its events: a subscription was not made or renewed." >&2
  echo "Correct what is said above and run 'azd hooks run postdeploy', or 'azd deploy': doing it again changes nothing that is there." >&2
}
trap say_what_stays EXIT
trap 'exit 1' HUP INT TERM

if [ -n "${BLOB_TOPIC_NAME:-}" ]; then
  # a blob trigger takes its events at an address of the host's own, by a key that the host makes
  key=$(az functionapp keys list --resource-group "$RESOURCE_GROUP" --name "$FUNCTION_APP_NAME" \
    --query systemKeys.blobs_extension --output tsv)
  az eventgrid system-topic event-subscription create --resource-group "$RESOURCE_GROUP" \
    --system-topic-name "$BLOB_TOPIC_NAME" --name requests --endpoint-type webhook \
    --endpoint "$FUNCTION_APP_URL/runtime/webhooks/blobs?functionName=Host.Functions.blob&code=$key" \
    --included-event-types Microsoft.Storage.BlobCreated \
    --subject-begins-with /blobServices/default/containers/requests/ --output none
fi

if [ -n "${GRID_TOPIC_NAME:-}" ]; then
  app=$(az functionapp show --resource-group "$RESOURCE_GROUP" --name "$FUNCTION_APP_NAME" \
    --query id --output tsv)
  topic=$(az eventgrid topic show --resource-group "$RESOURCE_GROUP" --name "$GRID_TOPIC_NAME" \
    --query id --output tsv)
  az eventgrid event-subscription create --source-resource-id "$topic" --name requests \
    --endpoint-type azurefunction --endpoint "$app/functions/eventgrid" --output none
fi
