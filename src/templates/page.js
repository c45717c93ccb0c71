// Progressive enhancement: the pages also work without this script.

// Prevents a second submission of a form while the first is in progress. The server also handles
// repeated submissions.
(() => {
  const longest = 10000; // milliseconds; after that, a stopped page can be submitted again
  let until = 0;
  document.addEventListener('submit', (event) => {
    if (Date.now() < until) event.preventDefault();
    else until = Date.now() + longest;
  });
  // The page was restored from the back/forward cache.
  addEventListener('pageshow', () => { until = 0; });
})();

// Adds a button that shows the typed password. It is hidden before submission, so that password
// managers recognize the field.
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

// Ticks off the rules for a new password as they are met. The server checks these and more.
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

// Shows times in the local time zone. Without this script they are in UTC, and labelled so.
(() => {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  for (const time of document.querySelectorAll('time[datetime]')) {
    time.textContent = format.format(new Date(time.dateTime));
  }
})();
