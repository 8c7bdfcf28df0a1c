"""Sabotage: small breaks of the program, each of which has to turn a test red. A test that never failed proves nothing."""
