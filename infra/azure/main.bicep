// A resource group with one function app in it: `azd up`, or `az deployment sub create`.
targetScope = 'subscription'

@description('Names the resource group and what lies in it')
@minLength(1)
@maxLength(40)
param environmentName string

@description('A region that offers Flex Consumption')
param location string

@description('Python minor version that the package was built for')
param pythonVersion string

@description('Memory of an instance; the default is from what was measured')
@allowed([512, 2048, 4096])
param instanceMemoryMB int

@description('Instances at most')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances that are kept warm for HTTP; 0 for none')
@minValue(0)
param alwaysReadyInstances int = 0

@description('Recreate restarts all instances for a new version, RollingUpdate replaces them one by one')
@allowed(['Recreate', 'RollingUpdate'])
param updateStrategy string = 'Recreate'

@description('Days that logs are kept')
param logRetentionDays int = 30

@description('Resource ID of an action group that alerts notify; empty for none')
param actionGroupId string = ''

@description('What the functions beside HTTP are told by, as the package was built')
param events array = []

@description('Where their answers go: blob, queue or servicebus, as the package was built')
param outputKind string = ''

@description('The name of the queue, or of the container and a folder in it')
param outputName string = ''

@description('When the timer runs, where there is one: six fields, seconds first')
param schedule string = '0 0 * * * *'

@description('The worker hands traces over to the app, which sends them, as the package was built')
param openTelemetry bool = false

param tags object = {}

var allTags = union(tags, { 'azd-env-name': environmentName })

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: allTags
}

module app 'app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: environmentName
    location: location
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    updateStrategy: updateStrategy
    logRetentionDays: logRetentionDays
    actionGroupId: actionGroupId
    events: events
    outputKind: outputKind
    outputName: outputName
    schedule: schedule
    openTelemetry: openTelemetry
    tags: allTags
  }
}

output RESOURCE_GROUP string = group.name
output BLOB_TOPIC_NAME string = app.outputs.blobTopicName
output GRID_TOPIC_NAME string = app.outputs.gridTopicName
output FUNCTION_APP_NAME string = app.outputs.functionAppName
output FUNCTION_APP_URL string = app.outputs.functionAppUrl
