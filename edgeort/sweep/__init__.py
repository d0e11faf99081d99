"""Builds, measurements and validations of models x devices x settings, here or over a Dask cluster, resumable.

A cell is one build and what is measured of it. `cells` makes them, `running` runs one, `here` and `cluster` run many,
`journal` keeps what is finished, `columns` and `page` show it.
"""

from __future__ import annotations

from edgeort.sweep.sweeping import Sweep, sweep

__all__ = ["Sweep", "sweep"]
