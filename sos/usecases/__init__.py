"""What sos does for its users: upload, download, replicate. They know interfaces only."""
