"""The second generator of pipelines: values and settings that few draw."""
