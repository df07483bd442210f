"""python -m blockingio.check URL; see check/command.py."""
from blockingio.cli.program import run_command

if __name__ == "__main__":
    run_command("blockingio.check.command", interrupted=130)
