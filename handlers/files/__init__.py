"""A file in S3 to a file of answers in S3: read in chunks, written whole or not at all.

events/event_processor.py comes here with a record that names a file; scoring/ scores its rows.

The input's form is told by the end of its name: `.csv`, `.jsonl` or `.ndjson` (a row, or a request
of MLflow's, a line), `.json` (a list of rows, or one request) and, where the artifact holds
pyarrow, `.parquet`. So is the output's: `.csv`, `.json`, and JSON Lines for any other: one answer a
row, in the rows' order. A row that cannot be scored gets an error in its place and spoils no other.

What was read (version or ETag) and the model's digest are metadata of the output. Where they are
there already nothing is scored again; where a later event's answer is there, nothing is written.

Environment: PACKAGER_CHUNK_BYTES is how much of a file goes to the model at once, PACKAGER_BAD_ROWS
how many of its rows may fail before the file does.
"""
