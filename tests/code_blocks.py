"""The Python code blocks of a Markdown page, and what they are said to print."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
PAGES = ("README.md", "CONTRIBUTING.md", *_DOCS)
_FENCE = re.compile(r"(?P<before>(?:^<!--[^\n]*-->\n)*)^```python\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of Python.

    `needs` are the modules that a comment ``<!-- needs: keras -->`` before it names, `tag` is
    the text of another comment there, such as ``<!-- ten-lines -->``.
    """

    page: str
    line: int
    code: str
    needs: tuple[str, ...]
    tag: str

    @property
    def label(self) -> str:
        return f"{self.page}:{self.line}"

    def printed(self) -> list[str] | None:
        """What the calls of `print` at its margin have in a comment; None if one has none."""
        calls = [
            node
            for node in ast.parse(self.code).body
            if isinstance(node, ast.Expr) and ast.unparse(node).startswith("print(")
        ]
        lines = self.code.splitlines()
        comments = [lines[node.end_lineno - 1].partition("  # ")[2] for node in calls]
        return comments if all(comments) else None


def blocks(page: str) -> list[Block]:
    """All of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        comments = re.findall(r"<!-- (.*?) -->", match["before"])
        needs = [c.removeprefix("needs: ") for c in comments if c.startswith("needs: ")]
        tags = [c for c in comments if not c.startswith("needs: ")]
        line = text.count("\n", 0, match.start("code")) + 1
        names = tuple(name for entry in needs for name in entry.split(", "))
        found.append(Block(page, line, match["code"], names, "".join(tags)))
    return found


def tagged(page: str, tag: str) -> Block:
    """The one block of a page with that comment before it."""
    (block,) = (b for b in blocks(page) if b.tag == tag)
    return block


def run(block: Block, names: dict | None = None) -> dict:
    """Run a block as a program of its own; what it defined.

    `names` is what the page takes as given.
    """
    namespace = {"__name__": "__main__", **(names or {})}
    code = "\n" * (block.line - 1) + block.code  # so that a traceback names the page's line
    exec(compile(code, str(ROOT / block.page), "exec"), namespace)
    return namespace
