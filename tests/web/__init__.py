"""Tests of `sos.web`."""
