"""Tests of `sos.words`."""
