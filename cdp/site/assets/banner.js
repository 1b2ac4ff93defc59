/* The consent banner: asks before anything that needs consent runs, refusing as easily as accepting. No dependency, no
   call but to the host it came from. docs/how-to/collect-consent.md tells how to put it on a site. */
(() => {
  "use strict";
  const own = document.currentScript;
  const host = new URL(own.src).origin;
  const key = own.dataset.key;
  const usesMode = "consentMode" in own.dataset;
  const isPreview = "preview" in own.dataset;
  const gpc = navigator.globalPrivacyControl === true;
  const COOKIE = "cdp_consent";
  const DAYS = 180;
  const AD_SIGNALS = ["ad_storage", "ad_user_data", "ad_personalization", "analytics_storage"];
  const STYLE = `
:host{all:initial}
*{box-sizing:border-box}
[role=dialog]{position:fixed;z-index:2147483647;left:0;right:0;bottom:0;max-height:90vh;overflow-y:auto;padding:1.25rem;
font:16px/1.5 system-ui,sans-serif;color:#1f2430;background:#fff;border-top:1px solid #8a93a5;box-shadow:0 -4px 24px #0003}
.in{max-width:60rem;margin:0 auto}
h2{font-size:1.2rem;line-height:1.3;margin:0 2.5rem .5rem 0}
p{margin:0 0 .75rem}
.small{font-size:.9rem}
.text{max-height:8rem;overflow-y:auto;white-space:pre-line}
.row{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1rem}
button{font:inherit;font-weight:600;min-height:44px;min-width:9rem;flex:1 1 9rem;max-width:18rem;padding:.5rem 1rem;border-radius:6px;
border:2px solid #1f2430;color:#fff;background:#1f2430;cursor:pointer}
button.soft{color:#1f2430;background:#fff}
button.close{position:absolute;right:1rem;top:1rem;min-width:44px;max-width:44px;padding:0;border:0;color:#1f2430;background:none;font-size:1.5rem}
fieldset{border:0;margin:0;padding:0}
legend{font-weight:600;padding:0}
label{display:flex;gap:.75rem;align-items:flex-start;padding:.5rem 0;min-height:44px;cursor:pointer}
input{flex:none;width:22px;height:22px;margin:.1rem 0 0;accent-color:#1f2430}
a{color:inherit}
h2:focus{outline:0}
:focus-visible:not(h2){outline:3px solid #6d28d9;outline-offset:2px}
@media(prefers-color-scheme:dark){[role=dialog]{color:#eceef3;background:#14161c}
button{border-color:#eceef3;color:#14161c;background:#eceef3}button.soft,button.close{color:#eceef3;background:#14161c}
input{accent-color:#a78bfa}:focus-visible{outline-color:#a78bfa}}`;

  let settings = null;
  let state = isPreview ? null : readState();
  let box = null;
  let focusedBefore = null;

  // --- What was chosen ---------------------------------------------------------------------------------------------

  function readState() {
    const held = document.cookie.split("; ").find((one) => one.startsWith(`${COOKIE}=`));
    try {
      const found = held && JSON.parse(decodeURIComponent(held.slice(COOKIE.length + 1)));
      return found && typeof found.p === "object" && found.p ? found : null;
    } catch {
      return null;
    }
  }

  function writeState() {
    if (isPreview) return;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    const value = encodeURIComponent(JSON.stringify(state));
    document.cookie = `${COOKIE}=${value}; Max-Age=${DAYS * 86400}; Path=/; SameSite=Lax${secure}`;
  }

  function allowed(purposes) {
    const wanted = purposes.split(/[\s,]+/).filter(Boolean);
    return Boolean(state && wanted.length && wanted.every((one) => state.p[one] === true));
  }

  // --- Scripts that wait --------------------------------------------------------------------------------------------

  function release() {
    for (const held of document.querySelectorAll('script[type="text/plain"][data-cdp-purpose]')) {
      if (!allowed(held.dataset.cdpPurpose)) continue;
      const script = document.createElement("script");
      for (const { name, value } of held.attributes) {
        if (name === "type" || name === "data-cdp-purpose") continue;
        script.setAttribute(name === "data-src" ? "src" : name, value);
      }
      if (held.dataset.type) script.type = held.dataset.type;
      script.nonce = held.nonce;
      script.async = held.hasAttribute("async");
      script.textContent = held.textContent;
      held.replaceWith(script);
    }
  }

  // --- Google's consent mode ----------------------------------------------------------------------------------------

  function gtag() {
    window.dataLayer = window.dataLayer || [];
    window.dataLayer.push(arguments);
  }

  function modeSignals() {
    const signals = {};
    for (const [name, keys] of Object.entries((state && state.m) || {})) {
      signals[name] = keys.every((one) => state.p[one]) ? "granted" : "denied";
    }
    return signals;
  }

  function updateMode() {
    const signals = modeSignals();
    if (usesMode && Object.keys(signals).length) gtag("consent", "update", signals);
  }

  // --- Telling the platform -----------------------------------------------------------------------------------------

  function anonymousId() {
    const read = (name) => {
      try {
        const value = localStorage.getItem(name);
        return value && value.replace(/^"|"$/g, "");
      } catch {
        return null;
      }
    };
    const cookie = document.cookie.match(/(?:^|; )ajs_anonymous_id=([^;]+)/);
    const found = own.dataset.anonymousId || read("ajs_anonymous_id") || (cookie && decodeURIComponent(cookie[1]));
    return found || (state && state.a) || randomId();
  }

  function randomId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function send() {
    if (isPreview) return;
    const message = {
      writeKey: key,
      type: "track",
      event: "Segment Consent Preference Updated",
      anonymousId: state.a,
      messageId: state.i,
      timestamp: state.t,
      context: {
        consent: {
          categoryPreferences: state.c,
          method: "banner",
          notice: state.n || undefined,
          language: state.l,
          googleConsentMode: usesMode ? modeSignals() : undefined,
        },
      },
    };
    const options = { method: "POST", keepalive: true, headers: { "Content-Type": "text/plain" } };
    fetch(`${host}/v1/track`, { ...options, body: JSON.stringify(message) })
      .then((answer) => {
        // What could not be sent is sent from the next page, under the same id.
        if (answer.ok || (answer.status >= 400 && answer.status < 500 && answer.status !== 429)) {
          delete state.u;
          writeState();
        }
      })
      .catch(() => {});
  }

  function decide(choose) {
    const purposes = {};
    const categories = {};
    const modes = {};
    for (const one of settings.purposes) {
      const yes = Boolean(choose(one));
      purposes[one.key] = yes;
      for (const category of one.categories) categories[category] = yes && categories[category] !== false;
      for (const signal of one.mode) (modes[signal] = modes[signal] || []).push(one.key);
    }
    const lost = state && Object.keys(state.p).some((one) => state.p[one] && !purposes[one]);
    const time = new Date().toISOString();
    const ids = { a: anonymousId(), i: `consent-${randomId()}` };
    state = { p: purposes, c: categories, m: modes, n: settings.notice, l: settings.language, t: time, u: 1, ...ids };
    writeState();
    send();
    updateMode();
    close();
    release();
    document.dispatchEvent(new CustomEvent("cdp-consent", { detail: { ...purposes, withdrawn: Boolean(lost) } }));
  }

  // --- The dialog ---------------------------------------------------------------------------------------------------

  function make(tag, attributes, ...inside) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...inside.filter(Boolean));
    return element;
  }

  // A purpose that the browser itself objects to is allowed by its own box only, never along with the others.
  const everything = (one) => !(gpc && one.gpc);

  function open() {
    if (!settings || box) return;
    const { words } = settings;
    focusedBefore = document.activeElement;
    box = make("div", { id: "cdp-consent-banner" });
    const root = box.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];

    const boxes = settings.purposes.map((one) => {
      const input = make("input", { type: "checkbox", value: one.key });
      input.checked = Boolean(state && state.p[one.key]);
      const note = gpc && one.gpc ? ` ${words.gpc}` : "";
      const about = make("span", { class: "small" }, `${one.description}${note}`);
      return make("label", {}, input, make("span", {}, make("strong", {}, one.name), " ", about));
    });
    const list = make("fieldset", { hidden: true }, make("legend", {}, words.choose), ...boxes);
    const save = make("button", { type: "button", hidden: true, onclick: () => {
      const ticked = new Set(boxes.map((one) => one.querySelector("input")).filter((one) => one.checked).map((one) => one.value));
      decide((one) => ticked.has(one.key));
    } }, words.save);
    const choose = make("button", { type: "button", class: "soft", "aria-expanded": "false", onclick: () => {
      list.hidden = save.hidden = false;
      choose.hidden = true;
      boxes[0].querySelector("input").focus();
    } }, words.choose);
    const refuse = make("button", { type: "button", onclick: () => decide(() => false) }, words.refuse);
    const accept = make("button", { type: "button", onclick: () => decide(everything) }, words.accept);
    const title = make("h2", { id: "t", tabindex: "-1" }, words.title);
    const policy = settings.policy && make("p", {}, make("a", { href: settings.policy }, words.policy));
    const text = settings.text && make("p", { class: "small text", tabindex: "0", role: "region", "aria-labelledby": "t" }, settings.text);
    const dialog = make("div", { role: "dialog", "aria-modal": "false", "aria-labelledby": "t", "aria-describedby": "d", lang: settings.language },
      make("div", { class: "in" }, title, make("p", { id: "d" }, words.intro), text, policy, list,
        make("div", { class: "row" }, refuse, accept, choose, save)),
      make("button", { type: "button", class: "close", "aria-label": words.close, onclick: close }, "×"));
    // Leaving without a choice is no choice: nothing is allowed by it.
    dialog.addEventListener("keydown", (event) => event.key === "Escape" && close());
    root.append(dialog);
    document.body.append(box);
    title.focus();
  }

  function close() {
    if (!box) return;
    box.remove();
    box = null;
    if (focusedBefore && focusedBefore.isConnected) focusedBefore.focus();
  }

  // --- Beginning ----------------------------------------------------------------------------------------------------

  if (usesMode) {
    const off = Object.fromEntries(AD_SIGNALS.map((one) => [one, "denied"]));
    gtag("consent", "default", { ...off, wait_for_update: 500 });
    updateMode();
  }
  if (state && state.u) send();

  function begin() {
    release();
    const held = (node) => node.nodeName === "SCRIPT" || (node.querySelector && node.querySelector("script"));
    const watch = (records) => records.some((one) => [...one.addedNodes].some(held)) && release();
    new MutationObserver(watch).observe(document.documentElement, { childList: true, subtree: true });
    document.addEventListener("click", (event) => {
      if (!event.target.closest?.("[data-cdp-consent]")) return;
      event.preventDefault();
      open();
    });
    const language = document.documentElement.lang || navigator.language || "";
    fetch(`${host}/v1/consent/${encodeURIComponent(key)}?language=${encodeURIComponent(language)}`)
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`banner: ${answer.status}`))))
      .then((found) => {
        settings = found;
        const asked = state && found.purposes.every((one) => one.key in state.p);
        const sameNotice = state && state.n.split("/")[2] === found.notice.split("/")[2];
        if (!asked || !sameNotice) open();
      })
      .catch(() => {});
  }

  window.cdpConsent = { open, allowed, state: () => (state ? { ...state.p } : null) };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
