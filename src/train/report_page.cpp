#include "train/report_page.h"

#include <fmt/core.h>

#include "text/utf8.h"

namespace autarky {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1b2330;
  --soft: #667085; --rule: #e4e7ec; --grid: #eceff3; --tint: #f2f5fa;
  --c0: #2f6fed; --c1: #e8710a; --c2: #11866f; --c3: #8b5cf6; --c4: #d6336c; --c5: #98a2b3; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1319; --card: #171c24; --ink: #e6eaf0;
  --soft: #98a2b3; --rule: #2a313c; --grid: #232a34; --tint: #1d2430;
  --c0: #6ea0ff; --c1: #ffa24c; --c2: #3ccbaa; --c3: #b197fc; --c4: #ff7ba5; --c5: #667085; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC",
    "PingFang SC", "Microsoft YaHei", sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 28px 20px 60px; }
header { margin-bottom: 20px; }
h1 { font-size: 27px; line-height: 1.2; margin: 2px 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 34px 0 12px; }
.brand { font-size: 12px; font-weight: 600; letter-spacing: .09em; text-transform: uppercase;
  color: var(--c0); }
.sub, small, .none { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; }
.card, .tile { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; }
.tile { padding: 12px 16px; }
.tile span { display: block; font-size: 12.5px; color: var(--soft); }
.tile b { display: block; font-size: 22px; font-weight: 650; line-height: 1.3;
  font-variant-numeric: tabular-nums; letter-spacing: -0.02em; white-space: nowrap; }
.grid2 { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; }
.wide { grid-column: 1 / -1; }
.card { margin: 0; padding: 14px 16px; position: relative; min-width: 0; }
figcaption, .cap { display: flex; flex-wrap: wrap; gap: 2px 10px; align-items: baseline;
  margin-bottom: 8px; }
.legend { margin-left: auto; display: flex; gap: 14px; font-size: 12.5px; color: var(--soft); }
.key::before { content: ""; display: inline-block; width: 16px; border-top: 3px solid currentColor;
  margin-right: 6px; vertical-align: middle; color: var(--k); }
.key.faint::before { opacity: .35; }
.key.dashed::before { border-top-style: dashed; border-top-width: 2px; }
.plot { overflow-x: auto; }
svg { display: block; width: 100%; height: auto; min-width: 460px; }
.wide svg { min-width: 720px; }
svg text { font-size: 11.5px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--grid); } .axis, .tick { stroke: var(--rule); }
path { fill: none; stroke: var(--k); stroke-width: 2; stroke-linejoin: round;
  stroke-linecap: round; }
path.faint { stroke-width: 1; opacity: .35; }
path.dashed { stroke-dasharray: 6 5; }
circle { fill: var(--k); stroke: var(--card); stroke-width: 1.5; }
.cursor { stroke: var(--soft); stroke-dasharray: 2 3; visibility: hidden; }
.c0 { --k: var(--c0); } .c1 { --k: var(--c1); } .c2 { --k: var(--c2); }
.c3 { --k: var(--c3); } .c4 { --k: var(--c4); } .c5 { --k: var(--c5); }
#tip { position: fixed; z-index: 9; pointer-events: none; visibility: hidden; font-size: 12.5px;
  background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 6px 10px;
  box-shadow: 0 4px 16px rgb(0 0 0 / .18); font-variant-numeric: tabular-nums; }
#tip .key { display: block; white-space: nowrap; }
.bar { display: grid; grid-template-columns: minmax(90px, 150px) 1fr minmax(72px, auto);
  gap: 12px; align-items: center; padding: 4px 0; font-size: 14px; }
.track { background: var(--tint); border-radius: 5px; height: 14px; overflow: hidden; }
.track i { display: block; height: 100%; background: var(--k); border-radius: 5px;
  min-width: 2px; }
.fall { display: grid; grid-template-columns: minmax(110px, 290px) 1fr 84px 84px; gap: 12px;
  align-items: center; padding: 5px 0; font-size: 14px; border-bottom: 1px solid var(--grid); }
.fall:last-child { border-bottom: 0; font-weight: 600; }
.fall i { display: block; height: 9px; background: var(--k); border-radius: 3px; min-width: 2px;
  margin: 2px 0; }
.fall .value.c0, .fall .value.c1 { color: var(--k); }
.value { text-align: right; font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 12.5px; }
th, td { padding: 6px 8px; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.sample p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  line-height: 1.6; max-height: 19em; overflow: auto; }
.sample mark { background: none; color: var(--c0); font-weight: 600; }
pre { margin: 10px 0 0; overflow-x: auto; font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo,
  Consolas, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; font-weight: 600; }
footer { margin-top: 36px; font-size: 13px; color: var(--soft); }
@media (max-width: 860px) { .grid2 { grid-template-columns: minmax(0, 1fr); }
  .fall { grid-template-columns: 1fr 84px 84px; }
  .fall .tracks { grid-column: 1 / -1; grid-row: 2; }
  h1 { font-size: 22px; } .legend { margin-left: 0; } }
@media print { body { background: #fff; } .card, .tile { break-inside: avoid; } }
)css";

// Reads the values under the pointer back from the lines' own points.
constexpr std::string_view kScript = R"js(
const tip = document.getElementById('tip');
const plain = v => String(+v.toPrecision(4));
const scaled = v => { for (const [n, s] of [[1e12, ' T'], [1e9, ' G'], [1e6, ' M'], [1e3, ' k']])
  if (v >= n) return plain(v / n) + s; return plain(v); };
const seconds = v => v < 1 ? plain(v * 1e3) + ' ms' : plain(v) + ' s';
const labels = [plain, scaled, seconds];
for (const svg of document.querySelectorAll('svg[data-box]')) {
  const numbers = name => svg.dataset[name].split(',').map(Number);
  const [left, top, right, bottom] = numbers('box'), [x0, x1] = numbers('x'),
        [y0, y1] = numbers('y'), label = labels[+svg.dataset.unit],
        cursor = svg.querySelector('.cursor');
  const lines = [...svg.querySelectorAll('path[data-name]')].map(path => ({
    name: path.dataset.name, style: path.getAttribute('class'),
    points: (path.getAttribute('d').match(/[ML][^ML]+/g) || [])
      .map(p => p.slice(1).split(' ').map(Number)) })).filter(line => line.points.length);
  const nearest = (points, x) => {
    let a = 0, b = points.length - 1;
    while (b - a > 1) { const m = (a + b) >> 1; if (points[m][0] < x) a = m; else b = m; }
    return x - points[a][0] < points[b][0] - x ? points[a] : points[b];
  };
  const value = y => { const t = (bottom - y) / (bottom - top);
    return svg.dataset.log === '1' ? y0 * Math.pow(y1 / y0, t) : y0 + t * (y1 - y0); };
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    const at = nearest(lines[0].points, x)[0];
    const step = px => Math.round(x0 + (px - left) / (right - left) * (x1 - x0));
    tip.replaceChildren(Object.assign(document.createElement('b'),
      { textContent: 'step ' + step(at).toLocaleString('en') }));
    for (const line of lines) {
      const p = nearest(line.points, x), row = document.createElement('span');
      row.className = 'key ' + line.style;
      row.textContent = line.name + '  ' + label(value(p[1])) +
        (Math.abs(p[0] - at) > 2 ? '  (step ' + step(p[0]).toLocaleString('en') + ')' : '');
      tip.append(row);
    }
    for (const [k, v] of Object.entries({ x1: at, x2: at, y1: top, y2: bottom }))
      cursor.setAttribute(k, v);
    cursor.style.visibility = tip.style.visibility = 'visible';
    const room = innerWidth - tip.offsetWidth - 12;
    tip.style.left = Math.max(4, Math.min(event.clientX + 16, room)) + 'px';
    tip.style.top = Math.max(4, event.clientY - tip.offsetHeight - 12) + 'px';
  });
  svg.addEventListener('pointerleave', () => {
    cursor.style.visibility = tip.style.visibility = 'hidden';
  });
}
)js";

void append_escaped(std::string& html, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == '&') html += "&amp;";
  else if (c == '<') html += "&lt;";
  else if (c == '>') html += "&gt;";
  else if (c == '"') html += "&quot;";
  else if (c == '\'') html += "&#39;";
  else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) html += kReplacement;
  else html += c;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string html;
  while (!text.empty()) {
    const std::size_t valid = valid_utf8_prefix(text);
    for (const char c : text.substr(0, valid)) append_escaped(html, c);
    if (valid == text.size()) break;
    html += kReplacement;
    text.remove_prefix(valid + 1);
  }
  return html;
}

std::string html_page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n{}</main>\n"
      "<div id=\"tip\"></div>\n<script>{}</script>\n</body>\n</html>\n",
      escape_html(title), kStyle, body, kScript);
}

}  // namespace autarky
