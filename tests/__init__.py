"""Tests of sos, one module for each of the package's."""
