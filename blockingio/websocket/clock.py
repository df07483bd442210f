"""The one timer of all WebSockets of this process: its thread is only there while something is due."""

from __future__ import annotations

from blockingio.server.timer import TimerThread

clock = TimerThread("blockingio websocket clock")
