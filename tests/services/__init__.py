"""Tests of `sos.services`."""
