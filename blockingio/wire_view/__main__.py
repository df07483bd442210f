"""python -m blockingio.wire_view URL; see wire_view/command.py."""
from blockingio.cli.program import run_command

if __name__ == "__main__":
    run_command("blockingio.wire_view.command", interrupted=130)
