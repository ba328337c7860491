// The share of Azure Files that has the weights, mounted by the app. The account was there before.
param siteName string
param accountName string
param accountGroup string
param shareName string
param mountPath string

resource site 'Microsoft.Web/sites@2025-05-01' existing = {
  name: siteName
}

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
  scope: resourceGroup(accountGroup)
}

resource mounts 'Microsoft.Web/sites/config@2025-05-01' = {
  parent: site
  name: 'azurestorageaccounts'
  properties: {
    weights: {
      type: 'AzureFiles'
      accountName: accountName
      shareName: shareName
      mountPath: mountPath
      // Azure mounts no share by identity
      accessKey: account.listKeys().keys[0].value
    }
  }
}
