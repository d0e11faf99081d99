"""Who runs a node: one module a provider. The runtime that edgeort compiles itself is `cpu`."""
