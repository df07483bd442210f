"""WebSockets on what server and client give away: handshakes, frames, messages (RFC 6455, RFC 7692)."""
