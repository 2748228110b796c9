"""How a page looks: on paper, in light and in dark."""

STYLE = """
:root{--ground:#f6f7f9;--card:#fff;--ink:#1f2328;--soft:#59636e;--line:#dfe3e8;--accent:#0072b2;
--note:#0072b2;--warning:#b77f00;--error:#c4442b}
@media (prefers-color-scheme:dark){:root{--ground:#0d1117;--card:#161b22;--ink:#e6edf3;
--soft:#9198a1;--line:#2c333b;--accent:#56b4e9;--note:#56b4e9;--warning:#f0c04c;--error:#ff7b6b}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font-size:15px;line-height:1.6;
font-variant-numeric:tabular-nums}
main{max-width:1040px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:28px;line-height:1.25;letter-spacing:-.01em;margin:0 0 20px;padding-right:130px;
overflow-wrap:anywhere}
h2{font-size:18px;margin:40px 0 12px}
h3{font-size:15px;margin:24px 0 8px}
p{margin:8px 0;max-width:75ch;overflow-wrap:anywhere}
.soft,small,dt{color:var(--soft)}
nav{position:absolute;top:34px;right:max(20px,calc(50vw - 500px));display:flex;
border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--card)}
nav button{font:inherit;font-size:13px;padding:4px 12px;border:0;background:none;color:var(--soft);
cursor:pointer}
nav button[aria-pressed=true]{background:var(--accent);color:var(--card)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
margin:0 0 12px}
.figures div{background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:12px 16px}
.figures dt{font-size:13px}
.figures dd{margin:2px 0 0;font-size:23px;font-weight:600;line-height:1.25;letter-spacing:-.01em}
.figures small{font-size:12px;line-height:1.4;display:block;margin-top:4px}
.charts{display:grid;margin:12px 0;grid-template-columns:minmax(0,1fr);gap:12px}
.charts.pair{grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr))}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:6px;overflow:hidden;break-inside:avoid}
figure svg{display:block;width:100%;height:auto}
.charts:not(.pair) figure{overflow-x:auto}
.charts:not(.pair) svg{min-width:600px}
.scroll{overflow-x:auto;margin:12px 0;background:var(--card);border:1px solid var(--line);
border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:7px 14px;border-bottom:1px solid var(--line);vertical-align:top}
td{overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
th{font-weight:600;color:var(--soft);white-space:nowrap}
.number{text-align:right;white-space:nowrap}
pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Noto Sans Mono CJK SC',monospace;
font-size:13px;line-height:1.65;white-space:pre-wrap;overflow-wrap:anywhere;margin:8px 0;
padding:12px 16px;background:var(--card);border:1px solid var(--line);border-radius:8px}
details{margin:12px 0}
summary{cursor:pointer;color:var(--soft)}
.notice{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--note);
border-radius:8px;padding:10px 16px;margin:10px 0;break-inside:avoid}
.notice.warning{border-left-color:var(--warning)}
.notice.error{border-left-color:var(--error)}
@media print{:root{--ground:#fff;--card:#fff;--ink:#1f2328;--soft:#59636e;--line:#dfe3e8;
--accent:#0072b2;--note:#0072b2;--warning:#b77f00;--error:#c4442b}
nav{display:none}main{max-width:none;padding:0}h2{break-after:avoid}}
"""
