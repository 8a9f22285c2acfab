#!/usr/bin/python3
"""Write the tables of vm/CONFIG.md from vm/config_keys.def, or with --check say whether they are up to date."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "vm" / "CONFIG.md"
TABLE = ROOT / "vm" / "config_keys.def"
KEY = re.compile(r'^CONFIG_KEY\("([\w-]+)", CONFIG_SCOPE_(\w+), (\w+), "([^"]*)",\s*"([^"]*)"\)$', re.MULTILINE)


def tables():
    """{"VM": table, "MOTE": table, "LATER": list}: Markdown."""
    source = TABLE.read_text()
    keys = KEY.findall(source)
    assert len(keys) == source.count("CONFIG_KEY("), "a line of config_keys.def has another form"
    out = {}
    for scope in ("VM", "MOTE"):
        rows = [f"| `{name}` | {help} | {default} |" for name, where, setter, default, help in keys
                if where == scope and setter != "NULL"]
        out[scope] = "\n".join(["| key | means | default |", "|---|---|---|", *rows])
    out["LATER"] = ", ".join(f"`{name}`" for name, _, setter, _, _ in keys if setter == "NULL")
    return out


def fill(text):
    for name, table in tables().items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
        text, count = re.subn(pattern, lambda m, t=table: m.group(1) + t + m.group(2), text, flags=re.DOTALL)
        assert count == 1, f"no place for {name}"
    return text


def main():
    old = DOCUMENT.read_text()
    new = fill(old)
    if "--check" in sys.argv:
        if new != old:
            sys.exit("vm/CONFIG.md is not what vm/config_keys.def says: run tests/tools/config_reference.py")
        print("config reference: up to date")
    else:
        DOCUMENT.write_text(new)


if __name__ == "__main__":
    main()
