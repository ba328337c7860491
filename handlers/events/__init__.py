"""Messages of queues, streams, buses and timers to answers.

event_processor.py has the messages read (aws_sources/, azure_triggers/), scored (scoring/), and
their answers sent (destinations/).
"""
