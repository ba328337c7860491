"""Images that artifacts build on."""
