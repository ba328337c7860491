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

@description('What an HTTP caller has to bring: a function key, a token of Entra ID, or both of them')
@allowed(['key', 'entra', 'key-and-entra'])
param httpAuth string = 'key'

@description('Client ID of the app registration that tokens are issued for; needed with entra')
param entraClientId string = ''

@description('Audience that a token has to name; empty for api://CLIENT_ID')
param entraAudience string = ''

@description('Tenant whose tokens are accepted; empty for that of the subscription')
param entraTenantId string = ''

@description('Client IDs of the applications that may call; empty for all that the tenant gives a token')
param entraAllowedClients array = []

@description('Web origins whose pages may call, as https://app.example.com; empty for none, an asterisk alone for all')
param corsAllowedOrigins array = []

@description('Resource ID of a subnet that the app calls out of, delegated to Microsoft.App/environments; empty for none')
param subnetId string = ''

@description('What is reached by private endpoints alone: nothing, the storage account, or the app as well; needs both subnets')
@allowed(['none', 'storage', 'storage-and-app'])
param privateEndpoints string = 'none'

@description('Resource ID of the subnet that private endpoints lie in; empty for none')
param privateEndpointSubnetId string = ''

@description('Resource IDs of private DNS zones by what they are for: blob, queue, table, sites; what is left out is left to a policy of yours')
param privateDnsZoneIds object = {}

@description('Address of a key in Key Vault that encrypts the storage account, as https://VAULT.vault.azure.net/keys/NAME; empty for a key of Microsoft')
param storageKeyUri string = ''

@description('Resource ID of a user-assigned identity that may use this key; needed with storageKeyUri')
param storageKeyIdentityId string = ''

@description('The model\'s large files lie on a share that the app mounts, as the package was built')
param weightsOutside bool = false

@description('Storage account with the share that has the weights; needed with weightsOutside, and there already')
param weightsAccountName string = ''

@description('Resource group of this account')
param weightsAccountGroup string = ''

@description('The share of Azure Files in this account, with the files of weights/ at its root')
param weightsShareName string = ''

@description('Where the app mounts it')
param weightsMountPath string = '/mounts/weights'

param tags object = {}

// a combination that cannot be is refused before anything is made
var wantsEntra = httpAuth != 'key'
var wantsPrivate = privateEndpoints != 'none'
var lacksClient = wantsEntra && empty(entraClientId)
var lacksSubnet = wantsPrivate && (empty(subnetId) || empty(privateEndpointSubnetId))
var lacksKey = empty(storageKeyUri) != empty(storageKeyIdentityId)
var isOutOfReach = privateEndpoints == 'storage-and-app' && (contains(events, 'blob') || contains(events, 'eventgrid'))
var keyParts = split(storageKeyUri, '/keys/')
var isKey = length(keyParts) == 2 && startsWith(storageKeyUri, 'https://') && !empty(last(keyParts)) && !contains(last(keyParts), '/')
var isNoKey = !empty(storageKeyUri) && !isKey
var clientId = lacksClient ? fail('httpAuth=entra needs entraClientId, the client ID of an app registration.') : entraClientId
var endpoints = lacksSubnet ? fail('privateEndpoints needs subnetId and privateEndpointSubnetId, the resource IDs of two subnets.') : privateEndpoints
var sources = isOutOfReach ? fail('Event Grid reaches no private app: privateEndpoints=storage-and-app goes with neither blob nor eventgrid.') : events
var keyIdentityId = lacksKey ? fail('storageKeyUri and storageKeyIdentityId go together: give both or none.') : storageKeyIdentityId
var keyUri = isNoKey ? fail('storageKeyUri is a key without its version, as https://VAULT.vault.azure.net/keys/NAME.') : storageKeyUri
var lacksShare = weightsOutside && (empty(weightsAccountName) || empty(weightsAccountGroup) || empty(weightsShareName))
var shareName = lacksShare ? fail('The weights lie outside of this package: weightsAccountName, weightsAccountGroup and weightsShareName name the share that has them.') : weightsShareName
// an origin has neither a path nor a slash at its end, and a browser sends it in lower case
var originText = join(corsAllowedOrigins, ' ')
var originParts = split(originText, '://')
var isAnyOrigin = contains(corsAllowedOrigins, '*')
var isNoOrigin = !isAnyOrigin && !empty(corsAllowedOrigins) && (length(originParts) != length(corsAllowedOrigins) + 1 || contains(replace(originText, '://', ''), '/') || originText != toLower(originText))
var isMixed = isAnyOrigin && length(corsAllowedOrigins) > 1
var origins = isMixed ? fail('corsAllowedOrigins has an asterisk alone, or origins without it: it lets every page in.') : (isNoOrigin ? fail('corsAllowedOrigins has origins, as https://app.example.com: in lower case, without a path or a slash at the end.') : corsAllowedOrigins)
var isTooWarm = alwaysReadyInstances > maximumInstanceCount
var warmInstances = isTooWarm ? fail('alwaysReadyInstances is more than maximumInstanceCount, which bounds all instances.') : alwaysReadyInstances
var audience = empty(entraAudience) ? 'api://${entraClientId}' : entraAudience

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
    alwaysReadyInstances: warmInstances
    updateStrategy: updateStrategy
    logRetentionDays: logRetentionDays
    actionGroupId: actionGroupId
    events: sources
    outputKind: outputKind
    outputName: outputName
    schedule: schedule
    openTelemetry: openTelemetry
    httpAuth: httpAuth
    entraClientId: clientId
    entraAudience: audience
    entraTenantId: empty(entraTenantId) ? tenant().tenantId : entraTenantId
    entraAllowedClients: entraAllowedClients
    corsAllowedOrigins: origins
    subnetId: subnetId
    privateEndpoints: endpoints
    privateEndpointSubnetId: privateEndpointSubnetId
    privateDnsZoneIds: privateDnsZoneIds
    storageKeyUri: keyUri
    storageKeyIdentityId: keyIdentityId
    weightsOutside: weightsOutside
    weightsAccountName: weightsAccountName
    weightsAccountGroup: weightsAccountGroup
    weightsShareName: shareName
    weightsMountPath: weightsMountPath
    tags: allTags
  }
}

output RESOURCE_GROUP string = group.name
output BLOB_TOPIC_NAME string = app.outputs.blobTopicName
output GRID_TOPIC_NAME string = app.outputs.gridTopicName
output FUNCTION_APP_NAME string = app.outputs.functionAppName
output FUNCTION_APP_URL string = app.outputs.functionAppUrl
output HTTP_AUTH string = httpAuth
output ENTRA_AUDIENCE string = wantsEntra ? audience : ''
