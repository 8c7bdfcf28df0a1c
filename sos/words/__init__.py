"""What sos speaks of: blobs and their entries, errors, and the interfaces between its parts."""
