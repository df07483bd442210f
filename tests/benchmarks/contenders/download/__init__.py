"""Clients that read large bodies piece by piece, and the server they read from."""
