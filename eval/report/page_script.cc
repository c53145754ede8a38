// SPDX-License-Identifier: Apache-2.0
// The page's only script: it picks the language, moves the threshold and opens folded lists for printing. The page
// reads without it.

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

constexpr std::string_view kScript = R"JS(
(function () {
  'use strict';
  function choose(lang) {
    var radio = document.getElementById('lang-' + lang);
    if (radio) { radio.checked = true; mark(); }
  }
  function mark() {
    document.documentElement.lang = document.getElementById('lang-en').checked ? 'en' : 'zh-Hans';
  }
  ['zh', 'en'].forEach(function (lang) {
    document.getElementById('lang-' + lang).addEventListener('change', mark);
  });
  var asked = new URLSearchParams(location.search).get('lang');
  if (asked === 'zh' || asked === 'en') { choose(asked); }
  document.getElementById('print').addEventListener('click', function () { window.print(); });
  window.addEventListener('beforeprint', function () {
    document.querySelectorAll('details').forEach(function (one) { one.open = true; });
  });

  var data = JSON.parse(document.getElementById('sweep').textContent);
  function perHundred(share, n) { return (100 * share).toFixed(n >= 1000 ? 1 : 0); }
  function daily(value) { return value.toFixed(value < 9.95 ? 1 : 0); }
  document.querySelectorAll('.slider').forEach(function (root) {
    var range = root.querySelector('input[type=range]');
    var volume = root.querySelector('[data-i=volume]');
    var prevalence = root.querySelector('[data-i=prevalence]');
    var bars = root.querySelectorAll('rect[data-m]');
    var cut = root.querySelector('.cut');
    var share = data.prevalence;
    function show(name, text) { root.querySelector('[data-o=' + name + ']').textContent = text; }
    function update() {
      var i = Number(range.value);
      var t = Number(data.t[i]);
      var studies = volume ? Number(volume.value) || 0 : data.volume;
      var missed = data.p ? 1 - data.tp[i] / data.p : NaN;
      var alarmed = data.n ? data.fp[i] / data.n : NaN;
      var sick = studies * share;
      function or(value, text) { return isFinite(value) ? text(value) : '\u2013'; }
      show('threshold', data.t[i]);
      show('missed100', or(missed, function (v) { return perHundred(v, data.p); }));
      show('alarms100', or(alarmed, function (v) { return perHundred(v, data.n); }));
      show('missed', or(sick * missed, daily));
      show('real', or(sick * (1 - missed), daily));
      show('alarms', or(sick * (1 - missed) + (studies - sick) * alarmed, daily));
      cut.setAttribute('d', 'M' + (100 * t).toFixed(2) + ' 0V122');
      bars.forEach(function (bar) {
        var called = Number(bar.getAttribute('data-m')) >= t;
        bar.classList.toggle('wrong', called !== bar.classList.contains('pos'));
      });
    }
    range.addEventListener('input', update);
    if (volume) { volume.addEventListener('input', update); }
    prevalence.addEventListener('input', function () {
      share = Math.min(100, Math.max(0, Number(prevalence.value) || 0)) / 100;
      update();
    });
    root.querySelector('[data-i=reset]').addEventListener('click', function () {
      range.value = data.released;
      share = data.prevalence;
      prevalence.value = (100 * share).toFixed(1);
      if (volume) { volume.value = data.volume; }
      update();
    });
  });
})();
)JS";

}  // namespace

std::string_view PageScript() {
  return kScript;
}

std::string_view PageScriptHash() {
  return "BgcBakPlVEBrtEuMImRFKnzXE4kykCATZ24c4kGRe14=";
}

}  // namespace cloister::eval
