"""What clients send to a listening port, and what has to come of it: one table, run in memory, over sockets, and mutated."""
