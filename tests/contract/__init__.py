"""The numeric contract (edgeort/runtime/NUMERICS.md): the bits of the scalar reference, at every level, everywhere."""
