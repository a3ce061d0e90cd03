// The rooms of one login, in GoEasy's calls. Nothing is drawn here: `changed(room)` tells who draws.

import { store, stored } from "./dom.js";
import { t } from "./texts.js";

const LISTED = ["room-lobby", "room-music", "room-games", "staff-room"];
const KEPT = 200; // lines and events per room

export class Rooms {
  all = new Map(); // channel -> room

  constructor(goEasy, me, changed) {
    Object.assign(this, { goEasy, me, changed });
    this.key = `channels.rooms.${me}`;
    const { opened = [], entered = [] } = stored(this.key) ?? {};
    for (const channel of [...LISTED, ...opened]) this.open(channel);
    for (const channel of entered) if (this.all.has(channel)) this.enter(channel);
  }

  /** Watches a room: its amounts, its members, who comes and goes. One need not be in it for that. */
  open(channel) {
    if (this.all.has(channel)) return;
    const { goEasy } = this;
    // GoEasy has calls for all but the status of the members: that is the client's, beneath.
    const feed = goEasy.client.presence(channel);
    const room = { channel, feed, isListed: LISTED.includes(channel), isEntered: false, refusal: undefined, unread: 0, lines: [], events: [] };
    this.all.set(channel, room);
    room.off = feed.onSync(() => this.changed(room));
    goEasy.subscribePresence({
      channel,
      onPresence: (presenceEvents) => this.#add(room, room.events, presenceEvents),
      onFailed: ({ content }) => this.#refuse(room, content),
    });
    this.#remember(room);
  }

  /** Takes a room off the list. */
  close(channel) {
    const room = this.all.get(channel);
    this.leave(channel);
    this.goEasy.unsubscribePresence({ channel });
    room.off();
    room.feed.leave();
    this.all.delete(channel);
    this.#remember(room);
  }

  /** The login is over: the next one of this name begins outside. */
  forget() {
    this.all.clear();
    store(this.key, undefined);
  }

  enter(channel) {
    const room = this.all.get(channel);
    room.isEntered = true;
    this.goEasy.subscribe({
      channel,
      onMessage: ({ content, timestamp }) => {
        room.unread += 1;
        this.#add(room, room.lines, { from: String(content?.from), text: String(content?.text), at: timestamp });
      },
      onFailed: ({ content }) => this.#refuse(room, content),
    });
    this.#remember(room);
  }

  leave(channel) {
    const room = this.all.get(channel);
    if (!room.isEntered) return;
    room.isEntered = false;
    this.goEasy.unsubscribe({ channel });
    this.#remember(room);
  }

  /** Says something. The name is what this page claims: a chat that must be sure of it sends `message` to a handler. */
  say(channel, text) {
    const room = this.all.get(channel);
    this.goEasy.publish({
      channel,
      message: { from: this.me, text },
      onFailed: ({ content }) => this.#add(room, room.lines, { failed: true, from: this.me, text: `${text} (${t("notSent", { why: content })})`, at: Date.now() }),
    });
  }

  #add(room, list, one) {
    list.push(one);
    if (list.length > KEPT) list.shift();
    this.changed(room);
  }

  #refuse(room, why) {
    if (this.all.get(room.channel) !== room) return;
    Object.assign(room, { refusal: why, isEntered: false });
    this.#remember(room);
  }

  /** So that a reload is back in the same rooms at once, and nobody notices. */
  #remember(room) {
    const rooms = [...this.all.values()];
    const names = (some) => rooms.filter(some).map(({ channel }) => channel);
    store(this.key, { opened: names((one) => !one.isListed), entered: names((one) => one.isEntered) });
    this.changed(room);
  }
}
