"""JSON files of a result: its description, and one record per partition."""

from typing import Annotated, Any, Literal, NotRequired

from msgspec import Meta

from galcfm.json_files import Count, JsonFile, object_of

DESCRIPTION = "inference.json"
# Description of the whole result.
Described = object_of(
    state=Literal["unfinished", "finished"],
    identity=dict[str, Any],
    made=dict[str, Any],
    rows=NotRequired[Count],
    used=NotRequired[Count],
    rejected=NotRequired[Count],
    failed=NotRequired[dict[str, str]],
    left_out=NotRequired[list[str]],
)
RESULT = JsonFile(
    DESCRIPTION, Described, "Move the folder away, or name another, and infer the catalogue again."
)
# Sizes of the two files of a partition, and numbers of rows.
Record = object_of(
    partition=str,
    key=str,
    files=Annotated[dict[str, Count], Meta(min_length=2, max_length=2)],
    rows=Count,
    used=Count,
    rejected=Count,
    core_seconds=float,
)
# What Dask writes for its clients.
SCHEDULER = JsonFile(
    "scheduler.json", object_of(address=str), "Give the file of `dask scheduler --scheduler-file`."
)
RECORD = JsonFile("records/*.json", Record, "Delete it, and infer the catalogue again.")
