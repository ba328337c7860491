"""The HTTP server of a container, from its socket to http/router.py: a queue, batches, replicas.

container.py starts it. No request on Lambda or Azure Functions passes here.
"""
