import { listeners } from "./emitter.js";
import type { Push } from "./protocol.js";
import { shared } from "./shared.js";
import type { Subscription } from "./types.js";
import type { Wishes } from "./wishes.js";

/** The channels this client is subscribed to; several subscriptions to one channel are one for the server. */
export function channels(wishes: Wishes) {
  const { things, named } = shared((channel, over) => ({ ...listeners<[Push]>(), over, wish: wishes.add({ type: "subscribe", channel }, over) }));
  return {
    subscribe(channel: string, onPush?: (push: Push) => unknown): Subscription {
      const { on, wish, over } = named(channel);
      const off = on(onPush);
      return {
        ready: wish.ready.promise,
        unsubscribe() {
          if (off() && over()) wishes.remove(wish);
        },
      };
    },
    heard(push: Push): void {
      things.get(push.channel!)?.emit(push);
    },
  };
}
