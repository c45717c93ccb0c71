// Progressive enhancement: the pages also work without this script.

// Prevents a second submission of a form while the first is in progress. The server also handles
// repeated submissions.
(() => {
  // In milliseconds. Afterwards the form of a page that was stopped can be submitted again.
  const lockTime = 10000;
  let lockedUntil = 0;
  document.addEventListener('submit', (event) => {
    if (Date.now() < lockedUntil) event.preventDefault();
    else lockedUntil = Date.now() + lockTime;
  });
  // Unlocks a page that is restored from the back/forward cache.
  addEventListener('pageshow', () => { lockedUntil = 0; });
})();

// Adds a button that shows the typed password. It is hidden before submission, so that password
// managers recognize the field.
(() => {
  // The texts are attributes of the script. A page of the previous version has none.
  const { show: showText = 'Show', showLabel = 'Show what is typed' } = document.currentScript.dataset;
  const { hide: hideText = 'Hide', hideLabel = 'Hide what is typed' } = document.currentScript.dataset;
  for (const field of document.querySelectorAll('input[type="password"]')) {
    const button = document.createElement('button');
    const show = (isShown) => {
      field.type = isShown ? 'text' : 'password';
      button.textContent = isShown ? hideText : showText;
      button.setAttribute('aria-label', isShown ? hideLabel : showLabel);
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

// Ticks off the rules for a new password that are met. The server checks these rules and more.
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

// Shows times in the local time zone, in the language of the page. Without this script, times are
// in UTC and marked as UTC.
(() => {
  const language = document.documentElement.lang;
  // The browser's locale for this language, such as `en-GB`, has the notation that its user expects.
  const locale = navigator.languages.find((tag) => tag.split('-')[0] === language) ?? language;
  const format = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });
  for (const time of document.querySelectorAll('time[datetime]')) {
    time.textContent = format.format(new Date(time.dateTime));
  }
})();

// Removes the token of a mailed link from the address bar and the history. The form contains it.
(() => {
  if (document.querySelector('[data-removes-query]')) history.replaceState(null, '', location.pathname);
})();
