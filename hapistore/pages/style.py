"""The style sheet of all pages: one column of paper, in daylight or at night, on a desk or in a hand."""

STYLE = """
:root {
  --paper: #fbfaf8; --ink: #1f1e1b; --soft: #6d685f; --line: #e5e1d9; --tile: #efece6; --bar: #3d6a94; --alarm: #a2442f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #151513; --ink: #ebe8e1; --soft: #9d978c; --line: #2d2b28; --tile: #201f1d; --bar: #7ea9d1;
    --alarm: #dd8a74;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1120px; margin: 0 auto; padding: 56px 32px 72px; }
h1, h2, h3, p, dl, dd, ol, ul, table { margin: 0; padding: 0; }
ol, ul { list-style: none; }
a { color: inherit; text-decoration: none; }
a:hover { text-decoration: underline; text-underline-offset: 3px; }
a:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
h1, h2, td, .name, .facts dd, .big { overflow-wrap: anywhere; }
.soft, figcaption { color: var(--soft); }
.eyebrow, h3, dt, th {
  color: var(--soft); font-size: 12px; font-weight: 500; line-height: 1.5; letter-spacing: .01em; text-align: left;
}
h1 { font-size: 40px; line-height: 1.1; font-weight: 600; letter-spacing: -.025em; margin: 4px 0 8px; }
h1 span { color: var(--soft); font-weight: 400; }
.facts { display: flex; flex-wrap: wrap; gap: 20px 48px; margin-top: 32px; }
.facts dd { font-size: 22px; line-height: 1.3; font-weight: 500; letter-spacing: -.01em; }
.overview {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 40px;
  margin-top: 48px; padding-top: 24px; border-top: 1px solid var(--line);
}
.overview h3 { margin-bottom: 12px; }
.bars li { margin-bottom: 10px; }
.bars .row { display: flex; justify-content: space-between; gap: 16px; font-size: 14px; line-height: 1.4; }
.bars .name, h2 { overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; }
.bars .soft { font-size: 14px; }
svg { display: block; width: 100%; overflow: visible; }
svg.bar { height: 4px; margin-top: 4px; }
svg.bar .track { fill: var(--tile); }
svg .mark { fill: var(--bar); }
svg.plot { height: auto; }
svg.plot .frame { fill: var(--tile); }
svg.columns { height: 72px; }
figure { margin: 0; }
figcaption { display: flex; justify-content: space-between; gap: 16px; font-size: 12px; margin-top: 6px; }
.big { font-size: 22px; font-weight: 500; letter-spacing: -.01em; line-height: 1.3; }
.below { margin-top: 10px; font-size: 14px; }
section.label, section.rest, section.out { margin-top: 56px; }
section > header {
  display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 14px;
  padding-bottom: 10px; margin-bottom: 12px; border-bottom: 1px solid var(--line);
}
h2 { font-size: 20px; line-height: 1.3; font-weight: 600; letter-spacing: -.01em; min-width: 0; }
h2.none, .none { font-style: italic; font-weight: 400; }
section > header .soft { font-size: 14px; }
section > header .end { margin-left: auto; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 8px; }
.sheet li {
  aspect-ratio: 1; background: var(--tile); border-radius: 3px; overflow: hidden;
  display: flex; align-items: center; justify-content: center;
}
.sheet img { display: block; width: 100%; height: 100%; object-fit: contain; color: transparent; }
.sheet img.small { image-rendering: pixelated; }
.sheet .gap { color: var(--soft); font-size: 11px; text-align: center; }
.words { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 14px; }
.words li { max-width: 100%; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th { padding: 0 16px 8px 0; }
td { padding: 8px 16px 8px 0; border-top: 1px solid var(--line); vertical-align: top; }
td.code { white-space: nowrap; color: var(--alarm); }
.reasons { display: flex; flex-wrap: wrap; gap: 8px 32px; margin-bottom: 20px; }
.reasons li { font-size: 14px; }
.reasons b { font-weight: 500; color: var(--alarm); }
footer { margin-top: 64px; padding-top: 20px; border-top: 1px solid var(--line); font-size: 13px; color: var(--soft); }
footer p { max-width: 72ch; margin-bottom: 6px; }
@media (max-width: 640px) {
  main { padding: 32px 16px 48px; }
  h1 { font-size: 30px; }
  .facts { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; margin-top: 24px; }
  .facts dd { font-size: 19px; }
  .overview { gap: 32px; margin-top: 32px; }
  section.label, section.rest, section.out { margin-top: 44px; }
  section > header .end { margin-left: 0; }
  .sheet { gap: 6px; }
  table, tbody, tr, td { display: block; }
  thead { display: none; }
  tr { border-top: 1px solid var(--line); padding: 8px 0; }
  td { border: 0; padding: 0; }
}
@media print { main { max-width: none; padding: 0; } section.label { break-inside: avoid; } }
"""
