import type { ChannelPresence, Json, Member, PresenceEvent, PresenceState } from "./protocol.js";

/** The members of a channel by id. A `Map`, since an id may be any word, `__proto__` for one. */
export type Members<UserData = Json> = ReadonlyMap<string, Member<UserData>>;

/** Who came or went. The event is what the server said about it; there is none where two states were compared. */
export type Change<UserData = Json> = ["join" | "leave", Member<UserData>, PresenceEvent<UserData>?];

/** The members of now, and what changed on the way, in order. */
export interface Applied<UserData = Json> {
  members: Members<UserData>;
  changes: Change<UserData>[];
}

/**
 * Takes a whole state: who is missing in it has left, who is new has joined. Where there are too many users to list, nobody
 * is known, and nobody has left.
 */
export function applyState<UserData>(before: Members<UserData>, { users, more }: Pick<PresenceState<UserData>, "users" | "more">): Applied<UserData> {
  if (more) return { members: new Map(), changes: [] };
  const ids = new Set(users.map(({ id }) => id));
  const gone = [...before.values()].filter(({ id }) => !ids.has(id));
  return apply(before, [...gone.map((member): Change<UserData> => ["leave", member]), ...users.map((member): Change<UserData> => ["join", member])]);
}

/** Takes the events of one frame. What is so already is no change, since a state may tell what the next frame tells again. */
export function applyDiff<UserData>(before: Members<UserData>, { events }: Pick<ChannelPresence<UserData>, "events">): Applied<UserData> {
  return apply(before, events.map((event) => {
    const { user, status, action } = event;
    return [/leave|offline/.test(action) ? "leave" : "join", { ...user, status }, event];
  }));
}

function apply<UserData>(before: Members<UserData>, steps: Change<UserData>[]): Applied<UserData> {
  const members = new Map(before);
  const changes = steps.filter(([kind, member]) => {
    const wasThere = members.has(member.id);
    if (kind === "join") members.set(member.id, member);
    else members.delete(member.id);
    return wasThere === (kind === "leave");
  });
  return { members, changes };
}
