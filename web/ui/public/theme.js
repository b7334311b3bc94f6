// Runs before the first paint, so that a dark desk never flashes white. The app takes over from here.
;(function () {
  var choice = 'system'
  try {
    choice = localStorage.getItem('parley.theme') || 'system'
  } catch {
    // No storage: the system decides.
  }
  var dark = choice === 'dark' || (choice === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
