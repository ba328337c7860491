"""Which modules' tests are measured, and the tests of each that are to notice a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SCORING: Final = (
    "tests/handlers/scoring/test_scoring.py",
    "tests/conformance/test_protocol.py",
    "tests/conformance/test_details.py",
)
"""Requests of every form, answered by MLflow's own server too."""
_CASTING: Final = (
    *_SCORING,
    "tests/conformance/test_extremes.py",
    "tests/unit/handlers/test_bad_rows.py",
    "tests/unit/handlers/test_casting.py",
    "tests/conformance/test_repeated_names.py",
)
_FRAMES: Final = (
    *_SCORING,
    "tests/conformance/test_columns.py",
    "tests/conformance/test_odd_texts.py",
    "tests/conformance/test_repeated_names.py",
)
_BULK: Final = ("tests/unit/handlers/test_short_ways.py",)
_EVENTS: Final = (
    "tests/handlers/events/test_aws_source_records.py",
    "tests/handlers/events/test_events.py",
    "tests/handlers/events/test_broken_records.py",
    "tests/handlers/events/test_envelopes.py",
    "tests/handlers/events/test_batches.py",
)
_TRIGGERS: Final = ("tests/handlers/events/test_azure_triggers.py",)
_DESTINATIONS: Final = (
    "tests/unit/handlers/test_destinations.py",
    "tests/unit/handlers/test_destination_limits.py",
    "tests/handlers/events/test_events.py",
)
_REPLAY: Final = (
    "tests/unit/pipeline/verify/test_replay.py",
    "tests/unit/pipeline/verify/test_replay_limits.py",
)
_REGISTRY: Final = (
    "tests/unit/models/test_registry.py",
    "tests/unit/models/test_registry_versions.py",
    "tests/unit/models/test_registry_sources.py",
)
_INTEGRITY: Final = ("tests/unit/commands/artifact/test_integrity.py",)
_STORE: Final = ("tests/unit/pipeline/slim/storing/test_store.py", "tests/property/test_store.py")

TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "handlers/scoring/delimited.py": ("tests/unit/handlers/test_csv_bodies.py",),
    "handlers/scoring/errors.py": ("tests/handlers/scoring/test_errors.py",),
    "handlers/scoring/fast_json.py": _BULK,
    "handlers/scoring/fast_tables.py": _BULK,
    "handlers/scoring/predictor.py": ("tests/handlers/scoring/test_predictor.py",),
    "handlers/scoring/request_parsing.py": (
        "tests/conformance/test_levels.py",
        "tests/unit/handlers/test_casting.py",
        *_FRAMES,
    ),
    "handlers/scoring/responses.py": ("tests/handlers/scoring/test_responses.py",),
    "handlers/scoring/row_spans.py": _BULK,
    "handlers/scoring/scorer.py": (
        "tests/handlers/scoring/test_scorer.py",
        "tests/handlers/scoring/test_scoring.py",
    ),
    "handlers/scoring/settings.py": ("tests/handlers/scoring/test_settings.py",),
    "handlers/scoring/tensorflow_serving_format.py": _FRAMES,
    "handlers/scoring/request_merging.py": (
        "tests/handlers/scoring/test_request_forms.py",
        "tests/handlers/scoring/test_together.py",
    ),
    "handlers/scoring/schema/casting.py": _CASTING,
    "handlers/scoring/schema/columns.py": _FRAMES,
    "handlers/scoring/schema/enforcement.py": _CASTING,
    "handlers/scoring/schema/frames.py": ("tests/unit/handlers/test_model_spec.py", *_FRAMES),
    "handlers/scoring/schema/model_spec.py": ("tests/unit/handlers/test_model_spec.py", *_FRAMES),
    "handlers/scoring/schema/nested.py": (*_SCORING, "tests/conformance/test_odd_texts.py"),
    "handlers/scoring/schema/parameters.py": _SCORING,
    "handlers/scoring/schema/quirks.py": ("tests/conformance/test_levels.py", *_SCORING),
    "handlers/scoring/schema/signature.py": _SCORING,
    "handlers/scoring/schema/tables.py": (*_SCORING, "tests/unit/handlers/test_scoring_growth.py"),
    "handlers/scoring/schema/tensors.py": ("tests/unit/handlers/test_tensors.py", *_FRAMES),
    "handlers/scoring/schema/times.py": ("tests/unit/handlers/test_times.py", *_SCORING),
    "handlers/events/envelopes.py": _EVENTS,
    "handlers/events/event_processor.py": _EVENTS,
    "handlers/events/idempotency.py": _DESTINATIONS,
    "handlers/events/record_messages.py": ("tests/handlers/events/test_record_messages.py",),
    "handlers/events/records.py": _EVENTS,
    "handlers/events/azure_trigger_functions.py": _TRIGGERS,
    "handlers/events/aws_sources/__init__.py": _EVENTS,
    "handlers/events/aws_sources/dynamodb.py": _EVENTS,
    "handlers/events/aws_sources/eventbridge.py": _EVENTS,
    "handlers/events/aws_sources/files.py": _EVENTS,
    "handlers/events/aws_sources/kafka.py": _EVENTS,
    "handlers/events/aws_sources/kinesis.py": _EVENTS,
    "handlers/events/aws_sources/s3.py": _EVENTS,
    "handlers/events/aws_sources/schedule.py": _EVENTS,
    "handlers/events/aws_sources/sns.py": _EVENTS,
    "handlers/events/aws_sources/sqs.py": _EVENTS,
    "handlers/events/aws_sources/stepfunctions.py": _EVENTS,
    "handlers/events/destinations/__init__.py": _DESTINATIONS,
    "handlers/events/destinations/dynamodb.py": _DESTINATIONS,
    "handlers/events/destinations/eventbridge.py": _DESTINATIONS,
    "handlers/events/destinations/firehose.py": _DESTINATIONS,
    "handlers/events/destinations/s3.py": _DESTINATIONS,
    "handlers/events/destinations/sqs.py": _DESTINATIONS,
    "handlers/events/azure_triggers/__init__.py": _TRIGGERS,
    "handlers/events/azure_triggers/batches.py": ("tests/handlers/events/test_batches.py",),
    "handlers/events/azure_triggers/blob.py": _TRIGGERS,
    "handlers/events/azure_triggers/eventgrid.py": _TRIGGERS,
    "handlers/events/azure_triggers/eventhubs.py": _TRIGGERS,
    "handlers/events/azure_triggers/queue.py": _TRIGGERS,
    "handlers/events/azure_triggers/servicebus.py": _TRIGGERS,
    "handlers/events/azure_triggers/timer.py": _TRIGGERS,
    "handlers/events/azure_triggers/topic.py": _TRIGGERS,
    "handlers/importer/bytecode_importer.py": (
        "tests/unit/handlers/test_code_loader.py",
        "tests/unit/pipeline/slim/storing/test_stored_files.py",
        *_STORE,
    ),
    "handlers/importer/compressed_store.py": (
        "tests/unit/pipeline/slim/storing/test_compressed_store.py",
        *_STORE,
    ),
    "handlers/importer/stored_files.py": ("tests/unit/pipeline/slim/storing/test_stored_files.py",),
    "handlers/importer/stored_libraries.py": (
        "tests/unit/pipeline/slim/storing/test_stored_files.py",
    ),
    "handlers/importer/child_interpreters.py": ("tests/unit/handlers/test_child_interpreters.py",),
    "handlers/loaders/_threads.py": ("tests/handlers/loaders/test_threads.py",),
    "handlers/loaders/compiled.py": ("tests/handlers/loaders/test_compiled.py",),
    "packager/commands/artifact/description.py": _INTEGRITY,
    "packager/commands/artifact/integrity.py": _INTEGRITY,
    "packager/models/registry.py": _REGISTRY,
    "packager/models/registry_sources.py": ("tests/unit/models/test_registry_sources.py",),
    "packager/models/registry_stores.py": ("tests/unit/models/test_registry_stores.py",),
    "packager/models/sqlite_copy.py": ("tests/unit/models/test_registry_stores.py",),
    "packager/models/model_uri.py": _REGISTRY,
    "packager/pipeline/answers/comparison.py": (
        "tests/unit/pipeline/test_comparison.py",
        "tests/unit/pipeline/verify/test_replay.py",
    ),
    "packager/pipeline/answers/spread.py": ("tests/unit/pipeline/test_spread.py",),
    "packager/pipeline/answers/samples.py": ("tests/unit/pipeline/emit/test_emit_rollout.py",),
    "packager/pipeline/emit/_rollout.py": ("tests/unit/pipeline/emit/test_emit_rollout.py",),
    "packager/pipeline/emit/_sizing.py": ("tests/unit/pipeline/emit/test_emit_sizing.py",),
    "packager/pipeline/output/place.py": ("tests/unit/pipeline/output/test_place.py",),
    "packager/pipeline/verify/__init__.py": ("tests/unit/pipeline/verify/test_verify.py",),
    "packager/pipeline/verify/ask.py": (
        "tests/unit/pipeline/verify/test_verify_ask.py",
        "tests/unit/pipeline/verify/test_verify.py",
    ),
    "packager/pipeline/verify/budget.py": (
        "tests/unit/pipeline/verify/test_budget.py",
        "tests/unit/pipeline/verify/test_verify.py",
    ),
    "packager/pipeline/verify/cuda.py": ("tests/unit/pipeline/verify/test_verify_cuda.py",),
    "packager/pipeline/verify/linkage.py": (
        "tests/unit/pipeline/verify/test_linkage.py",
        "tests/unit/pipeline/slim/native/test_library_needs.py",
    ),
    "packager/pipeline/verify/missing.py": (
        "tests/unit/pipeline/test_comparison.py",
        "tests/unit/pipeline/verify/test_replay.py",
    ),
    "packager/pipeline/verify/oracle.py": ("tests/unit/pipeline/verify/test_verify_oracle.py",),
    "packager/pipeline/verify/replay.py": _REPLAY,
    "packager/pipeline/verify/shadowing.py": (
        "tests/unit/pipeline/verify/test_shadowing.py",
        "tests/unit/pipeline/verify/test_verify.py",
    ),
    "packager/pipeline/verify/stopped.py": _REPLAY,
    "packager/pipeline/verify/system_libraries.py": (
        "tests/unit/pipeline/verify/test_system_libraries_used.py",
    ),
    "packager/system/atomic_output.py": (
        "tests/unit/system/test_output.py",
        "tests/unit/pipeline/output/test_place.py",
    ),
}
"""Of its own name, and of what it is asked through."""
