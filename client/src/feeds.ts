import { listeners } from "./emitter.js";
import { applyDiff, applyState, type Applied, type Change, type Members } from "./presence.js";
import type { ChannelPresence, PresenceState } from "./protocol.js";
import { shared } from "./shared.js";
import type { MemberListener, Presence } from "./types.js";
import type { Wishes } from "./wishes.js";

/** So many frames wait for a state at most; with fewer than came, the gap is seen and the state asked for again. */
const MAX_WAITING = 256;

/** The presence feeds of this client, one per channel. */
export function feeds<UserData>(wishes: Wishes) {
  const { things, named } = shared((channel, over) => feed<UserData>(wishes, channel, over));
  return {
    /** The channel's feed, held once more. */
    hold: (channel: string): Presence<UserData> => named(channel).hold(),
    state: (frame: PresenceState<UserData>) => things.get(frame.channel)?.state(frame),
    diff: (frame: ChannelPresence<UserData>) => things.get(frame.channel)?.diff(frame),
    lost(): void {
      for (const { lost } of things.values()) lost();
    },
  };
}

/** One channel: its members, and the frames that cannot be applied yet. */
function feed<UserData>(wishes: Wishes, channel: string, over: () => boolean) {
  const wish = wishes.add({ type: "subscribePresence", channel }, over, () => {});
  const changes = listeners<[kind: string, ...any]>();
  const on = (kind: Change[0]) => (listener: MemberListener<UserData>) => changes.on((which, member, event) => which === kind && listener(member, event));
  let holders = 0;
  let members: Members<UserData> = new Map();
  let ver: number | undefined;
  let waiting: ChannelPresence<UserData>[] = [];

  const lost = () => {
    ver = undefined;
    waiting = [];
  };
  const tell = (frame: PresenceState<UserData> | ChannelPresence<UserData>, applied: Applied<UserData>) => {
    ({ ver, userAmount: list.userAmount, clientAmount: list.clientAmount } = frame);
    members = applied.members;
    for (const change of applied.changes) changes.emit(...change);
    changes.emit("sync");
  };
  const diff = (frame: ChannelPresence<UserData>) => {
    if (ver === undefined) {
      if (waiting.push(frame) > MAX_WAITING) waiting.shift();
    } else if (frame.ver === ver + 1) tell(frame, applyDiff(members, frame));
    else if (frame.ver > ver) {
      lost();
      waiting.push(frame);
      wishes.again(wish);
    }
  };
  const state = (frame: PresenceState<UserData>) => {
    const later = waiting;
    waiting = [];
    list.more = frame.more;
    tell(frame, applyState(members, frame));
    wish.ready.fulfil();
    later.forEach(diff);
  };
  const list = {
    channel,
    ready: wish.ready.promise,
    userAmount: 0,
    clientAmount: 0,
    more: false as boolean,
    list: () => [...members.values()],
    onJoin: on("join"),
    onLeave: on("leave"),
    onSync: (listener: () => unknown) => changes.on((kind) => kind === "sync" && listener()),
    leave() {
      if (!--holders && over()) wishes.remove(wish);
    },
  };

  return {
    hold() {
      holders++;
      return list;
    },
    state,
    diff,
    lost,
  };
}
