"""`packager follow`: deploy the version that an alias of the registry names, each time it moves."""
