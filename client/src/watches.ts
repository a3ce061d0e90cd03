import { call } from "./emitter.js";
import type { PresenceEvent, WatchedUser } from "./protocol.js";
import type { UserStatus, Watch } from "./types.js";
import type { Wish, Wishes } from "./wishes.js";

type Listener = (status: UserStatus<any>) => unknown;

/** Single users whose status is watched, a buddy list. */
export function watches(wishes: Wishes) {
  const all = new Map<Wish, Listener>();
  const watchersOf = (id: string) => [...all].filter(([{ frame }]) => frame.users!.includes(id));

  return {
    watch(ids: Iterable<string>, listener: Listener): Watch {
      const users = [...new Set(ids)];
      const wish = wishes.add({ type: "watch", users }, () => all.delete(wish), (reply: { users: WatchedUser[] }) => {
        for (const user of reply.users) call(listener, user);
        wish.ready.fulfil();
      });
      all.set(wish, listener);
      return {
        ready: wish.ready.promise,
        unwatch() {
          if (!all.delete(wish)) return;
          // Whom somebody else watches, too, stays watched.
          const left = users.filter((id) => !watchersOf(id).length);
          wish.frame = { type: "watch", users: left };
          wishes.remove(wish, !left.length);
        },
      };
    },
    heard({ user, ...event }: PresenceEvent): void {
      for (const [, listener] of watchersOf(user.id)) call(listener, { ...user, ...event });
    },
  };
}
