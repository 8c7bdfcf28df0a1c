"""Measurements of sos beside a reference, in the same run on the same machine: ``make bench``."""
