"""The same names for type checkers, which do not look into __getattr__."""

from blockingio.testing.fault import Fault as Fault
from blockingio.testing.record import RecordedRequest as RecordedRequest
from blockingio.testing.server import RunningServer as RunningServer
from blockingio.testing.server import serving as serving

__all__ = ["Fault", "RecordedRequest", "RunningServer", "serving"]
