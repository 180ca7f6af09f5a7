// SPDX-License-Identifier: MIT
#pragma once

/// Colors, type and layout of the pages. The palette follows Okabe & Ito, "Color universal design", 2008,
/// with lightness changed for contrast on light and on dark paper.
inline constexpr const char* page_style = R"(
:root{--paper:#fcfbf8;--ink:#1c2330;--soft:#5d6675;--rule:#dfddd6;--basin:#3d5a80;
--sgd:#4b5363;--momentum:#00528f;--nesterov:#2b93cf;--rmsprop:#00876a;--adam:#cc4a00;
--one:#bd84ad;--two:#94468a;--three:#4c1a52;--noise:#b9bcc4}
@media(prefers-color-scheme:dark){:root{--paper:#14181f;--ink:#e6e8ec;--soft:#9aa3b2;--rule:#303743;--basin:#7fa3d1;
--sgd:#c3c9d4;--momentum:#4d9be6;--nesterov:#a3dcff;--rmsprop:#2bbf98;--adam:#ff8a3d;
--one:#8c5a82;--two:#c58abb;--three:#f3cdea;--noise:#565e6c}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:1.0625rem/1.6 Charter,"Bitstream Charter","Iowan Old Style",Georgia,"Liberation Serif",serif}
header,nav,main,footer{max-width:964px;margin:0 auto;padding:0 32px}
header{padding-top:72px}
h1{font-size:clamp(2.1rem,6vw,3.3rem);line-height:1.1;font-weight:600;letter-spacing:-.015em;margin:0 0 .5em}
header p{font-size:1.2rem;max-width:38em;margin:0}
nav ol{columns:2;column-gap:32px;padding:16px 0;margin:36px 0 0;list-style:none;counter-reset:n;
border-top:1px solid var(--rule);border-bottom:1px solid var(--rule);font-size:1rem}
nav li{counter-increment:n;break-inside:avoid;padding:3px 0}
nav li::before{content:counter(n);display:inline-block;width:1.6em;color:var(--soft);font-variant-numeric:tabular-nums}
a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:.2em}
a:hover{text-decoration-color:currentColor}
section{padding-top:64px}
h2{font-size:1.75rem;line-height:1.2;font-weight:600;letter-spacing:-.01em;margin:0 0 .5em}
h2 span{color:var(--soft);font-weight:400;margin-right:.55em}
h3{font-size:1.1rem;font-weight:600;margin:0 0 8px;line-height:1.3}h3 small{font-weight:400;font-size:.86em;color:var(--soft);display:block}
section>p{max-width:41em;margin:.6em 0}
.formula{font-size:1.12rem;line-height:1.85;padding-left:1.1em;border-left:3px solid var(--rule);margin:1.1em 0;max-width:none}
.formula span{display:inline-block;margin-right:1.5em}
.formula span:last-child{margin-right:0}
.formula sub,.formula sup{font-size:.72em;line-height:0}
figure{margin:30px 0 0}
figcaption{font-size:.94rem;line-height:1.5;color:var(--soft);max-width:44em;margin-top:10px}
svg{display:block;overflow:visible}
.plot{width:100%;height:auto;font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.plot text{font-size:12px;fill:var(--soft);stroke:none}
.plot .note{font-size:12px;fill:currentColor;paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
.mini text{font-size:10px}
.inside{overflow:hidden}
.narrow{display:none}
.grid{display:grid;gap:28px 32px;grid-template-columns:1fr 1fr}
.grid>div{min-width:0}
.three{grid-template-columns:1fr 1fr 1fr}
path{stroke:currentColor;stroke-linejoin:round;fill-rule:evenodd}
.plot path.grid{fill:none;stroke:var(--rule);stroke-width:1}
.plot path.axis{fill:none;stroke:var(--soft);stroke-width:1}
.fill{fill:currentColor;stroke:none}
.mark *{fill:currentColor;stroke:var(--paper);stroke-width:1}
.basin{fill:var(--basin);fill-opacity:.055;stroke:var(--basin);stroke-opacity:.38;stroke-width:.7}
.c-ink{color:var(--ink)}.c-soft{color:var(--soft)}.c-rule{color:var(--rule)}.c-noise{color:var(--noise)}
.c-sgd{color:var(--sgd)}.c-momentum{color:var(--momentum)}.c-nesterov{color:var(--nesterov)}
.c-rmsprop{color:var(--rmsprop)}.c-adam{color:var(--adam)}
.c-one{color:var(--one)}.c-two{color:var(--two)}.c-three{color:var(--three)}
.legend{display:flex;flex-wrap:wrap;gap:4px 22px;list-style:none;margin:0 0 12px;padding:0;
font:.92rem/1.6 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.legend li{color:var(--ink);display:flex;align-items:center;gap:8px}
.legend li svg{width:24px;height:14px;flex:none}
.table{margin-top:22px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font:.92rem/1.4 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:7px 0 7px 14px;border-bottom:1px solid var(--rule);font-weight:400;vertical-align:top}
th:first-child{text-align:left;padding-left:0;white-space:nowrap}
thead th{color:var(--soft);vertical-align:bottom}
td small{display:block;color:var(--soft);font-size:.85em}
.swatch{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:currentColor;margin-right:.55em}
.controls{display:flex;align-items:center;gap:14px;margin:0 0 14px;
font:.92rem/1.4 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.controls[hidden]{display:none}
.controls button{font:inherit;color:inherit;background:none;border:1px solid var(--soft);border-radius:6px;
min-width:5.2em;min-height:36px;padding:5px 14px;cursor:pointer}
.controls input{flex:1;max-width:340px;min-width:60px;accent-color:var(--soft)}
.controls output{color:var(--soft);font-variant-numeric:tabular-nums;white-space:nowrap}
.trail,.runner{animation:none 14s linear infinite}
footer{padding-top:56px;padding-bottom:56px;color:var(--soft);font-size:.94rem}
footer p{border-top:1px solid var(--rule);padding-top:18px;margin:0}
@media(max-width:640px){
header,nav,main,footer{padding-left:16px;padding-right:16px}
header{padding-top:40px}
header p{font-size:1.1rem}
nav ol{columns:1}
section{padding-top:52px}
h2{font-size:1.5rem}
.formula{font-size:1.02rem;padding-left:.8em}
.wide{display:none}.narrow{display:block}
.grid{grid-template-columns:1fr}
.three{grid-template-columns:1fr 1fr;gap:20px 12px}
.plot text,.plot .note{font-size:13px}
.mini text{font-size:12.5px}
th,td{padding-left:6px}
table{font-size:.8rem}
}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}
.trail,.runner{animation-play-state:paused;animation-delay:-13.99s}}
@media print{.controls{display:none}.trail,.runner{animation-name:none!important}}
)";

/// Buttons and sliders of the animated figures; without it they run all the same. Whoever asked for reduced
/// motion sees the finished paths, and sees them move only after pressing the button.
inline constexpr const char* page_script = R"(
for(const race of document.querySelectorAll('.race')){
const controls=race.querySelector('.controls'),button=controls.querySelector('button'),
slider=controls.querySelector('input'),output=controls.querySelector('output'),
runs=race.getAnimations({subtree:true}),drawn=+race.dataset.drawn;
if(!runs.length)continue;
const length=runs[0].effect.getComputedTiming().duration,start=runs[0].effect.getComputedTiming().delay;
let playing=!matchMedia('(prefers-reduced-motion:reduce)').matches,visible=true,waiting=false;
const step=()=>Math.min(+slider.max,Math.floor((runs[0].currentTime-start)%length/(length*drawn)*slider.max+1e-6));
const show=()=>{slider.value=step();output.value='step '+step()+' of '+slider.max};
const apply=()=>{for(const run of runs)playing&&visible?run.play():run.pause();button.textContent=playing?'Pause':'Play'};
const frame=()=>{if(waiting||!playing||!visible)return;show();waiting=true;
requestAnimationFrame(()=>{waiting=false;frame()})};
button.onclick=()=>{if(!playing&&step()==+slider.max)for(const run of runs)run.currentTime=start;
playing=!playing;apply();frame()};
slider.oninput=()=>{playing=false;apply();for(const run of runs)run.currentTime=start+slider.value/slider.max*drawn*length;show()};
new IntersectionObserver(e=>{visible=e[e.length-1].isIntersecting;apply();frame()}).observe(race);
controls.hidden=false;apply();show();
}
)";
