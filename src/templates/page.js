// A form that is on its way is not sent again by a second click. Pages work without this: then the
// service answers the second as it did the first.
(() => {
  const longest = 10000; // milliseconds: whoever stopped the page sends it again
  let until = 0;
  document.addEventListener('submit', (event) => {
    if (Date.now() < until) event.preventDefault();
    else until = Date.now() + longest;
  });
  // Back from elsewhere, with the page as it was left.
  addEventListener('pageshow', () => { until = 0; });
})();
