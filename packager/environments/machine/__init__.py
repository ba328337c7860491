"""The machine that packager runs on, and packager's own installation there."""
