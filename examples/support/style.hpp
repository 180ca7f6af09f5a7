// SPDX-License-Identifier: MIT
#pragma once

/// What the book needs beyond the style of all pages.
inline constexpr const char* book_style = R"(
:root{--basin:#3d5a80;--one:#bd84ad;--two:#94468a;--three:#4c1a52;--noise:#b9bcc4}
@media(prefers-color-scheme:dark){:root{--basin:#7fa3d1;--one:#8c5a82;--two:#c58abb;--three:#f3cdea;--noise:#565e6c}}
nav ol{columns:2;column-gap:32px;padding:16px 0;margin:36px 0 0;list-style:none;counter-reset:n;
border-top:1px solid var(--rule);border-bottom:1px solid var(--rule);font-size:1rem}
nav li{counter-increment:n;break-inside:avoid;padding:3px 0}
nav li::before{content:counter(n);display:inline-block;width:1.6em;color:var(--soft);font-variant-numeric:tabular-nums}
a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:.2em}
a:hover{text-decoration-color:currentColor}
h2 span{color:var(--soft);font-weight:400;margin-right:.55em}
.formula{font-size:1.12rem;line-height:1.85;padding-left:1.1em;border-left:3px solid var(--rule);margin:1.1em 0;max-width:none}
.formula span{display:inline-block;margin-right:1.5em}
.formula span:last-child{margin-right:0}
.formula sub,.formula sup{font-size:.72em;line-height:0}
.basin{fill:var(--basin);fill-opacity:.055;stroke:var(--basin);stroke-opacity:.38;stroke-width:.7}
.c-noise{color:var(--noise)}.c-one{color:var(--one)}.c-two{color:var(--two)}.c-three{color:var(--three)}
.controls{display:flex;align-items:center;gap:14px;margin:0 0 14px;
font:.92rem/1.4 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.controls[hidden]{display:none}
.controls button{font:inherit;color:inherit;background:none;border:1px solid var(--soft);border-radius:6px;
min-width:5.2em;min-height:36px;padding:5px 14px;cursor:pointer}
.controls input{flex:1;max-width:340px;min-width:60px;accent-color:var(--soft)}
.controls output{color:var(--soft);font-variant-numeric:tabular-nums;white-space:nowrap}
.trail,.runner{animation:none 14s linear infinite}
@media(max-width:640px){
nav ol{columns:1}
.formula{font-size:1.02rem;padding-left:.8em}
}
@media(prefers-reduced-motion:reduce){.trail,.runner{animation-play-state:paused;animation-delay:-13.99s}}
@media print{.controls{display:none}.trail,.runner{animation-name:none!important}}
)";

/// Buttons and sliders of the animated figures; without it they run all the same. Whoever asked for reduced
/// motion sees the finished paths, and sees them move only after pressing the button.
inline constexpr const char* book_script = R"(
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
