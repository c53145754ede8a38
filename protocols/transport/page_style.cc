// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/page_style.h"

namespace cloister::transport {

const char kPageStyle[] = R"css(
:root{color-scheme:light dark;--ground:#f4f6f8;--sheet:#fff;--line:#dde3e9;--edge:#8e9baa;--ink:#17212b;--soft:#5a6876;--accent:#0f5f78;
--accent-soft:#e2f0f4;--good:#1b6e3c;--good-soft:#e3f3e9;--warning:#8a5300;--warning-soft:#fdf1dc;--bad:#a3231b;
--bad-soft:#fbe7e5;--shade:0 1px 2px rgba(23,33,43,.05)}
@media (prefers-color-scheme:dark){:root{--ground:#10161c;--sheet:#182129;--line:#2b3742;--edge:#5f7080;--ink:#e4eaf0;--soft:#98a7b5;
--accent:#6cc3dc;--accent-soft:#163541;--good:#7fd09c;--good-soft:#16321f;--warning:#eebc6a;--warning-soft:#3a2b10;
--bad:#f19a92;--bad-soft:#402020;--shade:none}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",
"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-999px}.skip:focus{left:12px;top:8px;background:var(--sheet);padding:4px 10px;z-index:9}
header.top{background:var(--sheet);border-bottom:1px solid var(--line)}
.bar{max-width:1120px;margin:0 auto;padding:0 24px;display:flex;align-items:center;flex-wrap:wrap;column-gap:26px}
.brand{display:flex;align-items:center;gap:10px;font-weight:600;padding:14px 0;color:var(--ink);white-space:nowrap}
.brand:hover{text-decoration:none}
.brand svg{width:22px;height:22px;color:var(--accent);flex:none}
nav.main{display:flex;flex-wrap:wrap;column-gap:20px;align-self:stretch}
nav.main a{color:var(--soft);display:flex;align-items:center;padding:10px 0;border-bottom:2px solid transparent;
border-top:2px solid transparent}
nav.main a:hover{color:var(--ink);text-decoration:none}
nav.main a[aria-current]{color:var(--ink);border-bottom-color:var(--accent);font-weight:600}
.tools{margin-left:auto;display:flex;align-items:center;gap:14px;color:var(--soft);font-size:13.5px;padding:8px 0}
.tools form{margin:0}
main{max-width:1120px;margin:0 auto;padding:26px 24px 48px}
h1{font-size:22px;line-height:1.3;margin:0 0 18px;font-weight:600;letter-spacing:-.005em}
h2{font-size:16px;line-height:1.4;margin:0;font-weight:600}h3{font-size:14.5px;margin:18px 0 8px}
p{margin:0 0 10px}
.card{background:var(--sheet);border:1px solid var(--line);border-radius:8px;box-shadow:var(--shade);margin:0 0 18px;
padding:16px 20px 18px;min-width:0}
.card>.head{display:flex;align-items:baseline;justify-content:space-between;gap:14px;margin:0 0 12px;flex-wrap:wrap}
.card>:last-child{margin-bottom:0}
.scroll{overflow-x:auto;margin:0 -20px;padding:0 20px}
table{border-collapse:collapse;width:100%;font-size:14px}
th{font-weight:500;color:var(--soft);text-align:left;font-size:12.5px;white-space:nowrap}
th,td{padding:7px 16px 7px 0;border-bottom:1px solid var(--line);vertical-align:top}
th:last-child,td:last-child{padding-right:0}
tbody tr:last-child td{border-bottom:0;padding-bottom:2px}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.muted{color:var(--soft)}
.chip{display:inline-flex;align-items:center;gap:5px;border-radius:99px;padding:1px 10px 1px 8px;font-size:12.5px;line-height:20px;
white-space:nowrap;background:var(--ground);color:var(--soft);border:1px solid var(--line)}
.chip svg{width:12px;height:12px;flex:none}
.chip.good{color:var(--good);background:var(--good-soft);border-color:transparent}
.chip.warning{color:var(--warning);background:var(--warning-soft);border-color:transparent}
.chip.bad{color:var(--bad);background:var(--bad-soft);border-color:transparent}
.chip.active{color:var(--accent);background:var(--accent-soft);border-color:transparent}
.notice{display:flex;gap:10px;align-items:flex-start;border-radius:8px;padding:11px 16px;margin:0 0 18px;background:var(--sheet);
border:1px solid var(--line)}
.notice svg{width:16px;height:16px;flex:none;margin-top:4px}
.notice>div{min-width:0;overflow-wrap:anywhere}
.notice.good{background:var(--good-soft);border-color:transparent}.notice.good svg{color:var(--good)}
.notice.warning{background:var(--warning-soft);border-color:transparent}.notice.warning svg{color:var(--warning)}
.notice.bad{background:var(--bad-soft);border-color:transparent}.notice.bad svg{color:var(--bad)}
.notice.active{background:var(--accent-soft);border-color:transparent}.notice.active svg{color:var(--accent)}
.figures{display:flex;flex-wrap:wrap;gap:1px;background:var(--line);border:1px solid var(--line);border-radius:8px;overflow:hidden;margin:0 0 18px}
.figures div{background:var(--sheet);padding:12px 18px;flex:1 1 130px}
.figures dt{color:var(--soft);font-size:12.5px}
.figures dd{margin:1px 0 0;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere;line-height:1.35}
.facts{display:grid;grid-template-columns:minmax(110px,max-content) 1fr;gap:5px 22px;margin:0 0 14px}
.facts dt{color:var(--soft)}.facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
.progress{display:grid;grid-template-columns:1fr auto;gap:3px 14px;margin:0 0 12px;font-size:13.5px}
.progress .track{grid-column:1/-1;height:6px;border-radius:3px;background:var(--line);overflow:hidden}
.progress .fill{height:100%;background:var(--accent);border-radius:3px}
.progress .count{color:var(--soft);font-variant-numeric:tabular-nums}
code,.hash{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.9em}
pre{overflow:auto;background:var(--ground);border:1px solid var(--line);border-radius:6px;padding:12px 14px;font-size:13px;margin:0 0 12px}
details{margin:0 0 10px}summary{cursor:pointer;color:var(--soft)}
form{margin:0 0 10px}form.inline{display:inline-block;margin:0 8px 0 0}
label{display:block;color:var(--soft);font-size:13.5px;margin:0 0 3px}
input,select,textarea{font:inherit;color:inherit;background:var(--sheet);border:1px solid var(--edge);border-radius:6px;
padding:7px 10px;width:100%;max-width:420px;margin:0 0 12px}
label>input:not([type=checkbox]):not([type=radio]),label>select,label>textarea{display:block;margin-top:3px;color:var(--ink)}
input[type=checkbox],input[type=radio]{width:auto;margin:0 7px 0 0}
input[type=range]{padding:0}
button,.button{font:inherit;font-weight:500;border:1px solid var(--edge);border-radius:6px;padding:6px 15px;background:var(--sheet);
color:var(--ink);cursor:pointer;display:inline-block}
button:hover,.button:hover{border-color:var(--soft);text-decoration:none}
button.good,button.active{background:var(--accent);border-color:var(--accent);color:var(--sheet)}
button.good:hover,button.active:hover{filter:brightness(1.1)}
button.bad{color:var(--bad);border-color:var(--bad);background:transparent}
button.warning{color:var(--warning);border-color:var(--warning);background:transparent}
button.plain{border:0;background:none;padding:0;color:var(--accent);font-weight:400;font-size:inherit}
button.plain:hover{text-decoration:underline}
.login{max-width:372px;margin:9vh auto 0}
.login .card{padding:24px 26px 26px}
.login .brand{justify-content:center;font-size:17px;padding:0 0 18px}
.login input{max-width:none}.login button[type=submit]{width:100%;padding:8px}
.login .foot{display:flex;justify-content:space-between;color:var(--soft);font-size:13px;margin-top:12px}
@media (max-width:640px){.bar{padding:0 16px;column-gap:16px}main{padding:18px 16px 36px}.card{padding:14px 16px 16px}
.scroll{margin:0 -16px;padding:0 16px}nav.main{order:3;width:100%;flex-wrap:nowrap;overflow-x:auto;white-space:nowrap}
.facts{grid-template-columns:1fr;gap:0 0}.facts dd{margin:0 0 8px}.figures dd{font-size:19px}}
@media print{header.top,.tools,form{display:none}body{background:#fff}.card{break-inside:avoid;box-shadow:none}}
)css";

const char kPageScript[] = R"js(
(() => {
  const seconds = Number(document.body.dataset.refresh || 0);
  if (!seconds) return;
  const busy = () => {
    const at = document.activeElement;
    return document.hidden || (at && ['INPUT', 'SELECT', 'TEXTAREA'].includes(at.tagName)) || getSelection().toString();
  };
  let last = '';
  setInterval(async () => {
    if (busy()) return;
    try {
      const reply = await fetch(location.href, {headers: {'X-Refresh': '1'}});
      if (reply.redirected) { location.reload(); return; }
      if (!reply.ok) return;
      const text = await reply.text();
      if (text === last || busy()) return;
      last = text;
      const page = new DOMParser().parseFromString(text, 'text/html');
      const open = new Set([...document.querySelectorAll('details[open]')].map(d => d.querySelector('summary').textContent));
      page.querySelectorAll('details').forEach(d => { if (open.has(d.querySelector('summary').textContent)) d.open = true; });
      document.querySelector('main').replaceWith(page.querySelector('main'));
    } catch (ignored) {
      // The server is away; the next turn tries again.
    }
  }, seconds * 1000);
})();
)js";

}  // namespace cloister::transport
