"""The rows of the table: each is one function that measures something in a `Bench`."""
