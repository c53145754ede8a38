// SPDX-License-Identifier: Apache-2.0
// The page's style sheet: calm, printable, and readable without colour.

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

constexpr std::string_view kStyle = R"CSS(
:root {
  --ink: #16212c; --soft: #566471; --faint: #8b97a3; --rule: #dde3e8; --wash: #f3f6f8; --paper: #fff;
  --blue: #0b5a9d; --blue-wash: #e6f0f8; --orange: #b4490c; --orange-wash: #fcefe4;
  --sans: "Helvetica Neue", "Segoe UI", "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", Arial, sans-serif;
}
* { box-sizing: border-box; }
html { background: var(--wash); color: var(--ink); font: 16px/1.55 var(--sans); -webkit-text-size-adjust: 100%; }
body { margin: 0; }
article { display: none; max-width: 60rem; margin: 0 auto 3rem; padding: 0 clamp(1.1rem, 4vw, 3.25rem) 2.5rem;
  background: var(--paper);
  border: 1px solid var(--rule); border-radius: 6px; }
#lang-zh:checked ~ article.zh, #lang-en:checked ~ article.en { display: block; }
input[name=lang] { position: absolute; opacity: 0; pointer-events: none; }
nav { display: flex; justify-content: space-between; align-items: center; max-width: 60rem; margin: 0 auto;
  padding: .8rem clamp(1.1rem, 4vw, 3.25rem); }
nav > span { display: inline-flex; border: 1px solid var(--rule); border-radius: 6px; overflow: hidden;
  background: var(--paper); }
nav label { padding: .3rem .9rem; cursor: pointer; color: var(--soft); }
#lang-zh:checked ~ nav label[for=lang-zh], #lang-en:checked ~ nav label[for=lang-en] { background: var(--ink);
  color: #fff; }
#lang-zh:focus-visible ~ nav > span, #lang-en:focus-visible ~ nav > span { outline: 2px solid var(--blue);
  outline-offset: 2px; }
#lang-zh:checked ~ nav button .en, #lang-en:checked ~ nav button .zh { display: none; }
button { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--rule);
  border-radius: 6px; padding: .3rem .9rem; cursor: pointer; }
button:hover { border-color: var(--faint); }
button:focus-visible, a:focus-visible, input:focus-visible, summary:focus-visible { outline: 2px solid var(--blue);
  outline-offset: 2px; }
a { color: var(--blue); text-underline-offset: .15em; }

.mast { display: grid; grid-template-columns: 1fr auto; gap: 0 1.5rem; padding: 2rem 0 1.2rem;
  border-bottom: 2px solid var(--ink); }
.mast > * { grid-column: 1; }
.kicker { margin: 0; color: var(--soft); font-size: .9rem; letter-spacing: .04em; }
h1 { margin: .1rem 0 .2rem; font-size: clamp(1.5rem, 3.6vw, 2.05rem); line-height: 1.2; font-weight: 650;
  letter-spacing: -.01em; }
.where { margin: 0; color: var(--soft); display: flex; flex-wrap: wrap; gap: 0 1.2rem; }
.where span:first-child { color: var(--ink); font-weight: 600; }
.mast .status { grid-column: 2; grid-row: 1 / span 3; align-self: center; margin: 0; padding: .45rem .95rem;
  border: 1.5px solid var(--faint); border-radius: 99px;
  font-size: .92rem; font-weight: 600; color: var(--soft); border-style: dashed; }
.mast .status.accepted { border: 1.5px solid var(--blue); color: var(--blue); }
.mast .status.refused { border: 1.5px solid var(--orange); color: var(--orange); }

section { padding-top: 2.1rem; }
h2 { margin: 0 0 .6rem; font-size: 1.22rem; line-height: 1.3; font-weight: 650; }
h3 { margin: 0 0 .1rem; font-size: 1.03rem; font-weight: 650; }
h3 .count { font-weight: 400; color: var(--soft); margin-left: .25rem; }
p { margin: 0 0 .8rem; }
.note { color: var(--soft); font-size: .88rem; }
.ne { color: var(--soft); font-style: normal; font-size: .92em; }
.few { color: var(--faint); }
.few .val, .few .ci { color: inherit; }
.val { font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.ci { color: var(--soft); font-size: .88em; font-variant-numeric: tabular-nums; }
.pair + .caution { margin-top: 1.1rem; }
.faint svg { opacity: .5; }
.lead .few b { color: inherit; }
.caution { border-left: 4px solid var(--orange); background: var(--orange-wash); padding: .5rem .9rem;
  border-radius: 0 4px 4px 0; }

.answer { padding-top: 1.6rem; }
.lead { font-size: clamp(1.22rem, 2.6vw, 1.52rem); line-height: 1.5; margin: 0 0 1.3rem; letter-spacing: -.005em;
  text-wrap: pretty; }
.zh .lead { line-height: 1.65; letter-spacing: 0; }
.lead b { font-weight: 700; color: var(--blue); white-space: nowrap; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1.6rem 2.4rem; }
figure { margin: 0; }
figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .35rem; }
.dots > svg { width: 100%; max-width: 27rem; display: block; }
.good { fill: var(--blue-wash); stroke: var(--blue); stroke-width: 1.2; }
.bad { fill: none; stroke: var(--orange); stroke-width: 2.6; stroke-linecap: round; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .35rem 0 0; padding: 0;
  font-size: .86rem; color: var(--soft); }
.legend li { display: inline-flex; align-items: center; gap: .4rem; }
.legend svg { height: 14px; width: auto; }

.gates { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--rule); }
.gates li { display: grid; grid-template-columns: 8.6rem 1fr; gap: 0 1.1rem; padding: .7rem 0;
  border-bottom: 1px solid var(--rule); align-items: start; }
.badge { grid-row: 1 / span 2; justify-self: start; display: inline-flex; align-items: center; gap: .4rem;
  padding: .16rem .75rem .16rem .5rem; border-radius: 99px;
  font-size: .9rem; font-weight: 600; border: 1.5px solid; white-space: nowrap; }
.badge svg { width: 14px; height: 14px; }
.badge path { fill: none; stroke: currentColor; stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; }
.pass .badge { background: var(--blue); border-color: var(--blue); color: #fff; }
.fail .badge { background: var(--paper); border-color: var(--orange); color: var(--orange); }
.not_estimable .badge { background: var(--paper); border: 1.5px dashed var(--faint); color: var(--soft); }
.rule { font-weight: 600; } .result { color: var(--soft); font-size: .93rem; font-variant-numeric: tabular-nums; }

table + .note, .pair + .note, dl + .note { margin-top: .8rem; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th { text-align: left; font-weight: 600; }
thead th { font-size: .86rem; color: var(--soft); border-bottom: 1.5px solid var(--ink);
  padding: .25rem .8rem .35rem 0; vertical-align: bottom; }
tbody th, tbody td { padding: .42rem .8rem .42rem 0; border-bottom: 1px solid var(--rule); vertical-align: middle; }
.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }

.flow th { font-weight: 400; width: 1%; white-space: nowrap; padding-right: 1.5rem; }
.flow .stage th { font-weight: 600; }
.flow td, .flow th { border: 0; padding-top: .2rem; padding-bottom: .2rem; }
.flow .num { width: 1%; padding-right: 1rem; } .flow .stage .num { font-weight: 600; }
.flow .loss th { padding-left: 1.4rem; color: var(--soft); } .flow .loss .num { color: var(--soft); }
.flow svg { display: block; width: 100%; height: 12px; } .flow rect { fill: var(--blue); }
.flow .loss rect { fill: #b9c4ce; }

.sites { table-layout: fixed; } .sites .who { width: 13%; } .sites .count { width: 15%; }
.sites .whom { display: block; line-height: 1.3; }
.sites td, .sites th { vertical-align: top; }
.sites .forest { display: block; width: 100%; max-width: 168px; }
.sites thead .forest { margin-top: .3rem; overflow: visible; }
.sites .cell { display: block; line-height: 1.3; padding-right: .4rem; }
.sites tr.ours th, .sites tr.ours td { background: var(--blue-wash); }
.sites tr > :first-child { padding-left: .7rem; }
.sites tbody th { font-weight: 400; } .sites tr.ours th { font-weight: 650; }
.grid { stroke: var(--rule); stroke-width: 1; fill: none; } tr.ours .grid { stroke: #c9d9e6; }
.axis { stroke: var(--ink); stroke-width: 1.2; fill: none; }
.tick { font-size: 11.5px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.label { font-size: 12.5px; fill: var(--ink); }
text { font-family: var(--sans); } .mid { text-anchor: middle; } .end { text-anchor: end; }
.start { text-anchor: start; }
.line { fill: none; stroke: var(--ink); stroke-width: 1.6; stroke-linejoin: round; }
.line.ours { stroke: var(--blue); stroke-width: 2.4; }
.line.local { stroke: var(--orange); stroke-width: 1.9; stroke-dasharray: 6 3.5; }
.line.other { stroke: var(--soft); }
.line.ideal { stroke: var(--faint); stroke-width: 1.3; stroke-dasharray: 1.5 3.5; stroke-linecap: round; }
.line.nobody { stroke: var(--faint); stroke-width: 1.4; }
.line.thin { stroke: var(--blue); stroke-width: 1; opacity: .55; }
.dot.ours { fill: var(--blue); stroke: #fff; stroke-width: 1; }
.dot.other { fill: var(--paper); stroke: var(--soft); stroke-width: 1.6; }

.cases td { padding: .22rem .8rem .22rem 0; } .cases .num, .cases th.num { padding-right: 0; }
.cases .id { width: 1%; white-space: nowrap; max-width: 16rem; overflow: hidden; text-overflow: ellipsis; }
.cases svg { display: block; width: 100%; height: 8px; } .cases rect { fill: #7fa6c7; }
.cases .track { fill: var(--wash); } .cases .mark { fill: var(--ink); }
summary { cursor: pointer; color: var(--blue); padding: .4rem 0; } details thead { display: none; }

.scores { display: block; width: calc(100% - 16px); margin: .4rem 8px 0; height: 9.5rem; }
.scores .axis, .cut { vector-effect: non-scaling-stroke; }
.cut { stroke: var(--ink); stroke-width: 2; stroke-dasharray: 5 3; }
.pos { fill: var(--blue); } .neg { fill: #9fb0bf; } .wrong { fill: var(--orange); }
.range { display: block; font-weight: 600; } .range output { color: var(--blue); font-variant-numeric: tabular-nums; }
.range input { display: block; width: 100%; margin: .1rem 0 .9rem; accent-color: var(--ink); height: 1.6rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.2rem, 1fr)); gap: .7rem; }
.tile { border: 1px solid var(--rule); border-radius: 6px; padding: .6rem .8rem .65rem; }
.tile output { display: block; font-size: 1.55rem; line-height: 1.2; font-weight: 650;
  font-variant-numeric: tabular-nums; }
  .tile span { font-size: .86rem; color: var(--soft); line-height: 1.35; display: block; }
.assume { display: flex; flex-wrap: wrap; gap: .6rem 1.3rem; align-items: center; margin-top: .9rem;
  font-size: .92rem; }
.assume input { font: inherit; width: 5.5rem; padding: .2rem .4rem; border: 1px solid var(--rule);
  border-radius: 4px; } .assume button { font-size: .92rem; }
.paper { display: none; }

.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1.6rem 2rem;
  margin-bottom: 1.4rem; }
.plot { width: 100%; display: block; } .chart .legend { padding-left: 3rem; }

dl { margin: 0 0 .8rem; }
dl > div { display: grid; grid-template-columns: 11rem 1fr; gap: 0 1.2rem; padding: .42rem 0;
  border-bottom: 1px solid var(--rule); }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: .84em/1.5 ui-monospace, Menlo, Consolas, monospace; }
.sign { display: grid; grid-template-columns: repeat(2, 1fr); gap: 1.5rem 2rem; padding-top: .6rem; }
.blank { display: flex; align-items: flex-end; gap: .8rem; min-height: 2rem; }
.blank.wide { grid-column: 1 / -1; min-height: 2.6rem; }
.blank > span { color: var(--soft); white-space: nowrap; }
.blank i { flex: 1; border-bottom: 1px solid var(--ink); }
.blank em { font-style: normal; display: inline-flex; align-items: center; gap: .4rem; }
.blank b { width: .95rem; height: .95rem; border: 1.4px solid var(--ink); border-radius: 2px; }

@media (max-width: 44rem) {
  article { border: 0; border-radius: 0; margin-bottom: 0; }
  .mast { grid-template-columns: 1fr; padding-top: 1.3rem; }
  .mast .status { grid-column: 1; grid-row: auto; justify-self: start; margin-top: .8rem; }
  .gates li { grid-template-columns: 1fr; gap: .35rem; } .badge { grid-row: auto; }
  .sites thead, .stack thead { display: none; }
  .sites tr, .stack tr { display: block; padding: .6rem 0; border-bottom: 1px solid var(--rule); }
  .sites tr.ours { background: var(--blue-wash); margin: 0 -.6rem; padding: .6rem; }
  .sites th, .sites td, .stack th, .stack td { display: grid; grid-template-columns: 7.2rem 1fr; gap: 0 .6rem;
    border: 0; padding: .14rem 0 !important; white-space: normal !important; }
  .sites tbody th, .stack tbody th { grid-template-columns: 1fr; font-weight: 650; }
  .sites td::before, .stack td::before { content: attr(data-h); color: var(--soft); font-size: .88rem;
    grid-row: 1 / span 2; }
  .sites td > *, .stack td > * { grid-column: 2; } .sites .forest { max-width: 220px; }
  .sites .forest.blank { display: none; }
  .flow th { white-space: normal; width: 55%; } .sign { grid-template-columns: 1fr; }
  dl > div { grid-template-columns: 1fr; }
}
@page { size: A4; margin: 14mm 13mm 15mm; }
@media print {
  html { font-size: 10.4pt; background: #fff; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  nav, .screen { display: none !important; } .paper { display: revert; }
  article { border: 0; max-width: none; margin: 0; padding: 0; } .mast { padding-top: 0; }
  section { padding-top: 1.3rem; } h2, h3 { break-after: avoid; }
  figure, tr, .gates li, dl > div, .sign, .pair + .caution { margin-top: 1.1rem; }
.faint svg { opacity: .5; }
.lead .few b { color: inherit; }
.caution { break-inside: avoid; } [data-part=answer], [data-part=gates], [data-part=sign] { break-inside: avoid; }
  .charts { grid-template-columns: 1fr 1fr; } .pair { grid-template-columns: 1fr 1fr; }
  a { color: inherit; text-decoration: none; } summary { display: none; }
}
)CSS";

}  // namespace

std::string_view PageStyle() {
  return kStyle;
}

std::string_view PageStyleHash() {
  return "H+Cau+We78uDLA4qa/77R3xB4r82LYWk6vAJ9xOi808=";
}

}  // namespace cloister::eval
