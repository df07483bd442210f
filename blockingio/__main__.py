"""python -m blockingio [DIRECTORY]: serve a directory; see cli/command.py."""
from blockingio.cli.command import run

if __name__ == "__main__":
    run()
