"""python -m blockingio.wsgi MODULE:APPLICATION: serve a WSGI application; see cli/wsgi_command.py."""
from blockingio.cli.program import run_command

if __name__ == "__main__":
    run_command("blockingio.cli.wsgi_command", interrupted=0)
