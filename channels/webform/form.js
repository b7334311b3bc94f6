/* The script of a Parley form. It takes over a plain form that posts to the same address, or draws one where it stands;
   it keeps how the visitor came, works for the proof while he types, and sends without leaving the page. */
;(function () {
  'use strict'
  var me = document.currentScript
  if (!me || !me.src) return
  var base = me.src.replace(/\/form\.js([?#].*)?$/, '')
  var touches = ['utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content', 'gclid', 'yclid', 'fbclid']

  // --- how the visitor came -------------------------------------------------------------------------------------

  function kept(store, key) {
    try {
      return JSON.parse(store.getItem(key) || 'null')
    } catch (e) {
      return null // storage is switched off, or holds something else
    }
  }
  function keep(store, key, value) {
    try {
      store.setItem(key, JSON.stringify(value))
    } catch (e) {
      /* then only this page is known */
    }
  }
  function here() {
    var query = new URLSearchParams(location.search)
    var touch = { page: location.origin + location.pathname + location.search }
    touches.forEach(function (name) {
      if (query.get(name)) touch[name] = query.get(name).slice(0, 250)
    })
    var from = document.referrer
    if (from && from.indexOf(location.origin + '/') !== 0) touch.referrer = from.slice(0, 250)
    return touch
  }
  var now = here()
  var local = {}
  var session = {}
  try {
    local = window.localStorage
    session = window.sessionStorage
  } catch (e) {
    /* as if empty */
  }
  var first = kept(local, 'parley.first') || now
  keep(local, 'parley.first', first)
  // A new touch begins with an advertisement or another site; a walk within this one goes on with the touch that it had.
  var came = Object.keys(now).length > 1
  var last = came ? now : kept(session, 'parley.last') || now
  keep(session, 'parley.last', last)

  // --- proof of work --------------------------------------------------------------------------------------------

  // Our own SHA-256, since pages without https have no crypto.subtle.
  var K = []
  var H0 = []
  ;(function () {
    var frac = function (x) {
      return ((x - Math.floor(x)) * 0x100000000) | 0
    }
    for (var n = 2, found = 0; found < 64; n++) {
      for (var d = 2; d * d <= n && n % d; d++);
      if (d * d > n) {
        if (found < 8) H0[found] = frac(Math.pow(n, 1 / 2))
        K[found++] = frac(Math.pow(n, 1 / 3))
      }
    }
  })()
  var W = new Int32Array(64)
  function block(h, bytes, at) {
    for (var i = 0; i < 64; i++) {
      if (i < 16) {
        var j = at + i * 4
        W[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3]
      } else {
        var x = W[i - 15]
        var y = W[i - 2]
        W[i] =
          (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)) +
          (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)) +
          W[i - 7] +
          W[i - 16]
      }
    }
    var a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7]
    for (i = 0; i < 64; i++) {
      var t1 =
        (k + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0
      var t2 = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) + ((a & b) ^ (a & c) ^ (b & c))) | 0
      k = g
      g = f
      f = e
      e = (d + t1) | 0
      d = c
      c = b
      b = a
      a = (t1 + t2) | 0
    }
    h[0] += a
    h[1] += b
    h[2] += c
    h[3] += d
    h[4] += e
    h[5] += f
    h[6] += g
    h[7] += k
  }
  /** The state after all whole blocks of a text, and what is left of it: the challenge is the same for every try. */
  function absorb(text) {
    var h = new Int32Array(H0)
    var bytes = []
    for (var i = 0; i < text.length; i++) bytes.push(text.charCodeAt(i) & 255)
    var whole = bytes.length - (bytes.length % 64)
    for (var at = 0; at < whole; at += 64) block(h, bytes, at)
    return { h: h, rest: bytes.slice(whole), length: bytes.length }
  }
  var tail = new Uint8Array(128)
  function zeroBits(state, suffix) {
    var n = state.rest.length
    tail.fill(0)
    tail.set(state.rest)
    for (var i = 0; i < suffix.length; i++) tail[n++] = suffix.charCodeAt(i)
    var bits = (state.length + suffix.length) * 8
    tail[n] = 128
    var end = n + 9 > 64 ? 128 : 64
    tail[end - 4] = bits >>> 24
    tail[end - 3] = bits >>> 16
    tail[end - 2] = bits >>> 8
    tail[end - 1] = bits
    var h = new Int32Array(state.h)
    block(h, tail, 0)
    if (end > 64) block(h, tail, 64)
    return h[0] === 0 ? 32 + Math.clz32(h[1]) : Math.clz32(h[0])
  }
  /** Works in slices of some milliseconds, so that typing stays smooth. */
  function solve(token, bits) {
    return new Promise(function (resolve) {
      if (!bits) return resolve('')
      var state = absorb(token + '.')
      var n = 0
      ;(function slice() {
        var until = Date.now() + 12
        do {
          for (var i = 0; i < 200; i++, n++) if (zeroBits(state, String(n)) >= bits) return resolve(String(n))
        } while (Date.now() < until)
        setTimeout(slice, 0)
      })()
    })
  }

  // --- the form -------------------------------------------------------------------------------------------------

  function id() {
    if (window.crypto && crypto.randomUUID) return crypto.randomUUID()
    var bytes = crypto.getRandomValues(new Uint8Array(16))
    return Array.prototype.map
      .call(bytes, function (b) {
        return ('0' + b.toString(16)).slice(-2)
      })
      .join('')
  }
  function wait(ms) {
    return new Promise(function (resolve) {
      setTimeout(resolve, Math.max(0, ms))
    })
  }
  function describe() {
    return fetch(base, { headers: { Accept: 'application/json' }, credentials: 'omit', cache: 'no-store' }).then(function (r) {
      if (!r.ok) throw new Error('the form answered ' + r.status)
      return r.json().then(function (form) {
        form.at = Date.now()
        form.proof = solve(form.token, form.bits)
        return form
      })
    })
  }

  function bind(element, form, root) {
    var submission = id()
    var busy = false
    var status = document.createElement('p')
    status.setAttribute('role', 'status')
    status.setAttribute('aria-live', 'polite')
    element.appendChild(status)
    if (!element.elements.namedItem(form.trap)) {
      var trap = document.createElement('input')
      trap.name = form.trap
      trap.tabIndex = -1
      trap.autocomplete = 'off'
      trap.hidden = true
      trap.setAttribute('aria-hidden', 'true')
      element.appendChild(trap)
    }

    function values() {
      var body = new URLSearchParams()
      new FormData(element).forEach(function (value, name) {
        if (typeof value === 'string' && name.charAt(0) !== '_') body.append(name, value)
      })
      return body
    }
    function send(body, retried) {
      return form.proof
        .then(function (proof) {
          return wait(form.at + form.min_seconds * 1000 + 200 - Date.now()).then(function () {
            body.set('_token', form.token)
            body.set('_proof', proof)
            return fetch(base, { method: 'POST', body: body, headers: { Accept: 'application/json' }, credentials: 'omit' })
          })
        })
        .then(function (r) {
          return r
            .json()
            .catch(function () {
              return {}
            })
            .then(function (answer) {
              if (r.ok) return answer
              if (retried) throw answer
              var pause = wait((answer.retry_after || 0) * 1000)
              // A hub that could not store has not used the challenge up: the same one again is the same delivery.
              if (r.status === 503 || answer.code === 'too_fast') {
                return pause.then(function () {
                  return send(body, true)
                })
              }
              if (answer.code === 'stale' || answer.code === 'proof') {
                return pause.then(describe).then(function (fresh) {
                  form = fresh
                  return send(body, true)
                })
              }
              throw answer
            })
        })
    }
    function complain(answer) {
      var shown = false
      ;(answer.errors || []).forEach(function (e) {
        var input = element.elements.namedItem(String(e.location).replace(/^body\./, ''))
        if (!input || !input.setCustomValidity) return
        input.setCustomValidity(e.message)
        input.addEventListener('input', function clear() {
          input.setCustomValidity('')
          input.removeEventListener('input', clear)
        })
        shown = true
      })
      status.textContent = shown ? '' : answer.detail || form.words.failed
      if (shown) element.reportValidity()
    }
    element.addEventListener('submit', function (event) {
      event.preventDefault()
      if (busy) return
      busy = true
      var button = element.querySelector('[type=submit], button:not([type])')
      if (button) button.disabled = true
      status.textContent = form.words.sending
      var body = values()
      body.set('_id', submission)
      body.set('_first', JSON.stringify(first))
      body.set('_last', JSON.stringify(last))
      body.set('_page', location.href)
      body.set('_referrer', document.referrer)
      send(body, false)
        .then(function (answer) {
          submission = id()
          element.reset()
          status.textContent = answer.thanks || form.words.thanks
          element.dispatchEvent(new CustomEvent('parley:sent', { bubbles: true, composed: true, detail: answer }))
          describe().then(function (fresh) {
            form = fresh
          }, function () {})
          if (/^https?:\/\//.test(answer.redirect || '')) location.assign(answer.redirect)
        }, function (answer) {
          complain(answer || {})
        })
        .then(function () {
          busy = false
          if (button) button.disabled = false
        })
    })
    ;(root || element).setAttribute('data-parley-ready', '')
  }

  var css =
    ':host{display:block;font:inherit;color:inherit}form{display:grid;gap:1em;max-width:34em}label{display:grid;gap:.3em}' +
    'label.box{grid-template-columns:auto 1fr;align-items:center;gap:.6em}label.box input{width:1.25em;min-height:1.25em}' +
    'input,select,textarea{box-sizing:border-box;width:100%;min-height:2.75em;padding:.5em .7em;font:inherit;color:inherit;background:transparent;' +
    'border:1px solid currentColor;border-radius:.5em}option{color:#16191d;background:#fff}' +
    'button{justify-self:start;min-height:2.75em;padding:.5em 1.25em;font:inherit;font-weight:600;color:#fff;background:#0b6b5c;border:0;border-radius:.5em}' +
    'button:disabled{opacity:.6}:focus-visible{outline:3px solid #0b6b5c;outline-offset:2px}p{margin:0}p:empty{display:none}' +
    '.trap{position:absolute;inset-inline-start:-100vw;width:1px;height:1px;overflow:hidden}'

  function draw(form) {
    var host = document.createElement('div')
    host.lang = form.language
    me.parentNode.insertBefore(host, me.nextSibling)
    var shadow = host.attachShadow({ mode: 'open' })
    try {
      // A style element would be refused by a page that forbids inline styles.
      var sheet = new CSSStyleSheet()
      sheet.replaceSync(css)
      shadow.adoptedStyleSheets = [sheet]
    } catch (e) {
      /* plain looks */
    }
    var element = document.createElement('form')
    element.method = 'post'
    element.action = base
    form.fields.forEach(function (f) {
      var kind = f.type === 'textarea' || f.type === 'select' ? f.type : 'input'
      var input = document.createElement(kind)
      input.name = f.name
      input.required = f.required
      if (kind === 'input') input.type = { phone: 'tel', email: 'email', checkbox: 'checkbox', hidden: 'hidden' }[f.type] || 'text'
      if (f.type === 'email') input.autocomplete = 'email'
      if (f.type === 'phone') input.autocomplete = 'tel'
      if (f.name === 'name') input.autocomplete = 'name'
      if (kind === 'textarea') input.rows = 4
      if (kind === 'textarea') input.maxLength = 10000
      else if (kind === 'input' && f.type !== 'checkbox') input.maxLength = 500
      if (kind === 'select') {
        ;[''].concat(f.options || []).forEach(function (value) {
          var option = document.createElement('option')
          option.value = value
          option.textContent = value || form.words.choose
          input.appendChild(option)
        })
      }
      if (f.type === 'hidden') {
        // what a page or an advertisement says about itself comes in its address
        input.value = (new URLSearchParams(location.search).get(f.name) || '').slice(0, 500)
        element.appendChild(input)
        return
      }
      var label = document.createElement('label')
      var text = document.createElement('span')
      text.textContent = f.label + (f.required ? ' *' : '')
      if (f.type === 'checkbox') label.className = 'box'
      label.appendChild(f.type === 'checkbox' ? input : text)
      label.appendChild(f.type === 'checkbox' ? text : input)
      element.appendChild(label)
    })
    var trap = document.createElement('div')
    trap.className = 'trap'
    trap.setAttribute('aria-hidden', 'true')
    var bait = document.createElement('input')
    bait.name = form.trap
    bait.tabIndex = -1
    bait.autocomplete = 'off'
    trap.appendChild(bait)
    element.appendChild(trap)
    var button = document.createElement('button')
    button.type = 'submit'
    button.textContent = form.words.send
    element.appendChild(button)
    shadow.appendChild(element)
    bind(element, form, host)
  }

  function start() {
    var own = Array.prototype.filter.call(document.forms, function (f) {
      return f.getAttribute('action') && f.action.replace(/[?#].*$/, '') === base
    })
    // Until the description is there, a plain form posts by itself: nobody waits for a script.
    describe().then(
      function (form) {
        if (own.length === 0) return draw(form)
        own.forEach(function (element) {
          bind(element, form)
        })
      },
      function (e) {
        if (window.console) console.warn('Parley form:', e.message)
      },
    )
  }
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start)
  else start()
})()
