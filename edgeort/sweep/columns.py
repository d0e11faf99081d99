"""The table of a sweep: its columns in order, and its rows as Parquet and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeort.errors import MissingExtraError, OutputError

# Column -> type; a unit stands in the name. `is_real`: whether times are the device's; latencies are of runs after the
# warm-up, `low` and `high` the bounds of the median; `predicted_ms` is from the profile's rates, where none are.
COLUMNS: dict[str, str] = {
    "model": "string",
    "device": "string",
    "where": "string",
    "settings": "string",
    "precision": "string",
    "status": "string",
    "error_kind": "string",
    "error": "string",
    "hint": "string",
    "provider": "string",
    "ran_on": "string",
    "is_real": "bool",
    "isa": "string",
    "threads": "int64",
    "runs": "int64",
    "latency_p50_ms": "double",
    "latency_low_ms": "double",
    "latency_high_ms": "double",
    "latency_p90_ms": "double",
    "latency_p99_ms": "double",
    "latency_min_ms": "double",
    "latency_mean_ms": "double",
    "predicted_ms": "double",
    "load_ms": "double",
    "first_run_ms": "double",
    "peak_rss_bytes": "int64",
    "arena_bytes": "int64",
    "bundle_bytes": "int64",
    "library_bytes": "int64",
    "model_bytes": "int64",
    "nodes": "int64",
    "int8_nodes": "int64",
    "max_difference": "double",
    "sqnr_db": "double",
    "task": "string",
    "samples": "int64",
    "judged_on": "string",
    "score_name": "string",
    "score": "double",
    "score_float": "double",
    "score_unit": "string",
    "drop_points": "double",
    "agreement": "double",
    "data_sqnr_db": "double",
    "cosine": "double",
    "figures": "string",
    "digest": "string",
    "golden": "string",
    "build_seconds": "double",
    "seconds": "double",
    "finished": "string",
    "machine": "string",
    "worker": "string",
    "bundle": "string",
    "bundle_sha256": "string",
    "model_sha256": "string",
    "edgeort": "string",
    "key": "string",
}
_CASTS: dict[str, type] = {"string": str, "bool": bool, "int64": int, "double": float}


def check_extra() -> None:
    """MissingExtraError where the package that writes tables is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("a sweep's table needs pyarrow, which is not installed", hint=INSTALL) from error


INSTALL = "pip install 'edgeort[sweep]'"


def write_tables(rows: Sequence[Mapping[str, Any]], parquet: Path, csv: Path) -> None:
    """Writes the rows, every column in every row. OutputError where that cannot be."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    types = {"string": pyarrow.string(), "bool": pyarrow.bool_(), "int64": pyarrow.int64(), "double": pyarrow.float64()}
    columns = {
        name: pyarrow.array([_cast(row.get(name), kind) for row in rows], types[kind]) for name, kind in COLUMNS.items()
    }
    table = pyarrow.table(columns)
    try:
        pyarrow.parquet.write_table(table, parquet)
        pyarrow.csv.write_csv(table, csv)
    except OSError as error:
        raise OutputError(f"{parquet.parent} cannot be written: {error}", hint="name another folder with -o") from error


def _cast(value: Any, kind: str) -> Any:
    return None if value is None else _CASTS[kind](value)
