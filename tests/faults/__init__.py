"""What can go wrong, one row each: shown over a socket, listed in docs/explanation/faults.md."""
