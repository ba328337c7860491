"""The long-lived server of a container: what a function never loads."""
