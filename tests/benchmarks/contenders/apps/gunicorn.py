"""gunicorn's gthread: one worker process with as many threads as connections."""
import os
from typing import Any

from gunicorn.app.base import BaseApplication

from tests.benchmarks.contenders import announce, listening_socket
from tests.benchmarks.contenders.apps.wsgi import application

listener = listening_socket()
os.set_inheritable(listener.fileno(), True)


class Application(BaseApplication):  # type: ignore[misc, unused-ignore]
    def load_config(self) -> None:
        for name, value in {"bind": f"fd://{listener.fileno()}", "workers": 1, "threads": 8, "keepalive": 60,
                            "worker_class": "gthread", "loglevel": "critical"}.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return application


announce(listener.getsockname()[1])
Application().run()
