"""The command line. Each module of lamella/commands is a command: HELP, EXAMPLES, add_arguments(parser), run(args) -> exit code."""

import argparse
import importlib
import os
import pkgutil
import sys

import lamella
from lamella import arguments, commands
from lamella.errors import LamellaError

EXAMPLES = """\
examples:
  lamella train examples/lenet5_fashion_mnist/recipe.toml      train, compress, write model.onnx
  lamella generate model.onnx --board nucleo_f446re --out fw   write a firmware folder
  lamella verify model.onnx --board host --board qemu_microbit prove it equals PyTorch, bit for bit
  lamella footprint model.onnx --board qemu_microbit           flash, RAM, stack

exit codes: 0 done, all checks hold; 1 a check failed; 2 wrong usage or unreadable input;
            3 the model holds something unsupported; 4 something outside is missing (compiler, emulator, data, disk)
"""


def command_names() -> list[str]:
    """All commands, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))


def parser_of(names: list[str]) -> argparse.ArgumentParser:
    """The parser with the given commands filled in and the others known by name."""
    parser = argparse.ArgumentParser(
        prog="lamella",
        description=lamella.__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lamella {lamella.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        module = importlib.import_module(f"lamella.commands.{name}")
        sub = subparsers.add_parser(
            name,
            help=module.HELP,
            description=f"examples:\n{_indented(module.EXAMPLES)}\n\n{module.HELP}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(sub)
        sub.add_argument("--json", metavar="FILE", help="write the result as JSON; - for standard output")
        sub.add_argument("--quiet", action="store_true", help="print errors only")
        sub.set_defaults(run=module.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit code is the contract's (lamella.errors)."""
    argv = sys.argv[1:] if argv is None else argv
    # A known command loads its own module alone: `lamella boards` must not wait for the others.
    names = [argv[0]] if argv and argv[0] in command_names() else command_names()
    args = parser_of(names).parse_args(argv)
    try:
        arguments.prepare(args)
        return args.run(args)
    except LamellaError as error:
        print(f"lamella {args.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"lamella {args.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read standard output has left, as `head` does; nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print(f"lamella {args.command}: not enough memory for this model; use a larger machine", file=sys.stderr)
        return 4
    except Exception as error:
        if isinstance(error, OSError):
            return _outside(args.command, error)
        if os.environ.get("LAMELLA_DEBUG"):
            raise
        print(
            f"lamella {args.command}: internal error, a fault of Lamella: {type(error).__name__}: {error}\n"
            "please report it with the model; LAMELLA_DEBUG=1 shows where it happened",
            file=sys.stderr,
        )
        return 4


def _outside(command: str, error: OSError) -> int:
    """What the operating system refused."""
    where = f"{error.filename}: " if error.filename else ""
    print(f"lamella {command}: {where}{error.strerror or error}", file=sys.stderr)
    return 4


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())
