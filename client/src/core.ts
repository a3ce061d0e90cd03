import { tokens } from "./auth.js";
import { channels } from "./channels.js";
import { listeners } from "./emitter.js";
import { HerenowError } from "./errors.js";
import { feeds } from "./feeds.js";
import { lifecycle, type Standing } from "./lifecycle.js";
import { watchPage } from "./page.js";
import type { ErrorFrame, Gap, Goodbye, HereNowBody, Json, Kicked, PresenceFrame, PresenceState, Push, Reply, ServerFrame, Status, Welcome } from "./protocol.js";
import { requests } from "./requests.js";
import { resume } from "./resume.js";
import type { Events, HereNowRequest, Options, SendOptions, StateChange } from "./types.js";
import { socketUrl } from "./url.js";
import { watches } from "./watches.js";
import { wishes } from "./wishes.js";

/** The parts of a client, wired: what one tells, another hears. `self` is the client, whose state the parts keep. */
export function core<UserData>(self: Standing, url: string | { readonly href: string }, options: Options) {
  const { now = Date.now, device, data, client } = options;
  const events = listeners<[keyof Events, any]>();
  const emit = events.emit as <Type extends keyof Events>(type: Type, event: Events<UserData>[Type]) => void;
  const failed = (error: HerenowError) => emit("error", error);

  let isNew = true;
  let isAway = false;
  let word: Status = "online";
  let endPage: (() => void) | undefined;

  const standing = () => (isAway ? "away" : word);
  const sayStatus = () => life.send({ type: "status", status: standing() });

  const opened = (welcome: Welcome) => {
    place.welcome(welcome);
    if (welcome.resumed || standing() !== "online") sayStatus();
    wanted.opened();
    asked.flush(welcome.limits.maxFrame);
  };

  const lost = (isFinal: boolean) => {
    place.pause();
    wanted.lost();
    lists.lost();
    asked.lost(isFinal);
    if (!isFinal) return;
    place.forget();
    endPage?.();
    endPage = undefined;
    isNew = true;
  };

  const changed = (change: StateChange) => {
    emit("state", change);
    const { welcome } = self;
    if (change.state !== "open" || !welcome) return;
    emit("welcome", welcome);
    if (!isNew) emit("resumed", welcome.resumed);
    isNew = false;
  };

  const pushed = (push: Push) => {
    emit("push", push);
    rooms.heard(push);
  };

  const tell = (frame: Kicked | Goodbye | Gap | PresenceFrame<UserData>) => emit(frame.type, frame as any);
  const HEARD: { [Type in ServerFrame["type"]]?: (frame: any) => unknown } = {
    kicked: tell,
    goodbye: tell,
    authExpiring: () => refresh(),
    reply: (frame: Reply) => asked.settle(frame),
    presenceState: (frame: PresenceState<UserData>) => lists.state(frame),
    error: ({ code, message }: ErrorFrame) => failed(new HerenowError(code, message)),
    push(frame: Push) {
      pushed(frame);
      place.count(1, frame.ack);
    },
    gap(frame: Gap) {
      place.count(frame.count);
      tell(frame);
    },
    presence(frame: PresenceFrame<UserData>) {
      if (frame.channel === undefined) frame.events.forEach(buddies.heard);
      else lists.diff(frame);
      tell(frame);
    },
  };
  const heard = (frame: ServerFrame) => HEARD[frame.type]?.(frame);

  /** A new token before the old one's time is over. If none can be had, `goodbye` follows and says what to do. */
  const refresh = async () => {
    const { welcome } = self;
    if (!secrets.spoil()) return;
    try {
      const token = await secrets.get();
      if (token && welcome === self.welcome) secrets.endsIn((await asked.ask({ type: "auth", token })).expiresIn);
    } catch (cause) {
      if (welcome !== self.welcome) return;
      if (cause instanceof HerenowError) failed(cause);
      else life.tokenFailed(cause);
    }
  };

  const secrets = tokens(options, now);
  const life = lifecycle(self, socketUrl(url), options, secrets, now, {
    hello: () => ({ device, data, client, resume: place.wanted() }),
    heard,
    opened,
    lost,
    changed,
    failed,
  });
  const place = resume(life.send);
  const asked = requests(options, life.socket);
  const wanted = wishes(asked.ask, failed);
  const rooms = channels(wanted);
  const lists = feeds<UserData>(wanted);
  const buddies = watches(wanted);

  return {
    /** What a fallback hears. */
    overheard(frame: Push | Kicked | Goodbye): void {
      if (frame.type === "push") return pushed(frame);
      heard(frame);
      if (!frame.reconnect) life.stop(frame);
    },
    /** What the client can do, by the names of its methods. */
    methods: {
      connect(): Promise<Welcome> {
        endPage ??= watchPage(options.away, now, {
          away(next) {
            isAway = next;
            sayStatus();
          },
          hurry: life.hurry,
          hide: life.hide,
        });
        return life.connect();
      },
      close: () => life.stop({}, undefined, 1000),
      on: <Type extends keyof Events>(type: Type, listener: (event: Events<UserData>[Type]) => unknown) =>
        events.on((which, event) => which === type && listener(event)),
      subscribe: rooms.subscribe,
      publish: (channel: string, data: Json) => asked.ask({ type: "publish", channel, data: data ?? null }),
      send: (data: Json, { channel, reply = false }: SendOptions = {}) => asked.ask({ type: "message", data: data ?? null, channel }, reply),
      presence: lists.hold,
      watch: buddies.watch,
      hereNow: async (request: HereNowRequest) => ((await asked.ask({ type: "hereNow", ...request })) as HereNowBody<UserData>).content,
      status(next: Status) {
        word = next;
        sayStatus();
      },
    },
  };
}
