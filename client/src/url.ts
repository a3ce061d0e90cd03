/** The address of a socket: relative to the page, or absolute; `http` becomes `ws`. */
export function socketUrl(url: string | { readonly href: string }): string {
  return new URL(url as string, globalThis.location?.href).href.replace(/^http/, "ws").replace(/#.*/, "");
}
