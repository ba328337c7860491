// One function app on Flex Consumption. Every connection is by identity: no key exists to leak, but
// for that of a share with weights (weights.bicep).
param name string
param location string
param pythonVersion string
param instanceMemoryMB int
param maximumInstanceCount int
param alwaysReadyInstances int
param updateStrategy string
param logRetentionDays int
param actionGroupId string
param events array
param outputKind string
param outputName string
param schedule string
param openTelemetry bool
param httpAuth string
param entraClientId string
param entraAudience string
param entraTenantId string
param entraAllowedClients array
param corsAllowedOrigins array
param subnetId string
param privateEndpoints string
param privateEndpointSubnetId string
param privateDnsZoneIds object
param storageKeyUri string
param storageKeyIdentityId string
param weightsOutside bool
param weightsAccountName string
param weightsAccountGroup string
param weightsShareName string
param weightsMountPath string
param tags object

var suffix = uniqueString(resourceGroup().id, name)
var containerName = 'package'
var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'
var takesGridEvents = contains(events, 'blob') || contains(events, 'eventgrid')
// Event Grid brings no token there: the host asks it for a key of its own
var gridPaths = ['/runtime/webhooks/blobs', '/runtime/webhooks/EventGrid', '/runtime/webhooks/eventgrid']
var asksForToken = httpAuth != 'key'
var isStoragePrivate = privateEndpoints != 'none'
var isAppPrivate = privateEndpoints == 'storage-and-app'
var keyParts = split(storageKeyUri, '/keys/')
var ownKey = {
  keySource: 'Microsoft.Keyvault'
  identity: {
    userAssignedIdentity: storageKeyIdentityId
  }
  keyvaultproperties: {
    keyvaulturi: keyParts[0]
    keyname: last(keyParts)
  }
  services: {
    blob: { enabled: true, keyType: 'Account' }
    file: { enabled: true, keyType: 'Account' }
    // these two take another key only while the account is made
    queue: { enabled: true, keyType: 'Account' }
    table: { enabled: true, keyType: 'Account' }
  }
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${suffix}'
  location: location
  tags: tags
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: 'st${suffix}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  identity: empty(storageKeyUri) ? null : {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${storageKeyIdentityId}': {}
    }
  }
  properties: {
    encryption: empty(storageKeyUri) ? null : ownKey
    publicNetworkAccess: isStoragePrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isStoragePrivate ? 'Deny' : 'Allow'
    }
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: containerName
  properties: {
    publicAccess: 'None'
  }
}

resource storageRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [blobDataOwner, queueDataContributor, tableDataContributor]: {
    name: guid(storage.id, identity.id, role)
    scope: storage
    properties: {
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

module doors 'events.bicep' = if (!empty(events)) {
  name: 'events'
  params: {
    suffix: suffix
    location: location
    tags: tags
    storageName: storage.name
    identityName: identity.name
    events: events
    outputKind: outputKind
    outputName: outputName
    schedule: schedule
  }
}

module storageEndpoints 'endpoint.bicep' = [
  for group in (isStoragePrivate ? ['blob', 'queue', 'table'] : []): {
    name: 'endpoint-${group}'
    params: {
      name: 'pe-${group}-${suffix}'
      location: location
      tags: tags
      serviceId: storage.id
      group: group
      subnetId: privateEndpointSubnetId
      zoneId: contains(privateDnsZoneIds, group) ? privateDnsZoneIds[group] : ''
    }
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${suffix}'
  location: location
  tags: tags
  properties: {
    retentionInDays: logRetentionDays
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${suffix}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    DisableLocalAuth: true
    WorkspaceResourceId: workspace.id
  }
}

resource insightsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, identity.id, monitoringMetricsPublisher)
  scope: insights
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
  }
}

resource plan 'Microsoft.Web/serverfarms@2025-05-01' = {
  name: 'plan-${suffix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
  }
}

var ownSettings = [
  { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
  { name: 'AzureWebJobsStorage__clientId', value: identity.properties.clientId }
  { name: 'AzureWebJobsStorage__blobServiceUri', value: storage.properties.primaryEndpoints.blob }
  { name: 'AzureWebJobsStorage__queueServiceUri', value: storage.properties.primaryEndpoints.queue }
  { name: 'AzureWebJobsStorage__tableServiceUri', value: storage.properties.primaryEndpoints.table }
  { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insights.properties.ConnectionString }
  { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'ClientId=${identity.properties.clientId};Authorization=AAD' }
]

var authSettings = [
  { name: 'PACKAGER_HTTP_AUTH', value: httpAuth }
]

var telemetrySettings = openTelemetry ? [
  { name: 'PYTHON_ENABLE_OPENTELEMETRY', value: 'true' }
] : []

var weightsSettings = weightsOutside ? [
  { name: 'PACKAGER_WEIGHTS', value: weightsMountPath }
] : []

resource site 'Microsoft.Web/sites@2025-05-01' = {
  name: 'func-${suffix}'
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    publicNetworkAccess: isAppPrivate ? 'Disabled' : 'Enabled'
    siteConfig: {
      minTlsVersion: '1.2'
      // the platform answers a preflight itself; there in any case, or an earlier list would stay
      cors: {
        allowedOrigins: corsAllowedOrigins
        supportCredentials: false
      }
      appSettings: concat(ownSettings, authSettings, telemetrySettings, weightsSettings, empty(events) ? [] : doors.outputs.settings)
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${containerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyInstances == 0 ? [] : [
          { name: 'http', instanceCount: alwaysReadyInstances }
        ]
      }
      siteUpdateStrategy: {
        type: updateStrategy
      }
    }
  }
  dependsOn: [container, storageRoles, insightsRole, storageEndpoints]
}

// there in any case: a template that leaves it out would leave an earlier one enabled
resource authentication 'Microsoft.Web/sites/config@2025-05-01' = {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: asksForToken
    }
    globalValidation: {
      requireAuthentication: asksForToken
      unauthenticatedClientAction: asksForToken ? 'Return401' : 'AllowAnonymous'
      excludedPaths: takesGridEvents ? gridPaths : []
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: asksForToken
        registration: {
          clientId: entraClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${entraTenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [entraAudience, entraClientId]
          defaultAuthorizationPolicy: {
            allowedApplications: entraAllowedClients
          }
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}

module weightsMount 'weights.bicep' = if (weightsOutside) {
  name: 'weights'
  params: {
    siteName: site.name
    accountName: weightsAccountName
    accountGroup: weightsAccountGroup
    shareName: weightsShareName
    mountPath: weightsMountPath
  }
}

module appEndpoint 'endpoint.bicep' = if (isAppPrivate) {
  name: 'endpoint-sites'
  params: {
    name: 'pe-sites-${suffix}'
    location: location
    tags: tags
    serviceId: site.id
    group: 'sites'
    subnetId: privateEndpointSubnetId
    zoneId: contains(privateDnsZoneIds, 'sites') ? privateDnsZoneIds.sites : ''
  }
}

resource failures 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'failed-requests-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'A request ended in an error'
    enabled: true
    severity: 2
    scopes: [insights.id]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'failed'
          metricNamespace: 'microsoft.insights/components'
          metricName: 'requests/failed'
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Count'
        }
      ]
    }
    actions: empty(actionGroupId) ? [] : [{ actionGroupId: actionGroupId }]
  }
}

resource poison 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = if (!empty(events)) {
  name: 'failed-records-${suffix}'
  location: location
  tags: tags
  properties: {
    displayName: 'A record could not be answered'
    description: 'It comes again, or lies in a queue for failures, a poison queue or a dead-letter queue'
    enabled: true
    severity: 2
    scopes: [workspace.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: 'AppExceptions | where ExceptionType has "RecordsFailedError" or OuterMessage has "RecordsFailedError" | union (AppTraces | where Message startswith "{" | extend told = parse_json(Message) | where toint(told.refused) > 0)'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(actionGroupId) ? [] : [actionGroupId]
    }
  }
}

output functionAppName string = site.name
output blobTopicName string = empty(events) ? '' : doors.outputs.blobTopicName
output gridTopicName string = empty(events) ? '' : doors.outputs.gridTopicName
output functionAppUrl string = 'https://${site.properties.defaultHostName}'
