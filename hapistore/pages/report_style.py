"""What the report adds to the style sheet of all pages: more colours, tables of figures, drawings with text."""

from .style import STYLE

REPORT_STYLE = (
    STYLE
    + """
:root { --warm: #b9692c; --leaf: #5c8a58; }
@media (prefers-color-scheme: dark) { :root { --warm: #dba063; --leaf: #8dbb87; } }
article + article { margin-top: 96px; padding-top: 64px; border-top: 1px solid var(--line); }
nav { display: flex; flex-wrap: wrap; gap: 4px 24px; margin-bottom: 40px; font-size: 14px; color: var(--soft); }
.lead { max-width: 48ch; margin-top: 24px; font-size: 22px; line-height: 1.35; letter-spacing: -.01em; }
.lead b { font-weight: 600; color: var(--bar); }
code { font: 0.88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
section.part { margin-top: 64px; }
section.part > header { margin-bottom: 20px; }
.note { max-width: 72ch; font-size: 13px; color: var(--soft); }
.codec { color: var(--soft); overflow-wrap: anywhere; }
svg.bar { height: 8px; margin-top: 5px; }
svg .images, svg .link { fill: var(--warm); }
svg .features, svg .storage { fill: var(--bar); }
svg .compute { fill: var(--leaf); }
svg .wait { fill: var(--warm); }
svg .tick { fill: var(--ink); }
.part > .bars { margin-bottom: 28px; }
.part > .bars li:first-child .mark { fill: var(--warm); }
table.figures td, table.figures th { padding: 8px 0 8px 20px; text-align: right; vertical-align: baseline; }
table.figures th { padding-top: 0; white-space: nowrap; }
table.figures .first { padding-left: 0; text-align: left; }
table.figures .first, table.figures td:first-child { overflow-wrap: anywhere; }
table.figures td { white-space: nowrap; }
table.figures td.first { white-space: normal; }
table.figures .marked { color: var(--ink); font-weight: 600; }
svg.link { fill: none; overflow: hidden; margin-bottom: 28px; }
svg.link text { fill: var(--soft); font-size: 12.5px; }
svg.link text.images { fill: var(--warm); font-weight: 600; }
svg.link text.features { fill: var(--ink); }
svg.link text.yours { fill: var(--ink); font-weight: 600; }
svg.link .grid { stroke: var(--line); }
svg.link .yours { stroke: var(--ink); stroke-dasharray: 2 3; }
svg.link text.yours { stroke: none; }
svg.link .series { stroke-width: 2; }
svg.link line.images { stroke: var(--warm); stroke-width: 2.5; }
svg.link line.features { stroke: var(--bar); }
svg.link .leader { stroke: var(--line); fill: none; }
svg.link.narrow { display: none; }
.run {
  display: grid; grid-template-columns: minmax(220px, 300px) minmax(0, 1fr); gap: 24px 48px;
  margin-top: 32px; padding-top: 24px; border-top: 1px solid var(--line);
}
.run h3 { color: var(--ink); font-size: 16px; font-weight: 600; letter-spacing: -.005em; }
.run .soft { font-size: 13px; overflow-wrap: anywhere; }
dl.small { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 4px 16px; margin-top: 14px; }
dl.small div { display: contents; }
dl.small dt, dl.small dd { font-size: 14px; overflow-wrap: anywhere; }
dl.small dt { min-width: 9ch; overflow-wrap: normal; }
.run svg.columns { height: 140px; }
.plan li { margin-bottom: 12px; }
.part .bars .row { flex-wrap: wrap; gap: 0 16px; }
.part .bars .row > :last-child { margin-left: auto; }
.plan .row { font-size: 13px; }
.plan b { font-weight: 600; color: var(--alarm); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin-bottom: 14px; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 10px; height: 10px; margin-right: 7px; border-radius: 2px; }
.legend .storage, .legend .mark { background: var(--bar); }
.legend .link, .legend .wait { background: var(--warm); }
.legend .compute { background: var(--leaf); }
.legend .tick { width: 2px; height: 12px; margin-bottom: -1px; background: var(--ink); }
@media (max-width: 800px) {
  svg.link.wide { display: none; }
  svg.link.narrow { display: block; max-width: 520px; }
  .run { grid-template-columns: minmax(0, 1fr); }
  table.figures, table.figures tbody, table.figures tr { display: block; }
  table.figures thead { display: none; }
  table.figures tr { padding: 10px 0; border-top: 1px solid var(--line); }
  table.figures td {
    display: flex; justify-content: space-between; gap: 16px; padding: 1px 0; border: 0; white-space: normal;
  }
  table.figures td.first { display: block; padding-bottom: 4px; font-weight: 500; }
  table.figures td::before { content: attr(data-label); flex: none; max-width: 50%; text-align: left; }
  table.figures td::before { color: var(--soft); }
  table.figures td.first::before { content: none; }
  table.figures td.nothing { display: none; }
}
@media (max-width: 640px) {
  .lead { font-size: 19px; }
  section.part { margin-top: 48px; }
}
"""
)
