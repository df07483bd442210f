"""python -m blockingio [DIRECTORY]: serve a directory; see cli/command.py."""
from blockingio.cli.program import run_command


def run() -> None:
    """The console script; ends the process."""
    run_command("blockingio.cli.command", interrupted=0)


if __name__ == "__main__":
    run()
