"use strict";
// Comfort only: the page says everything without it. Filter findings, copy commands.
(function () {
  var box = document.getElementById("filter"), count = document.getElementById("shown");
  var all = Array.prototype.slice.call(document.querySelectorAll("details.finding"));
  function filter() {
    var words = box.value.toLowerCase().split(/\s+/), n = 0;
    all.forEach(function (d) {
      var text = d.textContent.toLowerCase();
      d.hidden = !words.every(function (w) { return text.indexOf(w) >= 0; });
      if (!d.hidden) n++;
    });
    count.textContent = box.value.trim() ? n + " of " + all.length : "";
  }
  if (box && all.length > 5) {
    box.parentNode.hidden = false;
    box.addEventListener("input", filter);
  }
  document.querySelectorAll("pre.type").forEach(function (pre) {
    var b = document.createElement("button");
    b.type = "button"; b.className = "copy"; b.textContent = "Copy";
    b.addEventListener("click", function () {
      var range = document.createRange(), sel = window.getSelection();
      range.selectNodeContents(pre.firstChild);
      sel.removeAllRanges(); sel.addRange(range);
      b.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C";
      setTimeout(function () { b.textContent = "Copy"; }, 2000);
    });
    pre.appendChild(b);
  });
  window.addEventListener("beforeprint", function () {
    all.forEach(function (d) { d.open = true; });
  });
  // A link to a finding opens it.
  function reveal() {
    var d = location.hash && document.getElementById(location.hash.slice(1));
    if (d && d.tagName === "DETAILS") { d.open = true; d.scrollIntoView(); }
  }
  window.addEventListener("hashchange", reveal);
  reveal();
})();
