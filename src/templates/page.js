// What a script makes easier. Pages work without it.

// A form that is on its way is not sent again by a second click. Without this, the
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

// A password may be looked at while it is typed. It is sent as a password, for the browser's memory.
(() => {
  for (const field of document.querySelectorAll('input[type="password"]')) {
    const button = document.createElement('button');
    const show = (isShown) => {
      field.type = isShown ? 'text' : 'password';
      button.textContent = isShown ? 'Hide' : 'Show';
      button.setAttribute('aria-label', `${button.textContent} what is typed`);
    };
    button.type = 'button';
    button.id = `${field.id}-reveal`;
    button.className = 'link reveal';
    button.addEventListener('click', () => show(field.type === 'password'));
    field.form.addEventListener('submit', () => show(false));
    field.after(button);
    show(false);
  }
})();

// The rules for a new password are ticked off as they are met. The service checks all of them, and more.
(() => {
  const meets = {
    length: (text, rule) => [...text.normalize('NFC')].length >= Number(rule.dataset.minimum),
    upper: (text) => /\p{Uppercase}/u.test(text),
    lower: (text) => /\p{Lowercase}/u.test(text),
    digit: (text) => /\p{Number}/u.test(text),
  };
  for (const list of document.querySelectorAll('[data-rules-of]')) {
    const field = document.getElementById(list.dataset.rulesOf);
    field.addEventListener('input', () => {
      for (const rule of list.children) {
        const isMet = meets[rule.dataset.rule]?.(field.value, rule) ?? false;
        rule.classList.toggle('met', isMet);
      }
    });
  }
})();

// Times where the reader is. Without this they are those of UTC, and say so.
(() => {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  for (const time of document.querySelectorAll('time[datetime]')) {
    time.textContent = format.format(new Date(time.dateTime));
  }
})();
