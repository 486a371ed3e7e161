"""What to measure next, a posterior brought up to date with new rows, and advice to a server that is running."""
