// The list of logins, as both pages show it.

import { make } from "/link.js";

/** `button(login)` makes what ends a login; the page's own has none. */
export function showLogins(list, logins, button) {
  list.replaceChildren(...logins.map((login) => {
    const row = make("li");
    row.dataset.handle = login.handle;
    row.dataset.device = login.phone ? "phone" : "web";
    const icon = make("span", `icon ${row.dataset.device}`);
    icon.setAttribute("aria-hidden", "true");
    const what = make("span", "what", login.device);
    what.append(make("small", "", login.this ? "this device" : `since ${new Date(login.since).toLocaleTimeString([], { timeStyle: "short" })}`));
    row.append(icon, what);
    if (button && !login.this) row.append(button(login));
    return row;
  }));
}
