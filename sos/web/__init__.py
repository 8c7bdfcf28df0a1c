"""The resources of each role: HTTP on one side, a use case or a store on the other."""
