"""python -m blockingio.check URL; see check/command.py."""
from blockingio.check.command import run

if __name__ == "__main__":
    run()
