"""Whole processes on real sockets and files."""
