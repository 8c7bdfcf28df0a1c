"""A whole cluster in memory: real client, real front, real resources, one clock; and the faults between its parts."""
