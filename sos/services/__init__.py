"""What starts and stops: listeners, stores and timers."""
