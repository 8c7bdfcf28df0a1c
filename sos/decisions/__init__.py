"""What sos decides: pure rules without I/O, without a clock of their own, and without Twisted."""
