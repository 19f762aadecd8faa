// The only place that makes pages and scripts of texts, as Trusted Types require.

const policy = window.trustedTypes?.createPolicy("chronos", {
  createHTML: (text) => text,
  createScriptURL: (url) => {
    if (!new URL(url, location.href).href.startsWith(`${location.origin}/ui/assets/`)) throw new TypeError(url);
    return url;
  },
});

/** Return the document of a page that this server has sent. Its scripts do not run. */
export function parsed(text) {
  return new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html");
}

/** Return the address of a script of ours, for a worker. */
export function scriptAddress(url) {
  return policy ? policy.createScriptURL(url) : url;
}
