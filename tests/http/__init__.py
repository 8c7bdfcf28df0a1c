"""Tests of `sos.http`."""
