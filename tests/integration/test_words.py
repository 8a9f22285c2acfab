"""Every key, every value of a policy and every command of the code's tables stands in some test of this folder as a user writes it:
keys and values in any string, commands where they are typed. What is added to a table without a test fails here."""

import ast
import itertools
import pathlib
import re

from machine import ROOT

KEY = re.compile(r'^CONFIG_KEY\("([\w-]+)", CONFIG_SCOPE_\w+, \w+, "[^"]*",\s*"([^"]*)"\)$', re.MULTILINE)
COMMAND = re.compile(r'^    \{"(\w+)", "([^"]*)", ', re.MULTILINE)
CHOICES = ["on-exit", "on-crash", "on-idle", "log", "mode", "type"]  # their help ends with the values
TYPING = {"run", "json", "send", "sendall", "paste", "command_line"}


def text_of(node):
    """A string, with {} where something is put in; None if the node is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "{}" for part in node.values)
    return None


def strings(tree):
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [text for node in ast.walk(tree) if id(node) not in documentation and (text := text_of(node)) is not None]


def typed(tree):
    """The lines that the tests type at a monitor."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)
             and getattr(node.func, "attr", getattr(node.func, "id", "")) in TYPING]
    return [line.strip() for call in calls for arg in call.args for text in strings(arg) for line in re.split(r"[\r\n]", text)]


def test_every_key_value_and_command():
    trees = [ast.parse(path.read_text()) for path in pathlib.Path(__file__).parent.glob("*.py") if path.name != "test_words.py"]
    written = "\n".join(itertools.chain.from_iterable(map(strings, trees)))
    lines = list(itertools.chain.from_iterable(map(typed, trees)))
    keys = dict(KEY.findall((ROOT / "vm" / "config_keys.def").read_text()))
    commands = dict(COMMAND.findall((ROOT / "kernel" / "init" / "monitor_commands.c").read_text()))
    assert len(keys) > 30 and len(commands) > 20
    wanted = [rf"(?<![\w-]){key}=" for key in keys]
    for key in CHOICES:
        for value in keys[key].rpartition(": ")[2].split():
            plain = value.removesuffix("[:N]")
            wanted.append(rf"(?<![\w-]){key}={plain.replace('CODE', '[0-9]')}(?![\w-])")
            wanted += [rf"(?<![\w-]){key}={plain}:[0-9{{]"] * (plain != value)
    assert [pattern for pattern in wanted if not re.search(pattern, written)] == []
    for name, usage in commands.items():
        uses = [line for line in lines if re.match(rf"{name}(?![\w-])", line)]
        assert uses and ("--json" not in usage or any("--json" in line for line in uses)), name
