"""Commands that ask the cloud to which an artifact was deployed."""
