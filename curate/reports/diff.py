"""The page of a diff between two gold sets: self-contained, safe against markup in any text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

LIMIT = 5_000
"""Changes shown one by one; a longer diff says how many more there are."""

_STYLE = """
:root{--line:#d0d7de;--soft:#57606a;--add:#dafbe1;--del:#ffebe9;--mark:#fff3b0;--back:#fff;--ink:#1f2328}
@media(prefers-color-scheme:dark){:root{--line:#3d444d;--soft:#9198a1;--add:#12361f;--del:#4a1b1b;
--mark:#5c4a00;--back:#0d1117;--ink:#e6edf3}}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1rem;
background:var(--back);
color:var(--ink)}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:1.6rem 0 .3rem;border-top:1px solid var(--line);
padding-top:.8rem;overflow-wrap:anywhere}
table{border-collapse:collapse}
td,th{padding:.15rem .8rem .15rem 0;text-align:left}td.n{text-align:right}
ul{list-style:none;padding:0}li{margin:.5rem 0;padding:.4rem .6rem;border:1px solid var(--line);
border-radius:.4rem;overflow-wrap:anywhere}
.kind{font-weight:600}.old{background:var(--del)}.new{background:var(--add)}
.old,.new{padding:0 .25rem;border-radius:.2rem}
.context{display:block;color:var(--soft);margin-top:.2rem}mark{background:var(--mark);color:inherit}
nav{margin:1rem 0}nav a{margin-right:1rem}
@media print{body{max-width:none}li{break-inside:avoid}}
"""


def render(
    old: str,
    new: str,
    counts: Mapping[str, int],
    bump: str | None,
    changes: Sequence[Mapping[str, Any]],
) -> str:
    """The page; ``changes`` as :meth:`curate.gold.diff.Change.as_dict` gives them."""
    title = f"{old} → {new}"
    rows = "".join(
        f'<tr><td>{escape(kind.replace("_", " "))}</td><td class="n">{count}</td></tr>'
        for kind, count in counts.items()
    )
    verdict = f"These changes call for a {bump} version." if bump else "Nothing differs."
    shown = changes[:LIMIT]
    rest = len(changes) - len(shown)
    more = f"<p>{rest} changes more are not shown; see <code>--json</code>.</p>" if rest else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p>{verdict}</p>"
        f'<table><thead><tr><th scope="col">change</th><th scope="col">count</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{_documents(shown)}{more}</main></body></html>\n"
    )


def _documents(changes: Sequence[Mapping[str, Any]]) -> str:
    parts: list[str] = []
    last: str | None = ""
    for change in changes:
        document = change.get("document")
        if document != last:
            if parts:
                parts.append("</ul>")
            parts.append(f"<h2>{escape(document or 'The schema')}</h2><ul>")
            last = document
        parts.append(_change(change))
    return "".join(parts) + ("</ul>" if parts else "")


def _change(change: Mapping[str, Any]) -> str:
    sides = []
    for side in ("old", "new"):
        text = _side(change.get(side))
        if text:
            tag = "del" if side == "old" else "ins"
            sides.append(f'<{tag} class="{side}" style="text-decoration:none">{text}</{tag}>')
    context = ""
    if change.get("context"):
        marked = escape(change["context"]).replace("[[", "<mark>", 1)
        before, closing, after = marked.rpartition("]]")
        if closing:
            marked = f"{before}</mark>{after}"
        context = f'<span class="context">{marked}</span>'
    kind = escape(change["kind"].replace("_", " "))
    return f'<li><span class="kind">{kind}</span> {" → ".join(sides)}{context}</li>'


def _side(value: Any) -> str:
    if isinstance(value, list):
        return " + ".join(_side(item) for item in value)
    if isinstance(value, Mapping):
        if "label" in value:
            ends = (
                f" {value['start']}–{value['end']}" if "start" in value and "end" in value else ""
            )
            return f"{escape(str(value.get('text', '')))} [{escape(str(value['label']))}{ends}]"
        return escape(", ".join(f"{key}: {_plain(item)}" for key, item in value.items()))
    return "" if value is None else escape(str(value))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    text = str(value)
    return text[:12] + "…" if len(text) == 64 else text
