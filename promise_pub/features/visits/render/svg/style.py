"""How the graph of transitions looks: static/style.css has these very rules, and a file of its own takes them along."""

from __future__ import annotations

import re
from collections.abc import Mapping

RULES = """\
.transitions text { fill: var(--ink); stroke: var(--panel); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke; font-family: system-ui, sans-serif; pointer-events: none; }
.transitions .name { font-size: 13px; font-weight: 600; }
.transitions .hits { font-size: 11px; fill: var(--soft); }
.transitions .share { font-size: 12px; font-weight: 600; }
.transitions .inside { stroke: none; }
.transitions .way { fill: none; stroke: var(--accent); opacity: 0.6; }
.transitions .tip { fill: var(--accent); opacity: 0.6; }
.transitions .leaving .way { stroke: var(--edge); }
.transitions .leaving .tip { fill: var(--edge); }
.transitions .strong .way, .transitions .strong .tip { opacity: 1; }
.transitions .weak .way, .transitions .weak .tip { opacity: 0.25; }
.transitions .reach { fill: none; stroke: none; pointer-events: stroke; }
.transitions .dot { fill: var(--accent); stroke: var(--panel); stroke-width: 2; }
.transitions .others .dot { fill: var(--tint); stroke: var(--accent); stroke-dasharray: 4 3; }
.transitions .exit .dot { fill: var(--panel); stroke: var(--edge); }
.transitions .page:focus, .transitions .exit:focus { outline: none; }
.transitions .page:focus-visible .dot, .transitions .exit:focus-visible .dot { stroke: var(--ink); stroke-width: 3; }
.transitions .nodes:is(:hover, :focus-within) .page:not(:hover, :focus) .edge { opacity: 0.07; }
.transitions .nodes:has(.exit:is(:hover, :focus)) .page .edge.leaving { opacity: 1; }
.transitions .nodes:has(.exit:is(:hover, :focus)) .leaving :is(.way, .tip) { opacity: 1; }
.transitions .nodes .page:is(:hover, :focus) :is(.way, .tip) { opacity: 1; }
@media (prefers-reduced-motion: no-preference) { .transitions .edge { transition: opacity 0.15s; } }
"""

# The rectangle for programs that know no background of a drawing; that one for windows that are larger.
_GROUND = """\
.transitions { background: var(--panel); }
.transitions .ground { fill: var(--panel); }
"""

# The colours of static/style.css. A file has them in its rules: not every program that shows one knows variables.
LIGHT = {"panel": "#fff", "ink": "#1b211f", "soft": "#56605c", "edge": "#7d8884"}
LIGHT |= {"accent": "#14603d", "tint": "#eef5f1"}
DARK = {"panel": "#1a2022", "ink": "#e6ebe9", "soft": "#a3b1ac", "edge": "#77857f"}
DARK |= {"accent": "#6fd0a0", "tint": "#1c2b25"}


def standalone() -> str:
    """The rules for a file of its own, which has a ground to stand on; dark where the system is."""
    rules = _GROUND + RULES
    dark = f"@media (prefers-color-scheme: dark) {{\n{_coloured(rules, DARK)}}}\n"
    return f"\n{_coloured(rules, LIGHT)}{dark}"


def _coloured(rules: str, colours: Mapping[str, str]) -> str:
    return re.sub(r"var\(--(\w+)\)", lambda found: colours[found[1]], rules)
