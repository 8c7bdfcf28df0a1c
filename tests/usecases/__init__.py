"""Tests of `sos.usecases`."""
