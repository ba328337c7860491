// A model's image on Azure Container Apps with a serverless GPU, from none to a few replicas.
targetScope = 'resourceGroup'

@description('The image in a registry, by its digest')
param image string

@description('The registry that holds it, as NAME.azurecr.io')
param registryServer string

@description('Of a user-assigned identity that may pull from the registry')
param identityId string

@description('Where GPUs are to be had')
@allowed(['westus3', 'swedencentral', 'australiaeast'])
param location string = 'swedencentral'

@description('Consumption-GPU-NC8as-T4 or Consumption-GPU-NC24-A100')
@allowed(['Consumption-GPU-NC8as-T4', 'Consumption-GPU-NC24-A100'])
param gpu string = 'Consumption-GPU-NC8as-T4'

param name string = 'model'

@minValue(1)
param maxReplicas int = 2

@description('Reachable from the internet; otherwise from the environment alone')
param external bool = false

@description('Revisions that have the requests, as [{revisionName: NAME, weight: 100}]; empty for the newest')
param traffic array = []

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
  }
}

resource environment 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: '${name}-environment'
  location: location
  properties: {
    workloadProfiles: [
      {
        name: 'gpu'
        workloadProfileType: gpu
      }
    ]
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
  }
}

resource app 'Microsoft.App/containerApps@2025-01-01' = {
  name: name
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: environment.id
    workloadProfileName: 'gpu'
    configuration: {
      // revisions beside each other: container-apps/rollout.sh divides the requests between them
      activeRevisionsMode: 'Multiple'
      ingress: {
        external: external
        targetPort: 8080
        transport: 'http'
        allowInsecure: false
        traffic: empty(traffic) ? [
          {
            latestRevision: true
            weight: 100
          }
        ] : traffic
      }
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 30
      containers: [
        {
          name: 'model'
          image: image
          // Container Apps has no security context: the image's own user runs it
          args: ['serve']
          resources: {
            cpu: 8
            memory: '56Gi'
          }
          env: [
            {
              name: 'PORT'
              value: '8080'
            }
          ]
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/v2/health/ready'
                port: 8080
              }
              periodSeconds: 5
              failureThreshold: 120
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/v2/health/ready'
                port: 8080
              }
              periodSeconds: 5
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/v2/health/live'
                port: 8080
              }
              periodSeconds: 10
            }
          ]
        }
      ]
      scale: {
        minReplicas: 0
        maxReplicas: maxReplicas
        cooldownPeriod: 300
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '64'
              }
            }
          }
        ]
      }
    }
  }
}

output address string = app.properties.configuration.ingress.fqdn
