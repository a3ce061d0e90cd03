import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { feeds } from "../../src/feeds.js";
import { applyDiff, applyState, type Members } from "../../src/presence.js";
import type { ChannelPresence, Member, PresenceAction, PresenceEvent, PresenceState, Status } from "../../src/protocol.js";
import type { Wish, Wishes } from "../../src/wishes.js";
import { deferred } from "../../src/deferred.js";
import { connected, FakeSocket, later, outcome, setUp, tearDown } from "./fake.js";

const IDS = ["alice", "bob", "__proto__", "constructor", ""];

const event = (action: PresenceAction, id: string, status = "online"): PresenceEvent => ({
  action,
  cause: "subscribe",
  user: { id, data: `${id}'s` },
  status: action === "leave" || action === "offline" ? "offline" : status,
  time: 1,
});
const member = (id: string, status = "online"): Member => ({ id, data: `${id}'s`, status });
const state = (ver: number, users: Member[], more = false): PresenceState => ({ type: "presenceState", channel: "lobby", ver, clientAmount: users.length, userAmount: users.length, users: more ? [] : users, more });
const diff = (ver: number, events: PresenceEvent[], userAmount = 0): ChannelPresence => ({ type: "presence", channel: "lobby", ver, clientAmount: userAmount, userAmount, events });

const byId = (members: Iterable<Member>) => [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
const anyMember = fc.record({ id: fc.constantFrom(...IDS), data: fc.constantFrom<unknown>("", 1, { a: 1 }), status: fc.constantFrom<Status>("online", "away", "busy") });
const anyMembers = fc.uniqueArray(anyMember, { selector: ({ id }) => id });
const anyEvents = fc.array(fc.tuple(fc.constantFrom<PresenceAction>("join", "leave", "online", "offline", "update"), fc.constantFrom(...IDS)).map(([action, id]) => event(action, id)));
const asMap = (members: Member[]): Members => new Map(members.map((one) => [one.id, one]));

describe("applying a state", () => {
  it("ends at the state, and its changes lead there", () => {
    fc.assert(fc.property(anyMembers, anyMembers, (before, users) => {
      const known = asMap(before);
      const { members, changes } = applyState(known, state(1, users));
      expect(byId(members.values())).toEqual(byId(users));
      const replayed = new Set(known.keys());
      for (const [kind, { id }, why] of changes) {
        expect([replayed.has(id), why]).toEqual([kind === "leave", undefined]);
        if (kind === "join") replayed.add(id);
        else replayed.delete(id);
      }
      expect(replayed).toEqual(new Set(members.keys()));
      expect([...known.values()]).toEqual(before);
    }));
  });

  it("of a channel with too many users forgets them, and nobody has left", () => {
    expect(applyState(asMap([member("alice")]), state(1, [], true))).toEqual({ members: new Map(), changes: [] });
  });
});

describe("applying events", () => {
  it("ends where each event leads, in order, and once more leads nowhere else", () => {
    fc.assert(fc.property(anyMembers, anyEvents, (before, events) => {
      const model = new Map(before.map((one) => [one.id, one]));
      for (const { action, user, status } of events) {
        if (action === "leave" || action === "offline") model.delete(user.id);
        else model.set(user.id, { ...user, status });
      }
      const once = applyDiff(asMap(before), { events });
      expect(byId(once.members.values())).toEqual(byId(model.values()));
      expect(byId(applyDiff(once.members, { events }).members.values())).toEqual(byId(model.values()));
    }));
  });

  it("tells who came and who went, in order, with the event, and of nobody twice", () => {
    const events = [event("join", "bob"), event("leave", "alice"), event("online", "alice"), event("join", "bob"), event("offline", "carol"), event("update", "bob", "away")];
    const { members, changes } = applyDiff(asMap([member("alice")]), { events });
    expect(changes).toEqual([
      ["join", member("bob"), events[0]],
      ["leave", member("alice", "offline"), events[1]],
      ["join", member("alice"), events[2]],
    ]);
    expect(members.get("bob")).toEqual(member("bob", "away"));
  });
});

/** A server's channel: what happens is true at once, and told in frames later. */
class Channel {
  readonly members = new Map<string, Member>();
  ver = 1000;
  #untold: PresenceEvent[] = [];

  happens(action: PresenceAction, id: string): void {
    const isThere = this.members.has(id);
    const one = event(action, id, action === "update" ? "away" : "online");
    if (action === "leave" || action === "offline") { if (!this.members.delete(id)) return; }
    else if ((action === "update") !== isThere) return;
    else this.members.set(id, { ...one.user, status: one.status });
    this.#untold.push(one);
  }

  frame(): ChannelPresence {
    const events = this.#untold;
    this.#untold = [];
    return diff(++this.ver, events, this.members.size);
  }

  state(): PresenceState {
    return state(this.ver, [...this.members.values()]);
  }
}

/** Feeds whose wishes are counted, not sent. */
function lonely() {
  let asked = 0;
  const again = () => void asked++;
  const wishes = {
    add(frame: Wish["frame"], refused: () => void, granted = () => {}): Wish {
      again();
      return { frame, refused, granted, ready: deferred() };
    },
    again,
    remove() {},
    opened() {},
    lost() {},
  } satisfies Wishes;
  const all = feeds(wishes);
  return { all, list: all.hold("lobby"), asked: () => asked };
}

describe("a feed", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constantFrom<PresenceAction>("join", "online", "leave", "offline", "update"), fc.constantFrom(...IDS)) },
    { weight: 3, arbitrary: fc.constantFrom("tell" as const, "lose" as const, "repeat" as const) },
    { weight: 2, arbitrary: fc.constantFrom("answer" as const, "reconnect" as const) },
  );

  it("ends at the server's members after any states, frames, losses, repetitions and reconnects", () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const server = new Channel();
      const { all, list, asked } = lonely();
      const told = new Map<string, Member>();
      list.onJoin((one) => { expect(told.has(one.id)).toBe(false); told.set(one.id, one); });
      list.onLeave((one) => expect(told.delete(one.id)).toBe(true));
      let answered = 0;
      let last: ChannelPresence | undefined;
      const answer = () => { for (; answered < asked(); answered++) all.state(server.state()); };
      for (const one of steps) {
        if (Array.isArray(one)) server.happens(...one);
        else if (one === "tell") all.diff((last = server.frame()));
        else if (one === "lose") server.frame();
        else if (one === "repeat" && last) all.diff(last);
        else if (one === "answer") answer();
        else if (one === "reconnect") {
          all.lost();
          answered = asked() - 1; // It is asked for on every connection anew.
        }
      }
      all.diff(server.frame());
      answer();
      all.diff(server.frame());
      answer();
      expect(byId(list.list())).toEqual(byId(server.members.values()));
      expect([...told.keys()].sort()).toEqual([...server.members.keys()].sort());
      expect(list.userAmount).toBe(server.members.size);
    }), { numRuns: 500 });
  });

  it("keeps frames until the state is there, and drops what is older than it", () => {
    const { all, list } = lonely();
    all.diff(diff(5, [event("join", "old")]));
    all.diff(diff(6, [event("join", "bob")], 2));
    expect(list.list()).toEqual([]);
    all.state(state(5, [member("alice")]));
    expect(list.list().map(({ id }) => id)).toEqual(["alice", "bob"]);
    all.diff(diff(6, [event("leave", "bob")]));
    expect(list.userAmount).toBe(2);
  });

  it("asks for the state on a gap, once, and goes on from it", () => {
    const { all, list, asked } = lonely();
    all.state(state(5, [member("alice")]));
    all.diff(diff(7, [event("join", "carol")], 3));
    all.diff(diff(8, [event("leave", "alice")], 2));
    expect([asked(), list.list().length]).toEqual([2, 1]);
    all.state(state(7, [member("alice"), member("bob"), member("carol")]));
    expect(list.list().map(({ id }) => id)).toEqual(["bob", "carol"]);
  });

  it("keeps no more than a bounded number of frames, and asks anew if that was too few", () => {
    const { all, asked } = lonely();
    for (let ver = 1; ver <= 1000; ver++) all.diff(diff(ver, []));
    all.state(state(0, []));
    expect(asked()).toBe(2);
  });

  it("takes a state at any time: too many users to list, and a list again", () => {
    const { all, list } = lonely();
    const joined = vi.fn();
    const left = vi.fn();
    list.onJoin(joined);
    list.onLeave(left);
    all.state(state(1, [member("alice")]));
    all.state({ ...state(2, [], true), userAmount: 1001, clientAmount: 1204 });
    expect([list.more, list.userAmount, list.clientAmount, list.list()]).toEqual([true, 1001, 1204, []]);
    all.diff({ ...diff(3, []), userAmount: 1007 });
    expect([list.more, list.userAmount]).toEqual([true, 1007]);
    all.state(state(4, [member("bob")]));
    expect([list.more, list.list()]).toEqual([false, [member("bob")]]);
    expect([joined.mock.calls.length, left.mock.calls.length]).toEqual([2, 0]);
  });
});

describe("presence of a client", () => {
  beforeEach(setUp);
  afterEach(tearDown);

  it("is asked for once per channel, told from the first list on, and left with the last holder", async () => {
    const { client: one, socket } = await connected();
    const list = one.presence("lobby");
    const joined = vi.fn();
    const synced = vi.fn();
    list.onJoin(joined);
    list.onSync(synced);
    expect(one.presence("lobby")).toBe(list);
    expect(socket.of("subscribePresence")).toMatchObject([{ channel: "lobby" }]);
    socket.replies("subscribePresence");
    socket.says(state(5, [member("alice")]));
    await list.ready;
    const join = event("join", "bob");
    socket.says(diff(6, [join], 2));
    expect(joined.mock.calls).toEqual([[member("alice"), undefined], [member("bob"), join]]);
    expect([synced.mock.calls.length, list.userAmount, list.channel]).toEqual([2, 2, "lobby"]);
    list.leave();
    expect(socket.of("unsubscribePresence")).toEqual([]);
    list.leave();
    list.leave();
    expect(socket.of("unsubscribePresence")).toMatchObject([{ channel: "lobby" }]);
    expect(one.presence("lobby")).not.toBe(list);
  });

  it("is asked for again after a reconnect, and tells what changed meanwhile", async () => {
    const { client: one, socket } = await connected();
    const list = one.presence("lobby");
    socket.says(state(5, [member("alice"), member("bob")]));
    const [joined, left] = [vi.fn(), vi.fn()];
    list.onJoin(joined);
    list.onLeave(left);
    socket.ends();
    await later(500);
    const next = FakeSocket.last.welcome();
    expect(next.of("subscribePresence")).toMatchObject([{ channel: "lobby" }]);
    next.says(diff(3, [event("join", "dave")]));
    next.says(state(2, [member("bob"), member("carol")]));
    expect(list.list().map(({ id }) => id)).toEqual(["bob", "carol", "dave"]);
    expect([joined.mock.calls.map(([{ id }]) => id), left.mock.calls.map(([{ id }]) => id)]).toEqual([["carol", "dave"], ["alice"]]);
  });

  it("asks the server for the state on a gap", async () => {
    const { client: one, socket } = await connected();
    one.presence("lobby");
    socket.says(state(5, []));
    socket.says(diff(9, []));
    expect(socket.of("subscribePresence")).toHaveLength(2);
  });

  it("that is refused says so, and may be asked for again", async () => {
    const { client: one, socket } = await connected();
    const list = one.presence("secret");
    const errors = vi.fn();
    one.on("error", errors);
    socket.refuses("subscribePresence", "forbidden");
    expect(await outcome(list.ready)).toHaveProperty("error.code", "forbidden");
    expect(errors).toHaveBeenCalledTimes(1);
    const again = one.presence("secret");
    list.leave();
    expect(again).not.toBe(list);
    expect(one.presence("secret")).toBe(again);
    expect(socket.of("subscribePresence")).toHaveLength(2);
  });

  it("hears of a frame as it came, too", async () => {
    const { client: one, socket } = await connected();
    const heard = vi.fn();
    one.on("presence", heard);
    const frame = diff(1, [event("join", "bob")]);
    socket.says(frame);
    expect(heard).toHaveBeenCalledExactlyOnceWith(frame);
  });
});
