"""Tests of `sos.cli`."""
