"""python -m blockingio.wsgi MODULE:APPLICATION: serve a WSGI application; see cli/wsgi_command.py."""
from blockingio.cli.wsgi_command import run

if __name__ == "__main__":
    run()
