"""Mutants of the corpus against the front and the client, judged by small strict parsers of our own."""
