"""Write every page of docs/ that is made of the code."""

from tools.reference.pages import PAGES, ROOT

for _name, _make in PAGES.items():
    (ROOT / "docs" / _name).write_text(_make(), encoding="utf-8")
