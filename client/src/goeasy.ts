/**
 * GoEasy's calls over herenow, for pages that were written for GoEasy: only the constructor changes.
 *
 * ```ts
 * const goEasy = new GoEasy({ url: "/ws", getToken, userData: "18 years old" });
 * goEasy.subscribePresence({ channel: "my_channel", onPresence: (events) => console.log(JSON.stringify(events)) });
 * goEasy.hereNow({ channels: ["my_channel"], includeUsers: true, distinct: true }, (response) => console.log(response));
 * ```
 *
 * @module
 */

import { Herenow, type HereNowBody, type HerenowError, type Json, type Options, type PresenceAction } from "./index.js";

/** The settings of {@link Herenow}, and GoEasy's own. */
export interface GoEasyOptions extends Options {
  /** The address of the socket on your server: relative to the page, or absolute. */
  url: string | { readonly href: string };
  /** What others see beside the user's id. Your server may have to allow it; what the token says goes first. */
  userData?: Json;
  /** Not needed: the token says who the user is. */
  userId?: string | undefined;
  /** Not needed: `url` says where the server is. */
  host?: string | undefined;
  /** Not needed: there are no keys of applications. */
  appkey?: string | undefined;
}

/** What happened to a member of a channel. */
export interface GoEasyPresenceEvent {
  /** `join`: came into the channel, `leave`: left it, `offline`: closed the page or lost the network, `online`: is back after that. */
  action: Exclude<PresenceAction, "update">;
  channel: string;
  userId: string;
  userData: Json;
  /** In ms since 1970. */
  timestamp: number;
}

/** How many there are after the events. */
export interface GoEasyAmounts {
  channel: string;
  clientAmount: number;
  userAmount: number;
}

/** What `onFailed` and a failed `hereNow` get: a status as of HTTP, and words. */
export interface GoEasyFailure {
  code: number;
  content: string;
}

/** What every call may ask to hear. */
export interface GoEasyOutcome {
  onSuccess?: (() => unknown) | undefined;
  onFailed?: ((failure: GoEasyFailure) => unknown) | undefined;
}

/** A message of a channel. */
export interface GoEasyMessage {
  channel: string;
  /** What was published: text as a string, JSON as it is. */
  content: Json;
  /** In ms since 1970. */
  timestamp: number;
}

/** People print responses into texts, where any other object is no more than that. */
const asText = <T extends object>(response: T): T => Object.defineProperty(response, "toString", { value: () => JSON.stringify(response), configurable: true });

/** A client with GoEasy's calls. It connects when it is made, and comes back by itself. */
export class GoEasy {
  /** The client beneath, for all that GoEasy has no call for. */
  readonly client: Herenow;
  /** The same calls by their later names: `goEasy.pubsub.subscribe(…)`. */
  readonly pubsub = this;
  readonly #ends = new Map<string, () => void>();

  /** @throws TypeError without a `url`. */
  constructor({ url, userData, ...options }: GoEasyOptions) {
    if (!url) throw new TypeError('GoEasy: pass the address of your server, `url: "/ws"`');
    this.client = new Herenow(url, { data: userData, ...options });
    void this.client.connect();
  }

  /**
   * Hears who comes into a channel and who leaves it. `onPresence` gets a list of events in order, and the amounts beside it;
   * those who were there before are no events. A second call for the same channel takes the place of the first.
   */
  subscribePresence({ channel, onPresence, ...outcome }: { channel: string; onPresence(events: GoEasyPresenceEvent[], amounts: GoEasyAmounts): unknown } & GoEasyOutcome): void {
    const feed = this.client.presence(channel);
    let events: GoEasyPresenceEvent[] = [];
    let isKnown = false;
    const collect = (otherwise: "online" | "offline"): Parameters<typeof feed.onJoin>[0] => ({ id, data }, event) => {
      const action = (event?.action ?? otherwise) as GoEasyPresenceEvent["action"];
      events.push({ action, channel, userId: id, userData: data, timestamp: event?.time ?? Date.now() });
    };
    const offs = [
      feed.onJoin(collect("online")),
      feed.onLeave(collect("offline")),
      feed.onSync(() => {
        const all = events;
        events = [];
        if (isKnown && all.length) onPresence(all, { channel, clientAmount: feed.clientAmount, userAmount: feed.userAmount });
      }),
    ];
    tell(feed.ready.then(() => void (isKnown = true)), outcome);
    this.#replace(`presence ${channel}`, () => {
      for (const off of offs) off();
      feed.leave();
    });
  }

  /** Ends it. */
  unsubscribePresence({ channel, ...outcome }: { channel: string } & GoEasyOutcome): void {
    this.#replace(`presence ${channel}`);
    tell(Promise.resolve(), outcome);
  }

  /** Who is in these channels right now. The response is `{ code: 200, content: { channels } }`, or `{ code, content }` with what failed; as a text it is its JSON. */
  hereNow(
    { channels, includeUsers, distinct, limit }: { channels: string[]; includeUsers?: boolean; distinct?: boolean; limit?: number },
    callback: (response: HereNowBody | GoEasyFailure) => unknown,
  ): void {
    this.client.hereNow({ channels, includeUsers, distinct, limit }).then((content) => callback(asText({ code: 200, content })), (error) => callback(asText(failure(error))));
  }

  /** Receives a channel's messages. A second call for the same channel takes the place of the first. */
  subscribe({ channel, onMessage, ...outcome }: { channel: string; onMessage?: ((message: GoEasyMessage) => unknown) | undefined } & GoEasyOutcome): void {
    const { ready, unsubscribe } = this.client.subscribe(channel, ({ data, time }) => onMessage?.({ channel, content: data, timestamp: time }));
    tell(ready, outcome);
    this.#replace(`channel ${channel}`, unsubscribe);
  }

  /** Ends it. */
  unsubscribe({ channel, ...outcome }: { channel: string } & GoEasyOutcome): void {
    this.#replace(`channel ${channel}`);
    tell(Promise.resolve(), outcome);
  }

  /** Sends to a channel's subscribers. */
  publish({ channel, message, ...outcome }: { channel: string; message: Json } & GoEasyOutcome): void {
    tell(this.client.publish(channel, message), outcome);
  }

  /** Ends the connection for good. */
  disconnect(outcome: GoEasyOutcome = {}): void {
    this.client.close();
    tell(Promise.resolve(), outcome);
  }

  #replace(key: string, end?: () => void): void {
    this.#ends.get(key)?.();
    if (end) this.#ends.set(key, end);
    else this.#ends.delete(key);
  }
}

const STATUS: Record<string, number> = { unauthorized: 401, token_expired: 401, forbidden: 403, origin_denied: 403, too_many_requests: 429 };

/** What is wrong with the request is a 400, and what may succeed later a 500. */
function failure({ code, message, temporary }: HerenowError): GoEasyFailure {
  return { code: STATUS[code] ?? (temporary ? 500 : 400), content: message };
}

function tell(promise: Promise<unknown>, { onSuccess, onFailed }: GoEasyOutcome): void {
  promise.then(() => onSuccess?.(), (error) => onFailed?.(failure(error)));
}
