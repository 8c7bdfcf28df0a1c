"""The HTTP wire: the front that serves requests, the client that makes them, and the bodies that both move."""
