"""The corpus over real sockets, against running servers."""
