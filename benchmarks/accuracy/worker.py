"""Makes one quantised model in a process of its own, and prints what that took, as JSON on the last line."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from benchmarks.accuracy.cases import find
from benchmarks.accuracy.contenders import CONTENDERS, NotForThis


def main(name: str, contender: str, out: str) -> dict[str, object]:
    """`out` is the file to write."""
    try:
        case = find(name)
        case.model()
        samples, _, _ = case.data()
        start, before = time.perf_counter(), time.process_time()
        CONTENDERS[contender](case, samples, Path(out))
    except NotForThis:
        return {"skipped": True}
    except Exception as error:  # whatever a contender raises is its result
        return {"failed": f"{type(error).__name__}: {error}".split("\n")[0][:300]}
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bytes": Path(out).stat().st_size,
    }


if __name__ == "__main__":
    result = main(*sys.argv[1:])
    print(f"\n{json.dumps(result)}")
