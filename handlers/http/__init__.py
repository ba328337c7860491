"""HTTP requests of every platform: an adapter a kind of server, and one router to scoring/.

On Lambda: api_gateway_events.py, api_gateway_adapter.py, router.py.
"""
