"""Tests of `sos.store`."""
