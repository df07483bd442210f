"""python -m blockingio.wire_view URL; see wire_view/command.py."""
from blockingio.wire_view.command import run

if __name__ == "__main__":
    run()
