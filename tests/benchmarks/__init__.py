"""Tests of the parts of the benchmarks that decide or write: no test looks at a time."""
