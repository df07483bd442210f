"""python -m blockingio.wsgi MODULE:APPLICATION; see wsgi/command.py."""
from blockingio.wsgi.command import run

if __name__ == "__main__":
    run()
