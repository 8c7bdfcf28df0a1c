"""Tests of `sos.decisions`."""
