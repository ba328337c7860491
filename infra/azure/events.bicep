// What the functions beside HTTP are told by, and where their answers go: by identity alone.
param suffix string
param location string
param tags object
param storageName string
param identityName string
param events array
param outputKind string
param outputName string
param schedule string

var serviceBusDataReceiver = '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
var serviceBusDataSender = '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'
var eventHubsDataReceiver = 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
var requests = 'requests'
var failures = 'failures'
var usesServiceBus = contains(events, 'servicebus') || contains(events, 'topic') || outputKind == 'servicebus'
var usesEventHubs = contains(events, 'eventhubs')
var usesContainer = contains(events, 'blob') || contains(events, 'timer')
var outputContainer = split(outputName, '/')[0]

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: identityName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: storage
  name: 'default'
}

resource failuresQueue 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = {
  parent: queues
  name: failures
}

resource requestsQueue 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = if (contains(events, 'queue')) {
  parent: queues
  name: requests
}

resource answersQueue 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = if (outputKind == 'queue') {
  parent: queues
  name: outputName
}

resource requestsContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = if (usesContainer) {
  parent: blobs
  name: requests
  properties: {
    publicAccess: 'None'
  }
}

resource answersContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = if (outputKind == 'blob') {
  parent: blobs
  name: outputContainer
  properties: {
    publicAccess: 'None'
  }
}

// what points these two at the functions is made once the functions are there: subscribe.sh
resource blobTopic 'Microsoft.EventGrid/systemTopics@2022-06-15' = if (contains(events, 'blob')) {
  name: 'blobs-${suffix}'
  location: location
  tags: tags
  properties: {
    source: storage.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource gridTopic 'Microsoft.EventGrid/topics@2022-06-15' = if (contains(events, 'eventgrid')) {
  name: 'requests-${suffix}'
  location: location
  tags: tags
  properties: {
    disableLocalAuth: true
    inputSchema: 'EventGridSchema'
  }
}

resource bus 'Microsoft.ServiceBus/namespaces@2022-10-01-preview' = if (usesServiceBus) {
  name: 'sb-${suffix}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
    tier: 'Standard'
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

resource busQueue 'Microsoft.ServiceBus/namespaces/queues@2022-10-01-preview' = if (contains(events, 'servicebus')) {
  parent: bus
  name: requests
  properties: {
    deadLetteringOnMessageExpiration: true
    lockDuration: 'PT5M'
    maxDeliveryCount: 5
  }
}

resource busTopic 'Microsoft.ServiceBus/namespaces/topics@2022-10-01-preview' = if (contains(events, 'topic')) {
  parent: bus
  name: '${requests}-topic'
}

resource busSubscription 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2022-10-01-preview' = if (contains(events, 'topic')) {
  parent: busTopic
  name: 'scoring'
  properties: {
    deadLetteringOnMessageExpiration: true
    lockDuration: 'PT5M'
    maxDeliveryCount: 5
  }
}

resource busAnswers 'Microsoft.ServiceBus/namespaces/queues@2022-10-01-preview' = if (outputKind == 'servicebus') {
  parent: bus
  name: outputName
}

// no more than it does: it takes messages here, and sends them there
resource busQueueRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (contains(events, 'servicebus')) {
  name: guid('sb-${suffix}', identityName, serviceBusDataReceiver, 'busQueue')
  scope: busQueue
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', serviceBusDataReceiver)
  }
}

resource busSubscriptionRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (contains(events, 'topic')) {
  name: guid('sb-${suffix}', identityName, serviceBusDataReceiver, 'busSubscription')
  scope: busSubscription
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', serviceBusDataReceiver)
  }
}

resource busAnswersRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (outputKind == 'servicebus') {
  name: guid('sb-${suffix}', identityName, serviceBusDataSender, 'busAnswers')
  scope: busAnswers
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', serviceBusDataSender)
  }
}

resource hubs 'Microsoft.EventHub/namespaces@2024-01-01' = if (usesEventHubs) {
  name: 'evh-${suffix}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
    tier: 'Standard'
    capacity: 1
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = if (usesEventHubs) {
  parent: hubs
  name: requests
  properties: {
    partitionCount: 4
    messageRetentionInDays: 3
  }
}

resource consumers 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = if (usesEventHubs) {
  parent: hub
  name: 'scoring'
}

resource hubsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (usesEventHubs) {
  name: guid('evh-${suffix}', identityName, eventHubsDataReceiver)
  scope: hubs
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', eventHubsDataReceiver)
  }
}

var names = [
  { name: 'PACKAGER_OUTPUT', value: outputName }
  { name: 'PACKAGER_FAILURES', value: failures }
  { name: 'PACKAGER_QUEUE', value: requests }
  { name: 'PACKAGER_CONTAINER', value: requests }
  { name: 'PACKAGER_SERVICEBUS_QUEUE', value: requests }
  { name: 'PACKAGER_TOPIC', value: '${requests}-topic' }
  { name: 'PACKAGER_SUBSCRIPTION', value: 'scoring' }
  { name: 'PACKAGER_EVENT_HUB', value: requests }
  { name: 'PACKAGER_CONSUMER_GROUP', value: 'scoring' }
  { name: 'PACKAGER_SCHEDULE', value: schedule }
  { name: 'PACKAGER_TIMER_REQUEST', value: '${requests}/scheduled.json' }
]
var busSettings = [
  { name: 'PACKAGER_SERVICEBUS__fullyQualifiedNamespace', value: 'sb-${suffix}.servicebus.windows.net' }
  { name: 'PACKAGER_SERVICEBUS__credential', value: 'managedidentity' }
  { name: 'PACKAGER_SERVICEBUS__clientId', value: identity.properties.clientId }
]
var hubsSettings = [
  { name: 'PACKAGER_EVENTHUBS__fullyQualifiedNamespace', value: 'evh-${suffix}.servicebus.windows.net' }
  { name: 'PACKAGER_EVENTHUBS__credential', value: 'managedidentity' }
  { name: 'PACKAGER_EVENTHUBS__clientId', value: identity.properties.clientId }
]

output settings array = concat(names, usesServiceBus ? busSettings : [], usesEventHubs ? hubsSettings : [])
output blobTopicName string = contains(events, 'blob') ? 'blobs-${suffix}' : ''
output gridTopicName string = contains(events, 'eventgrid') ? 'requests-${suffix}' : ''
