"""gunicorn: one worker process with threads (gthread)."""
import os
from typing import Any

from gunicorn.app.base import BaseApplication

from tests.benchmarks.contenders import announce, application, listening_socket

listener = listening_socket()
os.set_inheritable(listener.fileno(), True)


class Application(BaseApplication):  # type: ignore[misc, unused-ignore]
    def load_config(self) -> None:
        for name, value in {"bind": f"fd://{listener.fileno()}", "workers": 1, "threads": 8, "keepalive": 60,
                            "worker_class": "gthread", "loglevel": "error"}.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return application


announce(listener.getsockname()[1])
Application().run()
